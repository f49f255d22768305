"""What a preparation refuses and how it is told, and what it hands on to whoever does the work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmelt.errors import RecordError, SourceError
from cmelt.records.record import LEADS, Record
from cmelt.sources.source import Entry, Listing
from cmelt.store import ShardSettings, cluster, prepare_store
from cmelt.store import prepare as preparing
from cmelt.store.layout import canonical_json, write_synced
from cmelt.store.shard import Finished, Receipt, ShardTask, receipt_path
from cmelt.store.unchanged import check_unchanged
from ecg_files import heart
from listed_records import Listed
from refusals import refused

SETTINGS = ShardSettings(100.0, 10.0, "first", "key")
AGAIN = "let nothing write into it, then run it again: finished shards are kept"


class Reached(Exception):
    """The work would begin here."""


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What those who do the work are given; they do none."""
    seen: list[tuple[Any, ...]] = []

    def take(tasks: Iterator[ShardTask], *others: Any) -> Iterator[Finished]:
        seen.append((list(tasks), *others))
        raise Reached

    monkeypatch.setattr(preparing, "run_shards", take)
    monkeypatch.setattr(cluster, "run_on_dask", take)
    return seen


def many(count: int) -> Listed:
    return Listed(Listing(tuple(Entry(f"r{number}", "") for number in range(count))), {})


def test_512_records_a_shard_are_done_in_this_process_where_nothing_else_is_asked_for(handed_on, tmp_path):
    source = many(1025)
    with pytest.raises(Reached):
        prepare_store(source, tmp_path / "out", SETTINGS)
    tasks, workers = handed_on[0]
    assert workers == 1 and [len(task.entries) for task in tasks] == [512, 512, 1]
    assert [task.number for task in tasks] == [0, 1, 2] and tasks[1].entries[0].record == "r512"
    assert all(task.settings is SETTINGS and task.source is source for task in tasks)
    assert {task.folder for task in tasks} == {str(tmp_path / ".out.preparing")}
    assert list(tmp_path.iterdir()) == []  # nothing was done that is worth keeping


@pytest.mark.parametrize(("records", "workers"), [(9, 3), (8, 3), (6, 2), (1, 1), (0, 1), (60, 4)])
def test_there_are_no_more_workers_than_shards(handed_on, tmp_path, records, workers):
    with pytest.raises(Reached):
        prepare_store(many(records), tmp_path / "out", SETTINGS, workers=4, shard_records=3)
    assert handed_on[0][1] == workers


def test_a_cluster_is_told_its_address_and_the_number_of_workers(handed_on, tmp_path):
    with pytest.raises(Reached):
        prepare_store(many(9), tmp_path / "out", SETTINGS, workers=2, shard_records=3, dask="tcp://there:1")
    tasks, address, workers = handed_on[0]
    assert (len(tasks), address, workers) == (3, "tcp://there:1", 2)


EDGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("rate", {"rate": 20.0}, {"rate": 19.99}),
    ("rate", {"rate": 5000.0, "seconds": 1.0}, {"rate": 5000.01, "seconds": 1.0}),
    ("seconds", {"seconds": 1.0}, {"seconds": 0.99}),
    ("seconds", {"seconds": 600.0}, {"seconds": 600.01}),
    ("workers", {"workers": 1}, {"workers": 0}),
    ("shard-records", {"shard_records": 1}, {"shard_records": 0}),
    ("shard-records", {"rate": 20.0, "seconds": 1.0, "shard_records": 100_000}, {"shard_records": 100_001}),
]


@pytest.mark.parametrize(("name", "allowed", "forbidden"), EDGES)
def test_settings_are_taken_up_to_their_limits_and_not_beyond(handed_on, tmp_path, name, allowed, forbidden):
    def prepare(wanted: dict[str, Any]) -> None:
        options = {"shard_records": 1} | {key: value for key, value in wanted.items() if key not in ("rate", "seconds")}
        settings = replace(SETTINGS, **{key: value for key, value in wanted.items() if key in ("rate", "seconds")})
        prepare_store(many(2), tmp_path / "out", settings, **options)

    with pytest.raises(Reached):
        prepare(allowed)
    remedy = "rates 20 to 5000 Hz, 1 to 600 s, at least one worker, 1 to 100,000 a shard"
    with refused(f"--{name}", "is out of range", remedy):
        prepare(forbidden)


