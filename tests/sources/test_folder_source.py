"""One's own archive: what its table may say, and what it may not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cmelt.errors import SourceError
from cmelt.records.readers import read_ecg
from cmelt.sources.folder import Folder
from ecg_files import heart, write_wfdb

FULL = """record,patient,report,labels,split,age,sex,ward
a/r1,007,"Sinus rhythm, normal ECG",sinus rhythm;normal,train,61,F,3
a/r2,,,,,,,
b/r3,NA,AF,atrial fibrillation,Test,,male,1
"""


@pytest.fixture
def archive(tmp_path):
    for number, place in enumerate(("a/r1", "a/r2", "b/r3")):
        write_wfdb(tmp_path / "tree" / place, heart(number), comments="#Age: 33\n#Sex: Male\n#Dx: 426783006\n")
    return tmp_path / "tree"


def listed(archive, table: str):
    path = archive.parent / "t.csv"
    path.write_text(table, encoding="utf-8")
    return Folder(str(archive), str(path)).entries()


def test_every_column_arrives(archive):
    first, second, third = listed(archive, FULL).entries
    assert (first.record, first.patient, first.report) == ("a/r1", "007", "Sinus rhythm, normal ECG")
    assert first.labels == ("sinus rhythm", "normal")
    assert (first.split, first.age, first.sex) == ("train", 61, "female")
    assert (second.patient, second.report, second.labels, second.split) == (None, None, (), None)
    assert (second.age, second.sex) == (None, None)
    assert (third.patient, third.split, third.sex) == ("NA", "test", "male")


def test_columns_that_mean_nothing_here_are_named(archive):
    assert listed(archive, FULL).warnings == ("columns of the table that are not used: ward",)


def test_the_table_goes_before_the_file(archive):
    source = Folder(str(archive), str(archive.parent / "t.csv"))
    first, second, _ = listed(archive, FULL).entries
    described, bare = source.read(first), source.read(second)
    assert (described.age, described.sex, described.labels) == (61, "female", ("sinus rhythm", "normal"))
    assert (bare.age, bare.sex, bare.labels) == (33, "male", ("snomed:426783006",))


def test_parquet_says_the_same_as_csv(archive):
    table = pd.DataFrame(
        {"record": ["a/r1", "b/r3"], "patient": [7.0, None], "labels": [["x", "y"], []], "age": [61, 40], "report": ["a", None]}
    )
    table.to_parquet(archive.parent / "t.parquet")
    first, second = Folder(str(archive), str(archive.parent / "t.parquet")).entries().entries
    assert (first.patient, first.labels, first.age, first.report) == ("7", ("x", "y"), 61, "a")
    assert (second.patient, second.labels, second.report) == (None, (), None)


def test_without_a_table_the_tree_is_listed(archive):
    assert [entry.record for entry in Folder(str(archive)).entries().entries] == ["a/r1", "a/r2", "b/r3"]


def test_a_byte_order_mark_does_no_harm(archive):
    assert listed(archive, "\ufeff" + FULL).entries[0].record == "a/r1"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,report\na/r1,x\n", "no column record among its 2"),
        ("record\n", "no rows"),
        ("", "cannot be read"),
        ("record\na/r1\na/r1\n", "more than once"),
        ("record\n../secret\n", "leaves the folder"),
        ("record\n/etc/passwd\n", "leaves the folder"),
        ("record\na/../../x\n", "leaves the folder"),
        ("record,report\n,x\n", "no record is named"),
        ("record,pseudonym\na/r1,x\nb/r3,x\n", "pseudonyms are listed more than once"),
        ("record,pseudonym\na/r1,x\nb/r3,\n", r"row 3\): a record without a pseudonym"),
        ("record,split\na/r1,dev\n", r"row 2\): a split that is none of ours"),
        ("record,sex\na/r1,7\n", "a sex that cannot be read"),
        ("record,age\na/r1,old\n", "an age that cannot be read"),
        ("record,age\na/r1,-4\n", "an age that cannot be read"),
        ("record,age\na/r1,nan\n", "an age that cannot be read"),
    ],
)
def test_a_wrong_table_is_refused_with_its_row(archive, table, message):
    with pytest.raises(SourceError, match=message):
        listed(archive, table)


def test_a_linked_folder_that_leads_out_is_refused(archive):
    write_wfdb(archive.parent / "outside/r", heart())
    (archive / "way").symlink_to(archive.parent / "outside")
    with pytest.raises(SourceError, match="leaves the folder"):
        listed(archive, "record\nway/r\n")


def test_a_record_goes_by_its_pseudonym_wherever_its_path_would_stand(archive):
    first, second = listed(archive, "record,pseudonym\na/r1,E-1\nb/r3,E-2\n").entries
    source = Folder(str(archive), str(archive.parent / "t.csv"))
    assert [(entry.record, entry.origin) for entry in (first, second)] == [("E-1", "E-1"), ("E-2", "E-2")]
    assert (source.read(second).identifier, source.read(second).origin) == ("E-2", "E-2")
    assert np.array_equal(source.read(second).signal, read_ecg(archive / "b/r3.hea").signal)


def test_a_table_without_headings_is_refused_without_its_first_row(archive):
    with pytest.raises(SourceError, match="no column record among its 3") as caught:
        listed(archive, "a/r1,Jane Doe,secret words\n")
    assert "Jane" not in str(caught.value) and "secret" not in str(caught.value)


def test_what_is_printed_of_an_entry_or_a_record_is_not_the_patient(archive):
    source = Folder(str(archive), str(archive.parent / "t.csv"))
    entry = listed(archive, "record,patient,report\na/r1,Jane Doe,secret words\n").entries[0]
    for said in (repr(entry), repr(source.read(entry))):
        assert "a/r1" in said and "Jane" not in said and "secret" not in said


def test_no_message_repeats_the_row(archive):
    with pytest.raises(SourceError) as caught:
        listed(archive, "record,patient,report,age\na/r1,Jane Doe,secret words,old\n")
    assert "Jane" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("make", ["missing", "empty"])
def test_a_folder_without_records_is_refused(tmp_path, make):
    if make == "empty":
        (tmp_path / "x").mkdir()
    with pytest.raises(SourceError):
        Folder(str(tmp_path / "x")).entries()
