"""Published lists say the split of each record, or are refused with the row that does not."""

from __future__ import annotations

import re

import pytest

from challenge_files import write_split_list
from cmelt.errors import SourceError
from cmelt.sources.split_lists import read_split_lists

NAMES = re.compile(r"A\d{4}")


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_the_name_of_a_list_tells_its_split(tmp_path):
    for split, name in (("train", "a_train.csv"), ("validation", "a_val.csv"), ("test", "icbeb-test.csv")):
        path = write_split_list(tmp_path / name, {"A0001": ["AFIB"]}, ["AFIB", "NORM"])
        lists = read_split_lists([str(path)], NAMES, ["NORM", "AFIB"])
        assert lists.splits == {"A0001": split}
        assert lists.labels == {"A0001": ("AFIB",)}
        assert lists.columns == ("NORM", "AFIB")


def test_a_column_tells_it_row_by_row_whatever_the_name(tmp_path):
    path = written(tmp_path, "mine.csv", "record,split\nA0001,train\nA0002,Val\nA0003,test\n")
    assert read_split_lists([path], NAMES, ["AFIB"]).splits == {"A0001": "train", "A0002": "validation", "A0003": "test"}


def test_records_are_named_by_paths_and_files_too(tmp_path):
    path = written(tmp_path, "train.csv", "ecg_path\n/x/y/A0001.mat\nA0002.hea\nx\\A0003\n")
    assert set(read_split_lists([path], NAMES, []).splits) == {"A0001", "A0002", "A0003"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("train.csv", "name\nA0001\n", "no column names the record"),
        ("list.csv", "record\nA0001\n", "does not say which split"),
        ("training_of_contestants.csv", "record,split\nA0001,fold 3\n", "none of ours"),
        ("train.csv", "record\nJS00001\n", r"row 2\): a record that this source does not have"),
        ("train.csv", "record\nA0001\nA0001\n", r"row 3\): a record that is listed twice"),
        ("train.csv", "record,AFIB\nA0001,maybe\n", "AFIB holds neither 0 nor 1"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(tmp_path, name, text, said):
    with pytest.raises(SourceError, match=said):
        read_split_lists([written(tmp_path, name, text)], NAMES, ["AFIB"])


def test_a_record_in_two_lists_would_be_trained_on_and_tested(tmp_path):
    paths = [written(tmp_path, f"x_{split}.csv", "record\nA0001\n") for split in ("train", "test")]
    with pytest.raises(SourceError, match="listed twice"):
        read_split_lists(paths, NAMES, [])


def test_a_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"absent_test\.csv"):
        read_split_lists([str(tmp_path / "absent_test.csv")], NAMES, [])


def test_merl_s_lists_are_read_whole(data_dir):
    folder = data_dir / "label-maps/other-datasets/icbeb"
    lists = read_split_lists([str(folder / f"icbeb_{split}.csv") for split in ("train", "val", "test")], NAMES, ["AFIB", "STD"])
    counts = {split: list(lists.splits.values()).count(split) for split in ("train", "validation", "test")}
    assert counts == {"train": 4950, "validation": 551, "test": 1376}
    assert lists.splits["A2600"] == "validation"
    assert sum("AFIB" in held for held in lists.labels.values()) == 1221
