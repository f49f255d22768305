"""The folder in which a store comes to be: who holds it, what is cleared away and what is kept, and the files of its shards."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cmelt.errors import RecordError, StoreError
from cmelt.records.record import LEADS, Record
from cmelt.sources.source import Entry, Listing
from cmelt.store import ShardSettings, staging
from cmelt.store.layout import canonical_json, manifest_sha256, write_synced
from cmelt.store.same_signal import beginnings, confirm_groups
from cmelt.store.shard import (
    Finished,
    ShardTask,
    finish_shard,
    read_receipt,
    receipt_path,
    rows_path,
    shard_path,
)
from cmelt.store.staging import only_one, remove_published, say_sealed, see_finished
from cmelt.store.workers import run_shards, worker_number
from ecg_files import heart
from listed_records import Listed
from refusals import refused

KEPT = "run it again: finished shards are kept"


@pytest.fixture
def task(tmp_path: Path) -> ShardTask:
    """Shard 7: two records, one that is broken and one whose reader stumbles."""
    records: dict[str, Record | Exception] = {
        "a": Record(heart(0), 100.0, LEADS, "a", patient="p"),
        "b": RecordError("b.dat", "is broken", "mend it"),
        "c": ZeroDivisionError("Doe, Jane"),
        "d": Record(heart(6), 100.0, LEADS, "d"),
    }
    source = Listed(Listing(tuple(Entry(name, name) for name in "abcd")), records, {"edition": "1"})
    settings = ShardSettings(100.0, 10.0, "first", "key")
    return ShardTask(7, source.entries().entries, settings, source, str(tmp_path / "work"))


def test_a_finished_shard_is_three_files_that_vouch_for_one_another(task):
    assert finish_shard(task) == Finished(7, 4, False)
    work = Path(task.folder)
    array, rows, receipt = work / "store/shards/00007.npy", work / "receipts/00007.parquet", work / "receipts/00007.json"
    assert [path for path in sorted(work.rglob("*")) if path.is_file()] == sorted([array, rows, receipt])
    assert (shard_path(work, 7), rows_path(str(work), 7), receipt_path(work, 7)) == (array, rows, receipt)
    assert json.loads(receipt.read_bytes()) == {
        "fingerprint": task.fingerprint(),
        "sha256": hashlib.sha256(array.read_bytes()).hexdigest(),
        "bytes": array.stat().st_size,
        "rows_sha256": hashlib.sha256(rows.read_bytes()).hexdigest(),
        "records": 2,
        "quarantine": [
            {"record": "b", "path": "b", "reason": "is broken", "remedy": "mend it"},
            {
                "record": "c", "path": "c", "reason": "its reader failed (ZeroDivisionError)",
                "remedy": "leave it out, and report it",
            },
        ],
    }  # fmt: skip
    found = np.load(array)
    assert found.dtype == np.int16 and found.shape == (2, 12, 1000)
    assert np.abs(found[1] - 1000 * heart(6)).max() <= 0.51
    assert pq.read_table(rows)["record"].to_pylist() == ["a", "d"]
    assert finish_shard(task) == Finished(7, 4, True)


def test_whatever_decides_a_shard_s_content_decides_its_name(task):
    source = task.source
    others = [
        replace(task, settings=replace(task.settings, seconds=9.0)),
        replace(task, source=replace(source, name="other")),
        replace(task, source=replace(source, settings={"edition": "2"})),
        replace(task, source=replace(source, stamps={"d": "later"})),
        *(
            replace(task, entries=(replace(task.entries[0], **{name: value}), *task.entries[1:]))
            for name, value in {
                "record": "x", "place": "b", "split": "test", "patient": "x", "report": "x", "labels": ("x",), "age": 5.0,
                "sex": "male", "origin": "x",
            }.items()
        ),
    ]  # fmt: skip
    assert len({one.fingerprint() for one in (task, *others)}) == len(others) + 1
    assert replace(task, number=8).fingerprint() == task.fingerprint() and len(task.fingerprint()) == 64


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "FileNotFoundError"), (b"{", "JSONDecodeError"), (b"[]", "TypeError"), (b'{"records": 1}', "TypeError")],
)
def test_a_receipt_that_cannot_be_read_is_told(tmp_path, content, told):
    path = receipt_path(tmp_path, 3)
    if content is not None:
        write_synced(path, content)
    with refused(path, f"cannot be read ({told})", KEPT):
        read_receipt(tmp_path, 3)


def test_a_source_that_goes_away_while_it_is_read_is_told_by_its_name(task):
    stamps: dict[str, str] = {}
    source = replace(task.source, stamps=stamps)
    going = replace(task, source=Going(source, stamps))
    remedy = "see that the source is there, then run it again: finished shards are kept"
    with refused("listed", "files changed, or went away, while they were read", remedy):
        finish_shard(going)
    assert not receipt_path(task.folder, 7).exists() and not shard_path(task.folder, 7).exists()


class Going:
    """A source whose files change when its second record is read."""

    def __init__(self, source: Listed, stamps: dict[str, str]) -> None:
        self.source, self.stamps = source, stamps

    def __getattr__(self, name):
        return getattr(self.source, name)

    def read(self, entry):
        self.stamps["a"] = "gone"
        return self.source.read(entry)


def test_one_spelling_for_one_value():
    assert canonical_json({"ä": [1, 2.5, None], "a": "é"}) == '{"a":"é","ä":[1,2.5,null]}'.encode()
    told = hashlib.sha256(b'{"a":1,"b":[2]}').hexdigest()
    assert manifest_sha256({"b": [2], "sha256": "whatever", "a": 1}) == manifest_sha256({"a": 1, "b": [2]}) == told


def test_a_file_is_written_in_pieces_and_its_folder_made(tmp_path):
    write_synced(tmp_path / "deep/er/file", b"one ", memoryview(b"two"), b"")
    assert (tmp_path / "deep/er/file").read_bytes() == b"one two"
    (tmp_path / "file").write_text("x")
    with refused(tmp_path / "file/below", "cannot be written: File exists", "make room, or choose another place"):
        write_synced(tmp_path / "file/below", b"")


def test_what_is_done_is_told_after_each_shard_and_what_was_done_before_is_counted(tmp_path):
    work, told = tmp_path / "work", []
    write_synced(receipt_path(work, 1), b"{}")
    write_synced(receipt_path(work, 2), b"{}")
    write_synced(work / "receipts/00003.parquet", b"")

    def news():
        write_synced(receipt_path(work, 5), b"{}")  # made in this run, by a worker that then died: made again, it is "kept"
        yield from (
            Finished(1, 3, True),
            Finished(2, 3, False),
            Finished(3, 3, True),
            Finished(5, 1, True),
            Finished(0, 2, False),
        )

    assert see_finished(news(), 12, work, lambda *step: told.append(step)) == 1
    assert told == [(0, 12), (3, 12), (6, 12), (9, 12), (10, 12), (12, 12)]
    assert see_finished(iter([Finished(2, 1, True), Finished(1, 1, True)]), 2, work, None) == 2
    assert see_finished(iter([]), 0, tmp_path / "nowhere", None) == 0


def test_whoever_holds_the_folder_clears_away_what_others_left_half_done(tmp_path):
    work = tmp_path / ".out[1].preparing"
    for path in (work / "store/shards/0.npy.1.part", work / "x.part", work / "receipts/0.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    aside, other = tmp_path / ".staging-.out[1].preparing-old-9", tmp_path / ".staging-.out1.preparing-old-9"
    for folder in (aside, other):
        (folder / "deep").mkdir(parents=True)
    (tmp_path / ".staging-.out[1].preparing-old-8").write_text("a file where a folder should be")
    with only_one(work):
        assert sorted(path.name for path in work.rglob("*") if path.is_file()) == ["0.json", "lock"]
        assert not aside.exists() and other.exists()
        with refused(work, "another process is writing there", "wait for it, or end it"), only_one(work):
            pass
    assert not work.exists()


def test_work_that_was_begun_is_kept_when_it_ends_badly_and_an_empty_folder_is_not(tmp_path):
    work = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt), only_one(work):
        raise KeyboardInterrupt
    assert not work.exists()

    def ask_and_stop() -> None:  # as where workers are to be asked first, and there are none
        write_synced(work / "probe.part", b"token")
        raise StoreError("there", "no scheduler")

    with pytest.raises(StoreError, match="no scheduler"), only_one(work):
        ask_and_stop()
    assert not work.exists()

    def begin_and_stop() -> None:
        (work / "receipts").mkdir()
        raise RuntimeError("a full disk")

    with pytest.raises(RuntimeError, match="full disk"), only_one(work):
        begin_and_stop()
    assert (work / "receipts").is_dir()
    with only_one(work):  # and can be held again
        pass


def test_a_place_where_nothing_can_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    remedy = "make room, or choose another place"
    with refused(tmp_path / "file", "cannot be written: Not a directory", remedy), only_one(tmp_path / "file/work"):
        pass


def test_a_folder_that_cannot_be_removed_after_all_is_done_is_told(tmp_path, monkeypatch):
    def forbidden(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(staging, "remove", forbidden)
    remedy = "the store is complete: remove it yourself"
    with refused(tmp_path / "work", "cannot be removed: Permission denied", remedy), only_one(tmp_path / "work"):
        pass


def test_only_what_was_sealed_as_the_store_that_is_there_is_removed_and_only_when_nobody_is_at_work(tmp_path):
    work, out = tmp_path / "work", tmp_path / "out"
    (work / "receipts").mkdir(parents=True)
    out.mkdir()

    def left_after(manifest: str | None) -> bool:
        if manifest is not None:
            (out / "manifest.json").write_text(manifest)
        remove_published(work, out)
        return work.exists()

    assert left_after(None)
    say_sealed(work, "abc")
    assert (work / "sealed").read_text() == "abc"
    assert left_after(None)  # no store is there
    for manifest in ("{", "[]", "{}", '{"sha256": "abcd"}', '{"SHA256": "abc"}'):
        assert left_after(manifest)
    with only_one(tmp_path / "other"), staging._locked(work):
        assert left_after('{"sha256": "abc"}')
    assert not left_after('{"sha256": "abc"}')
    remove_published(work, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def done(task: ShardTask) -> Finished:
    return Finished(task.number, worker_number(), False)


def test_one_worker_is_this_process_which_takes_a_task_when_it_has_done_the_one_before(task):
    taken = []

    def tasks():
        for number in range(3):
            taken.append(number)
            yield replace(task, number=number)

    for turn, finished in enumerate(run_shards(tasks(), 1, done)):
        assert finished == Finished(turn, 0, False) and taken == list(range(turn + 1))
    assert [news.kept for news in run_shards(iter([task]), 1)] == [False] and receipt_path(task.folder, 7).exists()


def told_by_worker(task: ShardTask) -> Finished:
    """Which worker did it, and whether an interrupt would reach it."""
    import signal

    if task.number == 99:
        os._exit(3)
    Path(task.folder).mkdir(exist_ok=True)
    (Path(task.folder) / f"worker-{worker_number()}").touch()
    deadline = time.monotonic() + 60  # until both are there, so that each has its share
    while len(list(Path(task.folder).glob("worker-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return Finished(task.number, worker_number(), signal.getsignal(signal.SIGINT) is signal.SIG_IGN)


def test_workers_are_numbered_leave_interrupts_to_their_parent_and_one_that_dies_is_told(task):
    remedy = "run it again (finished shards are kept), with fewer --workers"
    bare = replace(task, source=replace(task.source, records={}))
    news = run_shards((replace(bare, number=number) for number in (0, 1, 2, 3, 99)), 2, told_by_worker)
    found = [next(news), next(news)]
    assert all(one.kept for one in found) and worker_number() == 0
    assert sorted(path.name for path in Path(task.folder).iterdir()) == ["worker-0", "worker-1"]
    with refused("workers", "a worker process died", remedy):
        list(news)


def test_the_stretch_that_is_stored_begins_at_the_start_or_in_the_middle():
    seconds = np.array([10.0, 12.5, 4.0, 10.01, 10.03, 60.0])
    assert beginnings(seconds, 100.0, 1000, "centre").tolist() == [0, 125, 0, 0, 1, 2500]
    assert beginnings(seconds, 100.0, 1000, "first").tolist() == [0] * 6
    for crop in ("centre", "first"):
        assert beginnings(seconds, 100.0, 1000, crop).dtype == np.int64


def steps(seed: int, begin: int = 0) -> np.ndarray:
    return np.rint(1000 * heart(seed, seconds=20.0)[:, begin : begin + 1000]).astype(np.int16)


def test_split_groups_get_numbers_that_nobody_has():
    signals = [steps(seed) for seed in (0, 6, 0, 12, 6, 0, 36, 39)]
    groups = np.array([4, 4, 4, 0, 0, 0, 2, 7])
    found = confirm_groups(groups, np.ones(8, bool), signals.__getitem__, np.zeros(8, np.int64), 100)
    assert found.tolist() == [4, 10, 4, 0, 8, 9, 2, 7]
    assert groups.tolist() == [4, 4, 4, 0, 0, 0, 2, 7]


def test_groups_that_nothing_hangs_on_stay_as_they_are_and_those_after_them_are_looked_at():
    signals = [steps(seed) for seed in (0, 6, 12, 36, 39, 44)]
    doubtful = np.array([False, False, False, True, False, False])
    found = confirm_groups(np.array([0, 0, 1, 1, 2, 2]), doubtful, signals.__getitem__, np.zeros(6, np.int64), 100)
    assert found.tolist() == [0, 0, 1, 3, 2, 2]


def test_signals_are_compared_where_their_recording_has_both():
    begin = np.array([0, 400, 0, 400])
    signals = [steps(0), steps(0, 400), steps(0, 400), steps(0, 400)]
    found = confirm_groups(np.zeros(4, np.int64), np.ones(4, bool), signals.__getitem__, begin, 100)
    assert found.tolist() == [0, 0, 1, 0]  # the third says that it begins with the recording, as the first does
    found = confirm_groups(np.zeros(2, np.int64), np.ones(2, bool), signals[1::-1].__getitem__, begin[1::-1], 100)
    assert found.tolist() == [0, 0]


def test_beyond_sixteen_different_signals_equal_ones_are_still_known_and_near_ones_of_the_first_sixteen():
    seeds = [*range(20), 18, 3]
    signals = [steps(seed) for seed in seeds]
    signals += [np.rint(signals[15] * 0.5).astype(np.int16), np.rint(signals[16] * 0.5).astype(np.int16)]
    count = len(signals)
    found = confirm_groups(np.zeros(count, np.int64), np.ones(count, bool), signals.__getitem__, np.zeros(count, np.int64), 100)
    assert found[:20].tolist() == list(range(20))
    assert found[20:].tolist() == [18, 3, 15, 20]