def test_a_shard_may_take_half_a_gibibyte_of_a_worker_s_memory(handed_on, tmp_path):
    fast = replace(SETTINGS, rate=500.0)
    with pytest.raises(Reached):
        prepare_store(many(2), tmp_path / "out", fast, shard_records=4473)
    fault = "4474 records make shards of more than 512 MiB, which every worker holds"
    with refused("--shard-records", fault, "give at most 4473"):
        prepare_store(many(2), tmp_path / "out", fast, shard_records=4474)
    longest = replace(SETTINGS, rate=5000.0, seconds=600.0)
    with pytest.raises(Reached):
        prepare_store(many(2), tmp_path / "out", longest, shard_records=7)


def test_what_lies_at_the_place_is_told_and_left_alone(handed_on, tmp_path):
    file, folder, empty = tmp_path / "file", tmp_path / "folder", tmp_path / "empty"
    file.write_text("a file")
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    empty.mkdir()
    for taken in (file, folder):
        with refused(taken, "exists already", "give another --out, or --force to replace it once the new one is complete"):
            prepare_store(many(2), taken, SETTINGS)
        with refused(taken, "is not a store, so it will not be replaced", "give another --out"):
            prepare_store(many(2), taken, SETTINGS, force=True)
    (folder / "manifest.json").write_text("{}")
    for free, force in ((empty, False), (empty, True), (folder, True), (tmp_path / "new", False)):
        with pytest.raises(Reached):
            prepare_store(many(2), free, SETTINGS, force=force)
    assert (folder / "thesis.tex").exists() and file.exists()


def listed(count: int, **broken: Exception) -> Listed:
    entries = tuple(Entry(f"r{number}", f"r{number}") for number in range(count))
    records = {entry.record: Record(heart(0), 100.0, LEADS, entry.record, origin=entry.place) for entry in entries}
    return Listed(Listing(entries), records | broken)


def test_where_no_record_can_be_used_the_three_commonest_reasons_are_told(tmp_path):
    faults = ["is torn", "is wet", "is torn", "is lost", "is burnt", "is wet", "is torn", "is lost", "is lost", "is lost"]
    broken = {f"r{number}": RecordError("x", fault) for number, fault in enumerate(faults)}
    told = "none of 10 records can be used: 4 × is lost; 3 × is torn; 2 × is wet"
    with refused(tmp_path / "out", told, "correct the source"):
        prepare_store(listed(10, **broken), tmp_path / "out", SETTINGS)


