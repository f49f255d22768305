"""LUDB: its table's cells, its lower-case leads, what is missing from a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmelt.errors import SourceError
from cmelt.records.record import LEADS
from cmelt.sources.ludb import FINDINGS, Ludb, findings
from cmelt.store import ShardSettings, open_store, prepare_store
from ludb_files import COLUMNS, write_ludb


@pytest.fixture
def ludb(tmp_path):
    return Ludb(str(write_ludb(tmp_path / "ludb")))


def rewrite(ludb: Ludb, old: str, new: str) -> None:
    path = Path(ludb.folder) / "ludb.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_each_line_of_a_cell_is_a_finding_of_its_own(ludb):
    first, second, _ = ludb.entries().entries
    assert first.labels == (
        "ludb:Electric axis of the heart: left axis deviation",
        "ludb:Left ventricular hypertrophy",
        "ludb:Left ventricular overload",
        "ludb:Non-specific repolarization abnormalities: posterior wall",
        "ludb:Sinus bradycardia",
    )
    assert "ludb:Ventricular extrasystole, localisation: LVOT, LVS" in second.labels
    assert "ludb:Ventricular extrasystole, type: single PVC" in second.labels


def test_a_comma_in_a_finding_divides_nothing(ludb):
    assert "ludb:Atrial flutter, typical" in ludb.entries().entries[1].labels


def test_a_finding_has_one_name_however_it_is_written(ludb):
    third = ludb.entries().entries[2]
    assert third.labels == (
        "ludb:Early repolarization syndrome",
        "ludb:Non-specific repolarization abnormalities: apical",
        "ludb:Sinus rhythm",
    )
    assert findings("Rhythm: Sinus rhythm.\n") == findings(" Sinus  rhythm ") == ["Sinus rhythm"]
    assert findings("") == findings(" \n") == []


def test_the_report_tells_the_findings_in_the_table_s_order(ludb):
    assert ludb.entries().entries[0].report == (
        "Sinus bradycardia. Electric axis of the heart: left axis deviation. Left ventricular hypertrophy. "
        "Left ventricular overload. Non-specific repolarization abnormalities: posterior wall."
    )


def test_age_and_sex_are_read_through_line_breaks_and_over_89_is_90(ludb):
    listing = ludb.entries()
    assert [entry.age for entry in listing.entries] == [51, 90, 64]
    assert [entry.sex for entry in listing.entries] == ["female", "male", "male"]
    assert "90" in listing.notes["age"]


def test_lower_case_leads_become_the_twelve(ludb):
    record = ludb.read(ludb.entries().entries[0])
    assert record.leads == LEADS
    assert (record.rate, record.signal.shape) == (500.0, (12, 5000))


def test_the_table_goes_before_the_header_s_comments(ludb):
    record = ludb.read(ludb.entries().entries[0])
    assert (record.age, record.sex) == (51, "female")
    assert "something else" not in (record.report or "")


def test_every_record_is_another_patient_s(ludb):
    entries = ludb.entries().entries
    assert len({entry.patient for entry in entries}) == len(entries)
    assert {entry.split for entry in entries} == {None}


def test_rows_without_files_are_counted_and_files_without_rows_told(ludb, tmp_path):
    assert ludb.entries().missing_files == 1
    assert ludb.entries().warnings == ()
    rewrite(ludb, "\n3,", "\n33,")
    listing = ludb.entries()
    assert [entry.record for entry in listing.entries] == ["1", "2"]
    assert "1 records of `data` have no row" in listing.warnings[0]


def test_what_is_missing_is_named_with_where_to_get_it(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceError, match=r"ludb\.csv.*physionet\.org/content/ludb"):
        Ludb(str(tmp_path)).entries()
    with pytest.raises(SourceError, match="the recordings"):
        Ludb(str(write_ludb(tmp_path / "x", present=0))).entries()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('\n4,"F', '\n4,"X', "neither F nor M"),
        ('"33\n"', '"about 33\n"', "an age that cannot be read"),
        ("\n4,", "\nfour,", "not a number"),
        ("\n4,", "\n../../4,", "not a number"),
        ("\n4,", "\n3,", "twice"),
        ("Extrasystolies", "Extra", "no column Extrasystolies"),
    ],
)
def test_a_table_that_is_not_ludb_s_is_refused(ludb, old, new, message):
    rewrite(ludb, old, new)
    with pytest.raises(SourceError, match=message):
        ludb.entries()


def test_blanks_around_column_names_do_no_harm(ludb):
    rewrite(ludb, "Hypertrophies", ' "Hypertrophies\n"'.strip())
    assert "ludb:Left ventricular overload" in ludb.entries().entries[0].labels


def test_the_columns_are_those_of_the_published_table():
    assert ("ID", "Sex", "Age", *FINDINGS) == COLUMNS


def test_it_becomes_a_store(ludb, tmp_path):
    prepare_store(ludb, tmp_path / "store", ShardSettings(100.0, 10.0, "first", "a test's key"))
    index = open_store(tmp_path / "store").index
    assert list(index["record"]) == ["1", "2", "3"]
    assert index["report"][0].startswith("Sinus bradycardia.")
