"""CODE-test: everything by position, leads in an order of its own, all of it a test set."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from cmelt.errors import SourceError
from cmelt.records.leads import check_limb_leads
from cmelt.records.record import LEADS
from cmelt.sources.code_test import CodeTest
from code_files import write_code_test
from ecg_files import heart


def test_leads_stand_in_their_own_order_and_come_out_by_name(tmp_path):
    source = CodeTest(str(write_code_test(tmp_path)))
    listing = source.entries()
    assert listing.warnings == ()
    for number, entry in enumerate(listing.entries):
        record = source.read(entry)
        assert record.leads == LEADS
        assert check_limb_leads(record.signal, record.leads).error < 1e-5
        assert np.allclose(record.signal, heart(number, 400.0, 7.0 if number == 1 else 10.0))


def test_a_copy_in_the_usual_order_is_read_rightly_and_said_to_be_one(tmp_path):
    source = CodeTest(str(write_code_test(tmp_path, order=LEADS)))
    listing = source.entries()
    assert any("aVR, aVL, aVF" in warning for warning in listing.warnings)
    assert np.allclose(source.read(listing.entries[0]).signal, heart(0, 400.0))


def test_labels_age_and_sex_go_by_position(tmp_path):
    entries = CodeTest(str(write_code_test(tmp_path))).entries().entries
    assert [entry.labels for entry in entries] == [("code:RBBB",), (), ("code:1dAVb", "code:AF"), ()]
    assert [(entry.age, entry.sex) for entry in entries[:2]] == [(34.0, "male"), (35.0, "female")]


def test_all_of_it_is_test_and_each_exam_another_patient(tmp_path):
    entries = CodeTest(str(write_code_test(tmp_path))).entries().entries
    assert {entry.split for entry in entries} == {"test"}
    assert len({entry.patient for entry in entries}) == len(entries)
    assert {entry.report for entry in entries} == {None}


def test_it_is_found_in_the_archive_s_own_folder(tmp_path):
    write_code_test(tmp_path / "data")
    source = CodeTest(str(tmp_path))
    assert source.read(source.entries().entries[0]).signal.shape == (12, 4000)


def test_tables_of_another_length_are_refused_for_nothing_else_binds_them(tmp_path):
    folder = write_code_test(tmp_path)
    path = folder / "attributes.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(SourceError, match="differ in length"):
        CodeTest(str(folder)).entries()


def test_what_is_missing_is_named_with_its_place_and_licence(tmp_path):
    folder = write_code_test(tmp_path)
    (folder / "annotations/gold_standard.csv").unlink()
    with pytest.raises(SourceError, match=r"gold_standard.csv.*zenodo.org/records/3765780.*CC BY"):
        CodeTest(str(folder)).entries()


def test_a_mark_that_is_neither_yes_nor_no_is_refused(tmp_path):
    folder = write_code_test(tmp_path)
    path = folder / "annotations/gold_standard.csv"
    path.write_text(path.read_text().replace("0,1,0,0,0,0", "0,7,0,0,0,0"))
    with pytest.raises(SourceError, match="line 2 holds what is neither 0 nor 1"):
        CodeTest(str(folder)).entries()


def test_values_in_another_file_are_not_followed(tmp_path):
    folder = write_code_test(tmp_path)
    (tmp_path / "outside.bin").write_bytes(b"\0" * 4096 * 12 * 4 * 4)
    with h5py.File(folder / "ecg_tracings.hdf5", "w") as file:
        file.create_dataset("tracings", (4, 4096, 12), dtype="f4", external=[(tmp_path / "outside.bin", 0, 4096 * 12 * 16)])
    with pytest.raises(SourceError, match="other files"):
        CodeTest(str(folder)).entries()
