"""Very many records: killed anywhere, a full disk, memory that does not grow, a lean index."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from cmelt.errors import RecordError, StoreError
from cmelt.publishing import sha256
from cmelt.records.record import LEADS, Record
from cmelt.sources.about import About
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.ptb_xl import PtbXl
from cmelt.sources.source import Entry, Listing
from cmelt.store import ShardSettings, open_store, prepare_store
from cmelt.store import index as indexing
from cmelt.store.shard import ShardTask
from cmelt.store.workers import IN_FLIGHT, run_shards
from ecg_files import heart, write_ptb_xl

SETTINGS = ShardSettings(100.0, 5.0, "first", "cmelt")


@dataclass(frozen=True)
class Many:
    """Short records, listed in columns: copies of one another by twos where `copies`, each fifth measured by its device."""

    records: int
    name: str = "many"
    rate: float = 100.0
    copies: bool = False
    gain: float = 1.0
    about: ClassVar[About] = About(title="Many", licence="computed here", access="computed")

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def entries(self) -> Listing:
        return Listing(EntryTable.collect(Entry(f"r{n}", f"n/{n}", patient=f"p{n}") for n in range(self.records)))

    def read(self, entry: Entry) -> Record:
        number = int(entry.place.removeprefix("n/"))
        signal = heart(number // 2 if self.copies else number, seconds=5.0)
        if number % 2:
            signal = signal * np.float32(self.gain)
        measured = {} if number % 5 else {"qrs_ms": 90.0 + number}
        return Record(signal, 100.0, LEADS, entry.record, f"report {number % 3}", entry.patient, measurements=measured)

    def stamp(self, entry: Entry) -> str:
        return ""


def tree_of(store: Path) -> dict[str, str]:
    return {path.relative_to(store).as_posix(): sha256(path) for path in sorted(store.rglob("*")) if path.is_file()}


def test_tasks_are_made_when_there_is_somebody_to_do_them(tmp_path):
    """A million entries are never all in memory as tasks: no more are taken up than the workers are about to do."""
    source, taken, done = Many(40), [], 0
    entries = source.entries().entries

    def tasks():
        for number in range(20):
            taken.append(number)
            yield ShardTask(number, tuple(entries[2 * number : 2 * number + 2]), SETTINGS, source, str(tmp_path))

    for finished in run_shards(tasks(), 2):
        assert finished.entries == 2
        assert len(taken) - done <= IN_FLIGHT * 2 + 2
        done += 1
    assert (len(taken), done) == (20, 20)


def test_the_index_is_the_same_in_one_stretch_or_many_and_in_the_order_of_the_listing(tmp_path, monkeypatch):
    prepare_store(Many(41), tmp_path / "one", SETTINGS, shard_records=3)
    monkeypatch.setattr(indexing, "_ROW_GROUP", 8)
    prepare_store(Many(41), tmp_path / "many", SETTINGS, shard_records=3)
    one, many = open_store(tmp_path / "one").index, open_store(tmp_path / "many").index
    pd.testing.assert_frame_equal(one, many)
    assert one["record"].to_list() == [f"r{n}" for n in range(41)]
    assert list(zip(one["shard"], one["shard_row"], strict=True)) == [(n // 3, n % 3) for n in range(41)]


def test_measurements_are_columns_where_any_record_has_them_and_missing_elsewhere(tmp_path):
    prepare_store(Many(7), tmp_path / "out", SETTINGS)
    index = open_store(tmp_path / "out").index
    assert index["qrs_ms"].dtype == np.float64
    assert index["qrs_ms"].fillna(-1).to_list() == [90, -1, -1, -1, -1, 95, -1]
    assert "qt_ms" not in index.columns
    assert list(index.columns)[-3:] == ["qrs_ms", "shard", "shard_row"]


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_copies_of_two_patients_are_found_at_any_gain_and_kept_where_they_judge(tmp_path, gain):
    prepared = prepare_store(Many(60, copies=True, gain=gain), tmp_path / "out", SETTINGS, shard_records=7)
    store = open_store(tmp_path / "out")
    split = dict(zip(store.index["record"], store.index["split"], strict=True))
    held_back = {record for record, own in split.items() if not own}
    assert store.manifest["held_back"] == len(held_back) > 3 and prepared.quarantined == 0
    for number in range(0, 60, 2):
        pair = {f"r{number}", f"r{number + 1}"}
        assert len({split[name] for name in pair - held_back}) == 1
        if pair & held_back:
            assert split[(pair - held_back).pop()] in ("test", "validation")
    assert sum(store.manifest["splits"].values()) + len(held_back) == len(store) == 60


def test_near_fingerprints_alone_hold_nothing_back(tmp_path, monkeypatch):
    from cmelt.store import tables

    monkeypatch.setattr(tables, "copy_groups", lambda texts: np.zeros(len(texts), np.int64))
    prepare_store(Many(30), tmp_path / "out", SETTINGS)
    assert open_store(tmp_path / "out").manifest["held_back"] == 0


def test_texts_of_the_index_lie_in_arrow_and_equal_lists_are_one(tmp_path):
    prepare_store(Many(50), tmp_path / "out", SETTINGS)
    index = open_store(tmp_path / "out").index
    for column in ("record", "patient", "report", "split", "fingerprint"):
        assert isinstance(index[column].dtype, pd.StringDtype) and index[column].dtype.storage == "pyarrow"
    assert isinstance(index["report"].iloc[3], str)
    assert (index["split"] == "train").to_numpy().dtype == bool
    clean = [flags for flags in index["flags"] if not len(flags)]
    assert len(clean) > 1 and all(flags is clean[0] for flags in clean)
    index.loc[3, "report"] = "it can be written to"
    assert index["report"][3] == "it can be written to"


def test_a_shard_that_a_worker_could_not_hold_is_refused_with_what_fits(tmp_path):
    large = ShardSettings(500.0, 10.0, "first", "key")
    with pytest.raises(StoreError, match="give at most 4473"):
        prepare_store(Many(1), tmp_path / "out", large, shard_records=5000)


def limited(bytes_a_file: int):
    """In a child: no file may grow beyond this, which to a writer is what a full disk is."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, bytes_a_file))

    return limit


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_full_disk_ends_with_one_clear_line_and_leaves_the_old_store_alone(tmp_path, workers):
    folder = write_ptb_xl(tmp_path / "source", 30)
    prepare_store(PtbXl(str(folder)), tmp_path / "out", SETTINGS)
    before = tree_of(tmp_path / "out")
    command = [sys.executable, "-m", "cmelt.cli", "prepare", "ptb-xl", str(folder), "--out", str(tmp_path / "out"), "--force"]
    command += ["--workers", str(workers), "--shard-records", "10"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, preexec_fn=limited(100_000))
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("cmelt: ")]
    assert len(said) == 1 and "cannot be written" in said[0] and "make room" in said[0]
    assert "Traceback" not in done.stderr
    assert tree_of(tmp_path / "out") == before
    assert not list((tmp_path / ".out.preparing").rglob("*.part"))
    again = subprocess.run([*command, "--json"], env=environment(), capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["records"] == 30


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_killed_again_and_again_at_any_moment_it_ends_with_the_same_bytes(tmp_path):
    folder = write_ptb_xl(tmp_path / "source", 300)
    command = [sys.executable, "-m", "cmelt.cli", "prepare", "ptb-xl", str(folder), "--out", str(tmp_path / "killed"), "--json"]
    command += ["--shard-records", "10", "--workers", "2"]
    receipts, kills = tmp_path / ".killed.preparing" / "receipts", 0
    # After so many shards, in whatever it is doing then; and once before the first.
    for shards in [0, *sorted(random.Random(5).sample(range(1, 29), 6)), 1000]:
        with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(list(receipts.glob("*.json"))) < shards:
                time.sleep(0.005)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
        time.sleep(0.2)  # its workers go with it
    assert kills >= 4
    prepare_store(PtbXl(str(folder)), tmp_path / "whole", replace(SETTINGS, seconds=10.0), shard_records=10)
    assert tree_of(tmp_path / "killed") == tree_of(tmp_path / "whole")


@dataclass(frozen=True)
class Unreadable(Many):
    """A source of which nothing can be read, for stages that need no records."""

    def read(self, entry: Entry) -> Record:
        raise RecordError(entry.place, "cannot be read", "nothing")


def test_a_preparation_that_yields_nothing_keeps_its_finished_shards_and_says_why(tmp_path):
    with pytest.raises(StoreError, match="none of 9 records can be used: 9 × cannot be read"):
        prepare_store(Unreadable(9), tmp_path / "out", SETTINGS, shard_records=4)
    assert not (tmp_path / "out").exists()