def test_a_store_that_cannot_be_put_in_place_is_told_and_its_work_kept(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    remedy = "make room, or mend the permissions, and run it again: finished shards are kept"
    with monkeypatch.context() as patched:
        patched.setattr(preparing, "rename", full)
        with refused(tmp_path / "out", "the store cannot be put there: No space left on device", remedy):
            prepare_store(listed(3), tmp_path / "out", SETTINGS, shard_records=1)
    told: list[tuple[int, int]] = []
    done = prepare_store(listed(3), tmp_path / "out", SETTINGS, shard_records=1, progress=lambda *news: told.append(news))
    assert done.shards_kept == 3 and told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_all_warnings_are_told_the_source_s_first(tmp_path):
    """Two patients of one signal, in two splits: one is held back."""
    entries = (Entry("a", "a", "test"), Entry("b", "b", "train"), Entry("c", "c"))
    records = {name: Record(heart(0), 100.0, LEADS, name, patient=name) for name in "abc"}
    source = Listed(Listing(entries, warnings=("look at it",)), records)
    warnings = prepare_store(source, tmp_path / "out", SETTINGS).warnings
    assert warnings[0] == "look at it" and len(warnings) > 1


@pytest.fixture
def task(tmp_path: Path) -> ShardTask:
    """Two of five records, with the receipt that says they are done; four came before."""
    source = many(5)
    made = ShardTask(2, tuple(source.entries().entries[3:]), SETTINGS, source, str(tmp_path))
    write_receipt(made)
    return made


def write_receipt(task: ShardTask) -> None:
    receipt = Receipt(task.fingerprint(), "", 0, "", 0, [])
    write_synced(receipt_path(task.folder, task.number), canonical_json(receipt.__dict__))


def test_a_source_that_is_as_it_was_has_nothing_to_be_told(task):
    assert check_unchanged(task.source, task.source.entries(), [task]) == ()


def test_records_that_came_are_counted_wherever_they_stand_in_the_list(task):
    before = task.source.entries()
    entries = list(before.entries)
    now = Listed(Listing((Entry("first", ""), *entries[:2], Entry("middle", ""), *entries[2:], Entry("last", ""))), {})
    told = "3 records came to the source while it was read, and are not in the store: prepare it again to have them"
    assert check_unchanged(now, before, [task]) == (told,)


@pytest.mark.parametrize(
    ("left", "gone"), [([1, 2, 3, 4], 1), ([0, 1, 2, 3], 5), ([0, 1, 3, 4], 3), ([0, 2, 1, 3, 4], 3), ([], 1)]
)
def test_the_first_record_that_is_gone_or_moved_is_told_by_its_number(task, left, gone):
    before = task.source.entries()
    now = Listed(Listing(tuple(before.entries[place] for place in left)), {})
    with refused("listed", f"it no longer lists record number {gone} as it did when this began", AGAIN):
        check_unchanged(now, before, [task])


def test_a_list_that_cannot_be_read_any_more_is_told(task, monkeypatch):
    def gone(_: object) -> Listing:
        raise SourceError("table.csv", "is gone", "bring it back")

    before = task.source.entries()
    monkeypatch.setattr(Listed, "entries", gone)
    with refused("listed", "its list of records can no longer be read: table.csv: is gone (bring it back)", AGAIN):
        check_unchanged(task.source, before, [task])


def test_the_shard_whose_files_changed_is_told_by_the_numbers_of_its_records(task):
    source, entries = task.source, task.source.entries().entries
    first = ShardTask(0, tuple(entries[:1]), SETTINGS, source, task.folder)
    second = ShardTask(1, tuple(entries[1:3]), SETTINGS, source, task.folder)
    for one in (first, second):
        write_receipt(one)
    assert check_unchanged(source, source.entries(), [first, second, task]) == ()
    for changed, numbers in ((first, "1 to 1"), (second, "2 to 3"), (task, "4 to 5")):
        others = [one for one in (first, second, task) if one is not changed]
        altered = replace(changed, source=replace(source, stamps={"": "later"}))
        where = f"number {numbers} of those that it lists"
        fault = f"files of one or more of its records ({where}) changed, or went away, since they were read"
        with refused("listed", fault, AGAIN):
            check_unchanged(source, source.entries(), sorted([altered, *others], key=lambda one: one.number))


def test_steps_are_rounded_and_reach_as_far_as_int16_on_both_sides():
    from cmelt.records.standard import StandardRecord
    from cmelt.store.shard import to_steps

    signal = np.zeros((12, 4), np.float32)
    signal[0] = [32.767, -32.767, 0.0014, -0.0016]
    steps, flags = to_steps(StandardRecord(signal, 100, (), (), 4))
    assert (steps.dtype, flags, steps[0].tolist()) == (np.int16, (), [32767, -32767, 1, -2])
    for lead, beyond, kept in ((3, 32.768, 32767), (11, -32.768, -32767), (0, -50.0, -32767), (0, 50.0, 32767)):
        beaten = signal.copy()
        beaten[lead, 1] = beyond
        steps, flags = to_steps(StandardRecord(beaten, 100, (), (), 4))
        assert flags == (f"beyond-range:{LEADS[lead]}",) and steps[lead, 1] == kept and steps.dtype == np.int16
        assert steps[0, 0] == 32767
