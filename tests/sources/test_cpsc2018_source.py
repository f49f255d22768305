"""CPSC2018 in both of its layouts: the same classes, whoever published them; lists that fix the split."""

from __future__ import annotations

import numpy as np
import pytest

from challenge_files import write_challenge, write_cpsc_struct, write_reference, write_split_list
from cmelt.errors import RecordError, SourceError
from cmelt.records.record import LEADS
from cmelt.sources.cpsc2018 import RECORD_NAME, Cpsc2018
from cmelt.sources.vocabularies import CPSC2018
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart

CLASSES = {"A0001": (5,), "A0002": (1,), "A0003": (2, 5), "A0004": (6, 6), "A6877": (9,)}
CODES = {one.number: one.code for one in CPSC2018}


def original(tmp_path, classes=CLASSES):
    """Three training sets; the reference lies in the last, as published."""
    for position, name in enumerate(classes):
        write_cpsc_struct(
            tmp_path / f"TrainingSet{position % 3 + 1}/{name}.mat", heart(position, 500, 6.0), "Female", 40 + position
        )
    write_reference(tmp_path / "TrainingSet3/REFERENCE.csv", classes)
    return tmp_path


def copy_of_the_challenge(tmp_path, classes=CLASSES):
    for position, (name, numbers) in enumerate(classes.items()):
        comments = {"Age": str(40 + position), "Sex": "Female", "Dx": ",".join(CODES[number] for number in numbers)}
        write_challenge(tmp_path / f"cpsc_2018/g1/{name}", heart(position, 500, 6.0), comments=comments)
    return tmp_path


def test_both_layouts_say_the_same(tmp_path):
    sources = [Cpsc2018(str(original(tmp_path / "a"))), Cpsc2018(str(copy_of_the_challenge(tmp_path / "b")))]
    listings = [source.entries() for source in sources]
    for one, other in zip(listings[0].entries, listings[1].entries, strict=True):
        assert (one.record, one.labels, one.report, one.split) == (other.record, other.labels, other.report, other.split)
        records = [source.read(entry) for source, entry in zip(sources, (one, other), strict=True)]
        assert records[0].leads == records[1].leads == LEADS
        assert records[0].rate == records[1].rate == 500
        assert np.allclose(records[0].signal, records[1].signal, atol=5.1e-4)
        assert (records[0].age, records[0].sex) == (records[1].age, records[1].sex)
        assert records[0].labels == one.labels
    assert [listing.notes["classes"] for listing in listings] == ["from REFERENCE.csv", "from headers of the CinC Challenge"]


def test_classes_by_number_have_merl_s_names(tmp_path):
    labels = {entry.record: entry.labels for entry in Cpsc2018(str(original(tmp_path))).entries().entries}
    nine = {record: {label for label in held if label.startswith("cpsc:")} for record, held in labels.items()}
    assert nine == {
        "A0001": {"cpsc:CRBBB"}, "A0002": {"cpsc:NORM"}, "A0003": {"cpsc:AFIB", "cpsc:CRBBB"}, "A0004": {"cpsc:PAC"},
        "A6877": {"cpsc:STE"},
    }  # fmt: skip
    assert {"snomed:59118001", "cinc:CRBBB"} <= set(labels["A0001"])


def test_reports_are_made_of_the_classes_and_marked_so(tmp_path):
    listing = Cpsc2018(str(original(tmp_path))).entries()
    reports = {entry.record: entry.report for entry in listing.entries}
    assert reports["A0002"] == "12-lead ECG: normal electrocardiogram"
    assert reports["A0003"] == "12-lead ECG: atrial fibrillation; right bundle branch block"
    assert "not written by a clinician" in listing.notes["report"]
    assert "not told" in listing.notes["patients"]


def test_the_challenge_s_ventricular_ectopics_are_cpsc_s_premature_contractions(tmp_path):
    # In this part the Challenge codes them 164884008, which it did not score.
    write_challenge(tmp_path / "A0001", comments={"Dx": "164884008"})
    (entry,) = Cpsc2018(str(tmp_path)).entries().entries
    assert entry.labels == ("cpsc:VPC", "snomed:164884008")


