"""CODE-15 %: tables out of order, rows of zeros, padding, leads by position, parts that are not there."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from cmelt.errors import RecordError, SourceError
from cmelt.records.record import LEADS
from cmelt.sources.code_15 import Code15
from cmelt.sources.code_tracings import without_padding
from cmelt.store import ShardSettings, open_store, prepare_store
from code_files import EXAMS, EXAMS_HEADING, TEST_ORDER, tracing, write_code_15, write_part
from ecg_files import heart


def by_exam(source):
    return {int(entry.record): entry for entry in source.entries().entries}


def test_each_exam_has_its_own_tracing_though_the_table_is_in_another_order(tmp_path):
    source = Code15(str(write_code_15(tmp_path)))
    entries = by_exam(source)
    assert set(entries) == {exam for exam, _, _ in EXAMS}
    for exam, entry in entries.items():
        record = source.read(entry)
        assert np.array_equal(record.signal, heart(exam, 400.0, 7.0 if exam == 7 else 10.0))
        assert record.rate == 400
        assert record.leads == LEADS
        assert record.report is None


def test_labels_are_taken_by_the_name_of_their_column(tmp_path):
    entries = by_exam(Code15(str(write_code_15(tmp_path))))
    assert entries[4042].labels == ("code:AF",)
    assert entries[2873686].labels == ("code:ST",)
    assert entries[168405].labels == ("code:SB",)
    assert entries[7].labels == ("code:1dAVb", "code:RBBB")
    assert entries[1169160].labels == ("code:NORMAL",)


def test_age_sex_and_patient_come_from_the_table(tmp_path):
    entries = by_exam(Code15(str(write_code_15(tmp_path))))
    assert [(entries[exam].age, entries[exam].sex, entries[exam].patient) for exam in (4042, 1169160)] == [
        (30.0, "male", "500"),
        (31.0, "female", "500"),
    ]
    assert entries[4042].split is None


def test_exams_of_parts_that_are_not_there_are_counted_and_the_parts_named(tmp_path):
    listing = Code15(str(write_code_15(tmp_path))).entries()
    assert listing.missing_files == 1
    assert any("exams_part2.hdf5" in warning for warning in listing.warnings)


def test_parts_in_folders_of_their_own_are_found(tmp_path):
    folder = write_code_15(tmp_path)
    (folder / "exams_part1").mkdir()
    (folder / "exams_part1.hdf5").rename(folder / "exams_part1/exams_part1.hdf5")
    assert len(Code15(str(folder)).entries().entries) == len(EXAMS)


def test_without_any_part_it_says_where_they_are_to_be_had_and_to_unpack_them(tmp_path):
    folder = write_code_15(tmp_path)
    for part in (0, 1):
        (folder / f"exams_part{part}.hdf5").rename(folder / f"exams_part{part}.zip")
    with pytest.raises(SourceError, match=r"unpack exams_part0.zip.*zenodo.org/records/4916206.*CC BY"):
        Code15(str(folder)).entries()


def test_without_the_table_it_says_where_it_is_to_be_had(tmp_path):
    with pytest.raises(SourceError, match=r"exams.csv.*zenodo.org/records/4916206"):
        Code15(str(tmp_path)).entries()


def test_tracings_of_no_exam_are_left_out_and_counted_the_row_of_zeros_is_not(tmp_path):
    folder = write_code_15(tmp_path)
    assert not any("are of no exam" in warning for warning in Code15(str(folder)).entries().warnings)
    write_part(folder / "exams_part1.hdf5", [2873686, 4042, 123456], [tracing(n) for n in (2873686, 4042, 5)])
    listing = Code15(str(folder)).entries()
    assert len(listing.entries) == len(EXAMS)
    assert any("1 tracings are of no exam" in warning for warning in listing.warnings)


def test_a_part_that_lacks_an_exam_of_the_table_has_it_counted(tmp_path):
    folder = write_code_15(tmp_path)
    write_part(folder / "exams_part1.hdf5", [2873686], [tracing(2873686)])
    listing = Code15(str(folder)).entries()
    assert listing.missing_files == 2
    assert 4042 not in {int(entry.record) for entry in listing.entries}


def test_leads_in_another_order_than_published_are_noticed_and_named_rightly(tmp_path):
    source = Code15(str(write_code_15(tmp_path, TEST_ORDER)))
    listing = source.entries()
    assert any("aVL, aVF, aVR" in warning for warning in listing.warnings)
    record = source.read(by_exam(source)[4042])
    assert np.array_equal(record.signal, heart(4042, 400.0))


def test_leads_in_an_order_that_nobody_knows_are_refused(tmp_path):
    folder = write_code_15(tmp_path, ("V1", "V2", "V3", "V4", "V5", "V6", "I", "II", "III", "aVR", "aVL", "aVF"))
    with pytest.raises(SourceError, match="fit no order"):
        Code15(str(folder)).entries()


def test_padding_of_seven_and_ten_seconds_is_cut_to_the_sample():
    for seconds in (7.0, 10.0):
        assert np.array_equal(without_padding(tracing(1, seconds).T, "x"), heart(1, 400.0, seconds))


def test_zeros_that_a_recording_begins_and_ends_with_are_not_taken_for_padding():
    padded = tracing(1, 10.0)
    padded[48:60] = 0
    padded[-50:-48] = 0
    assert without_padding(padded.T, "x").shape == (12, 4000)


def test_a_zero_in_some_leads_is_no_padding():
    padded = tracing(1, 10.0)
    padded[:, 3] = 0
    assert without_padding(padded.T, "x").shape == (12, 4000)


def test_other_lengths_and_padding_on_one_side_are_cut_by_their_zeros():
    ending = np.zeros((12, 4096), dtype=np.float32)
    ending[:, :3000] = heart(2, 400.0, 7.5)
    assert without_padding(ending, "x").shape == (12, 3000)
    assert without_padding(tracing(3, 8.0).T, "x").shape == (12, 3200)


def test_samples_that_were_not_measured_are_no_padding():
    padded = tracing(1, 10.0)
    padded[48:60] = np.nan
    assert without_padding(padded.T, "x").shape == (12, 4000)


def test_an_empty_tracing_among_good_ones_is_one_record_s_fault(tmp_path):
    folder = write_code_15(tmp_path)
    with h5py.File(folder / "exams_part0.hdf5", "r+") as file:
        file["tracings"][0] = 0
    source = Code15(str(folder))
    entries = by_exam(source)
    with pytest.raises(RecordError, match="all zeros"):
        source.read(entries[7])
    assert source.read(entries[168405]).signal.shape == (12, 4000)


def test_microvolts_are_refused(tmp_path):
    folder = write_code_15(tmp_path)
    with h5py.File(folder / "exams_part0.hdf5", "r+") as file:
        file["tracings"][...] = file["tracings"][()] * 1000
    source = Code15(str(folder))
    with pytest.raises(RecordError, match="microvolts"):
        source.read(by_exam(source)[7])


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("exams_part0.hdf5", "../../etc/passwd", "names parts"),
        ("4042,", "x,", "not the table"),
        (",AF,", ",AFIB,", "not the table"),
        ("True", "perhaps", "neither true nor false"),
        ("\n7,", "\n4042,", "one id twice"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused(tmp_path, old, new, fault):
    folder = write_code_15(tmp_path)
    text = (folder / "exams.csv").read_text()
    (folder / "exams.csv").write_text(text.replace(old, new))
    with pytest.raises(SourceError, match=fault):
        Code15(str(folder)).entries()


def test_a_part_that_is_truncated_or_something_else_is_refused(tmp_path):
    folder = write_code_15(tmp_path)
    part = folder / "exams_part0.hdf5"
    content = part.read_bytes()
    for broken in (content[: len(content) // 2], b"nothing", b""):
        part.write_bytes(broken)
        with pytest.raises(SourceError, match="exams_part0"):
            Code15(str(folder)).entries()
    with h5py.File(part, "w") as file:
        file["tracings"] = np.zeros((3, 4096, 8), dtype=np.float32)
    with pytest.raises(SourceError, match="no array `tracings`"):
        Code15(str(folder)).entries()


def test_a_part_fetched_again_is_opened_again(tmp_path):
    source = Code15(str(write_code_15(tmp_path)))
    entry = by_exam(source)[7]
    before = source.read(entry).signal
    stamp = source.stamp(entry)
    write_part(tmp_path / "exams_part0.hdf5", [7, 168405, 1169160], [tracing(n) for n in (70, 168405, 1169160)])
    assert source.stamp(entry) != stamp
    assert not np.array_equal(source.read(entry).signal, before)


def test_a_store_is_prepared_by_several_processes_with_patients_in_one_split(tmp_path):
    source = Code15(str(write_code_15(tmp_path / "code")))
    prepared = prepare_store(source, tmp_path / "store", ShardSettings(100, 10, "first", "key"), workers=2, shard_records=2)
    assert (prepared.records, prepared.missing_files) == (5, 1)
    index = open_store(tmp_path / "store").index
    assert (index.groupby("patient")["split"].nunique() == 1).all()
    assert sorted(index["seconds"]) == [7.0, 10.0, 10.0, 10.0, 10.0]
    assert set(index["report"]) == {""}


@pytest.mark.slow
def test_a_table_of_full_size_is_listed_in_little_memory(tmp_path):
    import resource

    folder = tmp_path / "code"
    folder.mkdir()
    number = 345_779
    ids = np.random.default_rng(0).permutation(number) + 1
    with (folder / "exams.csv").open("w") as file:
        file.write(EXAMS_HEADING + "\n")
        for exam in ids:
            file.write(f"{exam},50,True,31.5,False,False,False,False,False,True,{exam // 2},,,False,exams_part{exam % 18}.hdf5\n")
    for part in range(18):
        mine = np.sort(ids[ids % 18 == part])
        with h5py.File(folder / f"exams_part{part}.hdf5", "w") as file:
            file["exam_id"] = mine
            tracings = file.create_dataset("tracings", (len(mine), 4096, 12), dtype="f4", chunks=(1, 4096, 12))
            for row in np.unique(np.linspace(0, len(mine) - 1, 24).astype(int)):
                tracings[row] = tracing(int(row))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    listing = Code15(str(folder)).entries()
    assert len(listing.entries) == number
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 * 1024
