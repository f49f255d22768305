"""A long listing in columns gives back the entries it was made of."""

from __future__ import annotations

import pickle

import pytest

from cmelt.sources.entry_table import EntryTable
from cmelt.sources.source import Entry

ENTRIES = [
    Entry("r1", "a/r1", "train", "p1", "sinus rhythm", ("scp:SR", "super:NORM"), 61.5, "female"),
    Entry("r2", "a/r2"),
    Entry("r3", "p1/r3", "test", "p1", "sinus rhythm", ("scp:SR",), None, None, "r3"),
]


def test_entries_come_back_as_they_went_in():
    table = EntryTable.collect(iter(ENTRIES))
    assert list(table) == ENTRIES
    assert table[1] == ENTRIES[1] and table[-1] == ENTRIES[2]
    assert table[1:] == tuple(ENTRIES[1:]) and table[0:99] == tuple(ENTRIES) and table[::2] == (ENTRIES[0], ENTRIES[2])
    with pytest.raises(IndexError):
        table[3]


def test_a_listing_may_be_empty_and_long():
    assert list(EntryTable.collect([])) == []
    many = EntryTable.collect(Entry(f"r{n}", f"p/r{n}", patient=f"p{n // 5}") for n in range(45_000))
    assert len(many) == 45_000
    assert [entry.record for entry in many[39_999:40_002]] == ["r39999", "r40000", "r40001"]
    assert sum(1 for _ in many) == 45_000


def test_it_goes_to_another_process_and_equals_itself():
    table = EntryTable.collect(ENTRIES)
    assert pickle.loads(pickle.dumps(table)) == table  # noqa: S301
    assert table != EntryTable.collect(ENTRIES[:2])
