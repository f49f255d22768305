"""What every source promises to the store."""

from __future__ import annotations

import json
import os
import pickle
from importlib import import_module

import numpy as np
import pytest

from challenge_files import write_challenge
from cmelt.errors import RecordError
from cmelt.records.record import LEADS
from cmelt.sources import SOURCES, SPLITS, Source
from code_files import write_code_15, write_code_test
from ecg_files import heart, write_ptb_xl, write_wfdb
from ludb_files import write_ludb
from mimic_files import studies, write_mimic


def class_of(name: str) -> type:
    module, _, found = SOURCES[name].partition(":")
    return getattr(import_module(module), found)


def a_folder(tmp_path):
    for number in range(3):
        write_wfdb(tmp_path / f"sub/r{number}", heart(number))
    (tmp_path / "t.csv").write_text("record,patient,report\n" + "".join(f"sub/r{n},00{n},sinus rhythm {n}\n" for n in range(3)))
    return class_of("folder")(str(tmp_path), str(tmp_path / "t.csv"))


def three_of_the_challenge(name, records):
    def build(tmp_path):
        for record in records:
            write_challenge(tmp_path / record)
        return class_of(name)(str(tmp_path))

    return build


#: Sources that do not tell their patients; whoever has the same signal is one (`store.index`).
PATIENTS_UNTOLD = {"cpsc2018", "csn"}

#: For each source, a small one with three records or more; a new source needs one here.
BUILDERS = {
    "ptb-xl": lambda tmp_path: class_of("ptb-xl")(str(write_ptb_xl(tmp_path, 4))),
    "cinc2021": three_of_the_challenge("cinc2021", ("g1/I0001", "g1/I0003", "g1/I0075")),
    "cpsc2018": three_of_the_challenge("cpsc2018", ("g1/A0001", "g1/A0002", "g2/A6877")),
    "csn": three_of_the_challenge("csn", ("WFDBRecords/01/010/JS00001", "WFDBRecords/01/010/JS00002", "WFDBRecords/02/JS45551")),
    "code-15": lambda tmp_path: class_of("code-15")(str(write_code_15(tmp_path))),
    "code-test": lambda tmp_path: class_of("code-test")(str(write_code_test(tmp_path))),
    "folder": a_folder,
    "ludb": lambda tmp_path: class_of("ludb")(str(write_ludb(tmp_path))),
    "mimic-iv-ecg": lambda tmp_path: class_of("mimic-iv-ecg")(str(write_mimic(tmp_path, studies(4)))),
    "simulated": lambda tmp_path: class_of("simulated")(5, seed=3),
}

each_source = pytest.mark.parametrize("name", list(BUILDERS))


def test_every_source_is_under_this_contract():
    assert set(SOURCES) == set(BUILDERS)


@each_source
def test_a_source_is_one_and_goes_to_worker_processes(name, tmp_path):
    source = BUILDERS[name](tmp_path)
    assert isinstance(source, Source)
    assert source.name == name
    assert pickle.loads(pickle.dumps(source)) == source  # noqa: S301
    assert json.loads(json.dumps(dict(source.settings))) == dict(source.settings)
    assert str(tmp_path) not in json.dumps(dict(source.settings))


@each_source
def test_listing_is_stable_and_names_are_unique(name, tmp_path):
    source = BUILDERS[name](tmp_path)
    entries = source.entries().entries
    assert entries == source.entries().entries
    assert len({entry.record for entry in entries}) == len(entries) >= 3
    assert {entry.split for entry in entries} <= {None, *SPLITS}


@each_source
def test_records_carry_what_their_entry_says_and_no_path_of_this_machine(name, tmp_path):
    source = BUILDERS[name](tmp_path)
    for entry in source.entries().entries:
        record = source.read(entry)
        assert record.identifier == entry.record
        assert record.patient == entry.patient
        assert record.patient or name in PATIENTS_UNTOLD
        assert entry.report in (None, record.report)
        assert set(record.leads) == set(LEADS)
        assert np.isfinite(record.signal).all()
        assert str(tmp_path) not in record.origin


@each_source
def test_reading_twice_gives_the_same(name, tmp_path):
    source = BUILDERS[name](tmp_path)
    entry = source.entries().entries[1]
    once, twice = source.read(entry), source.read(entry)
    assert np.array_equal(once.signal, twice.signal)
    assert (once.report, once.labels, once.age) == (twice.report, twice.labels, twice.age)
    assert source.stamp(entry) == source.stamp(entry)


@pytest.mark.parametrize("name", ["ptb-xl", "folder"])
def test_the_stamp_changes_with_the_files(name, tmp_path):
    source = BUILDERS[name](tmp_path)
    entry = source.entries().entries[0]
    before = source.stamp(entry)
    os.utime(tmp_path / f"{entry.place}.dat", ns=(1, 1))
    assert source.stamp(entry) != before


@pytest.mark.parametrize("name", ["ptb-xl", "folder"])
def test_a_broken_file_is_a_record_error(name, tmp_path):
    source = BUILDERS[name](tmp_path)
    entry = source.entries().entries[0]
    (tmp_path / f"{entry.place}.dat").write_bytes(b"short")
    with pytest.raises(RecordError):
        source.read(entry)
