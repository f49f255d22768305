"""PTB-XL: the benchmark's counts, folds, vocabularies, and the traps of its table."""

from __future__ import annotations

from collections import Counter

import pytest

from cmelt.errors import SourceError
from cmelt.sources.ptb_xl import DATABASE, PtbXl, _entry, read_vocabularies
from cmelt.sources.tables import read_csv
from ecg_files import write_ptb_xl


@pytest.fixture(scope="module")
def listing(data_dir):
    return PtbXl(str(data_dir / "ptb-xl")).entries()


@pytest.fixture(scope="module")
def whole_table(data_dir):
    """Every row of the published table, whether its files are here or not."""
    folder = data_dir / "ptb-xl"
    vocabularies = read_vocabularies(folder / "scp_statements.csv")
    table = read_csv(folder / DATABASE, ())
    return [_entry(row, "filename_lr", vocabularies, str(folder / DATABASE)) for row in table.to_dict("records")]


def test_counts_of_the_local_copy(listing):
    assert len(listing.entries) == 2015
    assert listing.missing_files == 21_799 - 2015
    assert Counter(entry.split for entry in listing.entries) == {"train": 1510, "validation": 246, "test": 259}
    assert len({entry.patient for entry in listing.entries}) == 1878
    supers = Counter(label for entry in listing.entries for label in entry.labels if label.startswith("super:"))
    assert supers == {"super:NORM": 1067, "super:STTC": 472, "super:CD": 415, "super:MI": 378, "super:HYP": 220}


def test_development_folds_leave_the_official_test_folds_out(data_dir, listing):
    development = PtbXl(str(data_dir / "ptb-xl"), development=True).entries()
    official = {entry.record: entry.split for entry in listing.entries}
    assert {official[entry.record] for entry in development.entries} == {"train"}
    splits = Counter(entry.split for entry in development.entries)
    assert sum(splits.values()) == 1510
    assert min(splits["validation"], splits["test"]) > 150


@pytest.mark.parametrize(
    ("kind", "classes", "counts"),
    [
        ("super", 5, (17_084, 2146, 2158)),
        ("sub", 23, (17_084, 2146, 2158)),
        ("form", 19, (7197, 901, 880)),
        ("rhythm", 12, (16_832, 2100, 2098)),
    ],
)
def test_the_benchmark_tasks_have_their_published_sizes(whole_table, kind, classes, counts):
    of_kind = [entry for entry in whole_table if any(label.startswith(f"{kind}:") for label in entry.labels)]
    splits = Counter(entry.split for entry in of_kind)
    assert (splits["train"], splits["validation"], splits["test"]) == counts
    assert len({label for entry in of_kind for label in entry.labels if label.startswith(f"{kind}:")}) == classes


def test_patients_do_not_cross_the_folds(whole_table):
    splits: dict[str, set[str]] = {}
    for entry in whole_table:
        splits.setdefault(entry.patient, set()).add(entry.split)
    assert len(splits) == 18_869
    assert all(len(found) == 1 for found in splits.values())


def test_ages_and_sexes(whole_table):
    assert max(entry.age for entry in whole_table) == 90
    assert sum(entry.age == 90 for entry in whole_table) == 293
    assert Counter(entry.sex for entry in whole_table) == {"male": 11_354, "female": 10_445}


def test_a_statement_counts_whatever_its_likelihood(tmp_path):
    entries = PtbXl(str(write_ptb_xl(tmp_path, 3))).entries().entries
    assert entries[1].labels == ("form:NDT", "rhythm:SR", "scp:NDT", "scp:SR", "sub:STTC", "super:STTC")


def test_the_float_patient_becomes_a_whole_number_and_age_300_is_90(tmp_path):
    entries = PtbXl(str(write_ptb_xl(tmp_path, 3))).entries().entries
    assert [entry.patient for entry in entries] == ["1000", "1001", "1001"]
    assert entries[1].age == 90
    assert [entry.sex for entry in entries[:2]] == ["female", "male"]


def test_rows_without_files_are_counted(tmp_path):
    listing = PtbXl(str(write_ptb_xl(tmp_path, 3))).entries()
    assert (len(listing.entries), listing.missing_files) == (3, 1)


def test_the_other_rate_reads_the_other_files(data_dir):
    source = PtbXl(str(data_dir / "ptb-xl"), 500.0)
    listing = source.entries()
    assert len(listing.entries) == 536
    record = source.read(listing.entries[0])
    assert (record.rate, record.signal.shape) == (500, (12, 5000))


def test_a_rate_without_files_is_refused():
    with pytest.raises(SourceError, match="250 Hz"):
        PtbXl("anywhere", 250.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scp_codes", "codes", "no column scp_codes"),
        ("{'IMI': 15.0}", "{'XYZ': 15.0}", "XYZ"),
        ("{'IMI': 15.0}", "__import__('os')", "cannot be read"),
        ("{'IMI': 15.0}", "[1]", "no dictionary"),
        (",1,records100", ",11,records100", "fold of 1 to 10"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused(tmp_path, old, new, message):
    table = write_ptb_xl(tmp_path, 3) / DATABASE
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(SourceError, match=message):
        PtbXl(str(tmp_path)).entries()


def test_a_folder_without_the_database_says_what_is_missing_where_to_get_it_and_under_which_licence(tmp_path):
    with pytest.raises(SourceError, match=r"missing ptbxl_database\.csv .*scp_statements\.csv .*physionet\.org.*CC BY 4\.0"):
        PtbXl(str(tmp_path)).entries()


def test_tables_without_any_recording_are_refused(tmp_path):
    write_ptb_xl(tmp_path, 0)
    with pytest.raises(SourceError, match="none of the 1 records"):
        PtbXl(str(tmp_path)).entries()
