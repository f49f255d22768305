"""A store is the source as it was at one moment: what changes while it is read is found out; two preparations never mix."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cmelt.errors import SourceError, StoreError
from cmelt.records.record import LEADS, Record
from cmelt.sources.about import About
from cmelt.sources.source import Entry, Listing
from cmelt.store import ShardSettings, open_store, prepare_store, staging
from cmelt.store import prepare as preparing
from ecg_files import heart

SETTINGS = ShardSettings(100.0, 5.0, "first", "key")


@dataclass
class Restless:
    """Nine records; after the last of them was read, `then` happens to the source."""

    then: Callable[[Restless], None] = lambda _: None
    records: list[Entry] = field(default_factory=lambda: [Entry(f"r{n}", str(n), patient=f"p{n}") for n in range(9)])
    times: dict[str, int] = field(default_factory=dict)
    lost: bool = False
    name: str = "restless"
    rate: float = 100.0
    about: ClassVar[About] = About(title="Restless", licence="computed here", access="computed")

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def entries(self) -> Listing:
        if self.lost:
            raise SourceError("restless", "no such folder", "mount it")
        return Listing(tuple(self.records))

    def read(self, entry: Entry) -> Record:
        if entry == self.records[-1]:
            self.then(self)
            self.then = lambda _: None
        return Record(heart(int(entry.place), seconds=5.0), 100.0, LEADS, entry.record, patient=entry.patient)

    def stamp(self, entry: Entry) -> str:
        return str(self.times.get(entry.record, 0))


def again(source: Restless, out: Path) -> Any:
    return prepare_store(source, out, SETTINGS, shard_records=4)


@pytest.mark.parametrize(
    ("then", "told"),
    [
        (lambda source: source.times.update(r1=5), r"number 1 to 4 of those that it lists\) changed"),
        (lambda source: source.times.update(r8=5), r"number 9 to 9"),
        (lambda source: source.records.pop(2), "no longer lists record number 3"),
        (lambda source: source.records.__setitem__(5, replace(source.records[5], patient="other")), "record number 6"),
        (lambda source: source.records.reverse(), "no longer lists record number"),
        (lambda source: setattr(source, "lost", True), "can no longer be read: restless: no such folder"),
    ],
)
def test_files_and_lists_that_change_while_they_are_read_end_it_and_what_is_right_is_kept(then, told, tmp_path):
    source = Restless(then)
    with pytest.raises(StoreError, match=told) as refused:
        again(source, tmp_path / "out")
    assert "r1" not in str(refused.value) and "p1" not in str(refused.value)  # names of records may be names
    assert not (tmp_path / "out").exists()
    source.lost = False
    prepared = again(source, tmp_path / "out")
    assert prepared.records == len(source.records)
    again(replace(source), tmp_path / "fresh")
    assert open_store(tmp_path / "out").sha256 == open_store(tmp_path / "fresh").sha256


def test_a_change_of_one_file_costs_its_shard_alone(tmp_path):
    source = Restless(lambda source: source.times.update(r1=5))
    with pytest.raises(StoreError, match="run it again"):
        again(source, tmp_path / "out")
    assert again(source, tmp_path / "out").shards_kept == 2


def test_records_that_came_meanwhile_are_told_and_not_in_the_store(tmp_path):
    source = Restless(lambda source: source.records.insert(3, Entry("new", "77")))
    prepared = again(source, tmp_path / "out")
    assert prepared.records == 9 and "1 records came to the source" in prepared.warnings[-1]
    assert open_store(tmp_path / "out").manifest["warnings"] == []  # the store is that of an unchanging source
    again(Restless(), tmp_path / "quiet")
    assert open_store(tmp_path / "quiet").sha256 == prepared.sha256


def test_one_that_comes_when_another_has_just_finished_refuses_and_leaves_nothing(tmp_path, monkeypatch):
    real = preparing.only_one

    @contextmanager
    def late(folder):
        monkeypatch.setattr(preparing, "only_one", real)
        again(Restless(), tmp_path / "out")
        with real(folder):
            yield

    monkeypatch.setattr(preparing, "only_one", late)
    with pytest.raises(StoreError, match="exists already"):
        again(Restless(), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_lock_is_on_the_folder_that_is_there_and_not_on_one_that_its_owner_removed(tmp_path, monkeypatch):
    real, folder = fcntl.flock, tmp_path / ".out.preparing"

    def removed_meanwhile(*given: Any) -> None:
        monkeypatch.setattr(staging.fcntl, "flock", real)
        staging._remove(folder)
        real(*given)

    monkeypatch.setattr(staging.fcntl, "flock", removed_meanwhile)
    with staging.only_one(folder), pytest.raises(StoreError, match="another process"), staging.only_one(folder):
        pass
    assert not folder.exists()


def test_what_a_preparation_left_that_was_killed_after_publishing_is_removed_and_nothing_else(tmp_path):
    prepared = again(Restless(), tmp_path / "out")
    left, aside = tmp_path / ".out.preparing", tmp_path / ".staging-.out.preparing-old-1"
    for folder in (left, aside):
        (folder / "receipts").mkdir(parents=True)
    (left / "sealed").write_text("another store's")
    staging.remove_published(left, tmp_path / "out")
    assert left.exists() and not aside.exists()
    (left / "sealed").write_text(prepared.sha256)
    staging.remove_published(left, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