def test_a_header_without_classes_is_a_record_without_labels(tmp_path):
    write_challenge(tmp_path / "A0001", comments={"Dx": ""})
    (entry,) = Cpsc2018(str(tmp_path)).entries().entries
    assert (entry.labels, entry.report) == ((), None)


def test_only_a0001_to_a6877_are_cpsc2018_s(tmp_path):
    names = [f"A{number:04d}" for number in range(10_000)]
    assert [name for name in names if RECORD_NAME.fullmatch(name)] == names[1:6878]
    for name in ("A0001", "A6878", "Q0001", "E00001"):
        write_challenge(tmp_path / name)
    assert [entry.record for entry in Cpsc2018(str(tmp_path)).entries().entries] == ["A0001"]


def test_lengths_differ_and_are_kept(tmp_path):
    write_challenge(tmp_path / "A0001", heart(1, 500, 6.0))
    write_challenge(tmp_path / "A0002", heart(2, 500, 60.0))
    prepare_store(Cpsc2018(str(tmp_path)), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "key"))
    index = open_store(tmp_path / "store").index
    assert index.seconds.tolist() == [6.0, 60.0]
    assert index.samples.tolist() == [600, 1000]


def test_lists_fix_the_split_and_choose_the_records(tmp_path):
    folder = copy_of_the_challenge(tmp_path / "data")
    held = {"train": {"A0001": ["CRBBB"]}, "val": {"A0002": ["NORM"]}, "test": {"A0003": ["AFIB", "CRBBB"], "A5000": ["STD"]}}
    names = [one.name for one in CPSC2018]
    paths = tuple(str(write_split_list(tmp_path / f"icbeb_{split}.csv", rows, names)) for split, rows in held.items())
    source = Cpsc2018(str(folder), splits=paths)
    listing = source.entries()
    assert {entry.record: entry.split for entry in listing.entries} == {
        "A0001": "train", "A0002": "validation", "A0003": "test",
    }  # fmt: skip
    assert listing.missing_files == 1  # A5000 is listed and not here
    assert not listing.warnings
    assert source.settings == {"splits": "icbeb_test.csv, icbeb_train.csv, icbeb_val.csv"}


def test_lists_that_contradict_the_classes_are_reported_and_the_classes_kept(tmp_path):
    folder = copy_of_the_challenge(tmp_path / "data")
    path = write_split_list(tmp_path / "train.csv", {"A0001": ["STE"], "A0002": ["NORM"]}, [one.name for one in CPSC2018])
    listing = Cpsc2018(str(folder), splits=(str(path),)).entries()
    assert "cpsc:CRBBB" in listing.entries[0].labels
    assert listing.warnings == ("1 records have other classes in the split lists than here; those here are kept",)


def test_lists_of_another_dataset_are_refused(tmp_path):
    folder = copy_of_the_challenge(tmp_path / "data")
    path = write_split_list(tmp_path / "chapman_train.csv", {"JS00001": []}, ["AFIB"], "ecg_path")
    with pytest.raises(SourceError, match="does not have"):
        Cpsc2018(str(folder), splits=(str(path),)).entries()


def test_records_of_the_reference_without_signal_are_counted(tmp_path):
    folder = original(tmp_path)
    (folder / "TrainingSet1/A0001.mat").unlink()
    listing = Cpsc2018(str(folder)).entries()
    assert "A0001" not in {entry.record for entry in listing.entries}
    assert listing.missing_files == 1


def test_a_copy_in_both_layouts_goes_by_its_headers(tmp_path):
    original(tmp_path)
    copy_of_the_challenge(tmp_path)
    source = Cpsc2018(str(tmp_path))
    listing = source.entries()
    assert len(listing.entries) == len(CLASSES) and listing.missing_files == 0
    assert all(source.read(entry).rate == 500 for entry in listing.entries)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A0001,10,,", r"row 2\): a class that is not 1 to 9"),
        ("A0001,x,,", "a class that is not 1 to 9"),
        ("B0001,1,,", "a record that CPSC2018 does not have"),
        ("A0001,5,,\nA0001,6,,", r"row 3\): a record with other classes than before"),
    ],
)
def test_a_reference_that_is_none_is_refused(tmp_path, row, said):
    write_cpsc_struct(tmp_path / "A0001.mat", heart(1, 500, 6.0))
    (tmp_path / "REFERENCE.csv").write_text(f"Recording,First_label,Second_label,Third_label\n{row}\n")
    with pytest.raises(SourceError, match=said):
        Cpsc2018(str(tmp_path)).entries()


def test_a_reference_saved_with_gaps_as_floats_is_read(tmp_path):
    write_cpsc_struct(tmp_path / "A0043.mat", heart(1, 500, 6.0))
    (tmp_path / "REFERENCE.csv").write_text("Recording,First_label,Second_label,Third_label\nA0043,5,2.0,\n")
    (entry,) = Cpsc2018(str(tmp_path)).entries().entries
    assert {"cpsc:AFIB", "cpsc:CRBBB"} <= set(entry.labels)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"2018\.icbeb\.org"):
        Cpsc2018(str(tmp_path / "absent")).entries()
    with pytest.raises(SourceError, match=r"A\*\.mat.*REFERENCE\.csv"):
        Cpsc2018(str(tmp_path)).entries()
    write_cpsc_struct(tmp_path / "A0001.mat", heart(1, 500, 6.0))
    with pytest.raises(SourceError, match=r"A\*\.hea.*REFERENCE\.csv"):
        Cpsc2018(str(tmp_path)).entries()


def test_a_challenge_signal_without_its_header_is_not_read_as_millivolts(tmp_path):
    """Its `val` counts thousandths of a millivolt, and says so nowhere."""
    write_challenge(tmp_path / "A0001").with_suffix(".hea").unlink()
    write_reference(tmp_path / "REFERENCE.csv", {"A0001": (1,)})
    source = Cpsc2018(str(tmp_path))
    with pytest.raises(RecordError):
        source.read(source.entries().entries[0])


def test_a_broken_struct_is_a_record_error(tmp_path):
    path = write_cpsc_struct(tmp_path / "A0001.mat", heart(1, 500, 6.0))
    write_reference(tmp_path / "REFERENCE.csv", {"A0001": (1,)})
    source = Cpsc2018(str(tmp_path))
    entry = source.entries().entries[0]
    stamp = source.stamp(entry)
    path.write_bytes(path.read_bytes()[:1000])
    assert source.stamp(entry) != stamp
    with pytest.raises(RecordError):
        source.read(entry)


def test_ages_that_nobody_has_are_left_out_of_structs_too(tmp_path):
    write_cpsc_struct(tmp_path / "A0001.mat", heart(1, 500, 6.0), age=-1)
    write_reference(tmp_path / "REFERENCE.csv", {"A0001": (1,)})
    source = Cpsc2018(str(tmp_path))
    assert source.read(source.entries().entries[0]).age is None


def test_the_real_structs_are_read(data_dir, tmp_path):
    folder = data_dir / "vendor-formats/cpsc2018-mat"
    for path in folder.glob("*.mat"):
        (tmp_path / path.name).symlink_to(path)
    write_reference(tmp_path / "REFERENCE.csv", {path.stem: (1,) for path in folder.glob("*.mat")})
    source = Cpsc2018(str(tmp_path))
    listing = source.entries()
    assert [entry.record for entry in listing.entries] == ["A1980", "A1981"]
    for entry in listing.entries:
        record = source.read(entry)
        assert record.rate == 500 and record.leads == LEADS
        assert 0.2 < np.ptp(record.signal[1]) < 20  # millivolts
        assert record.sex in ("female", "male")


def test_the_real_records_of_the_challenge_have_the_classes_and_splits_of_merl_s_lists(data_dir):
    folder = data_dir / "label-maps/other-datasets/icbeb"
    paths = tuple(str(folder / f"icbeb_{split}.csv") for split in ("train", "val", "test"))
    source = Cpsc2018(str(data_dir / "challenge-2021"), splits=paths)
    listing = source.entries()
    assert len(listing.entries) == 14
    assert listing.missing_files == 6877 - 14
    assert not listing.warnings  # every class as in the lists
    assert {entry.split for entry in listing.entries} <= {"train", "validation", "test"}
