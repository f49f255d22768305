"""Shards: steps, fingerprints, receipts; files that are written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cmelt.errors import StoreError
from cmelt.publishing import rename
from cmelt.records.standard import StandardRecord
from cmelt.sources.ptb_xl import PtbXl
from cmelt.store.layout import canonical_json, manifest_sha256, write_synced
from cmelt.store.shard import (
    Finished,
    ShardSettings,
    ShardTask,
    finish_shard,
    read_receipt,
    receipt_path,
    rows_path,
    shard_path,
    to_steps,
)
from ecg_files import heart, write_ptb_xl


@given(arrays.arrays(np.float32, (12, 20), elements=st.floats(-32, 32, width=32)))
@settings(max_examples=50, deadline=None)
def test_steps_lose_half_a_microvolt_at_most(signal):
    steps, flags = to_steps(StandardRecord(signal, 100, (), (), 20))
    assert flags == ()
    assert np.abs(steps.astype(np.float64) / 1000 - signal).max() <= 0.000_51


def test_what_is_beyond_the_range_is_named_by_lead():
    signal = heart()
    signal[4, 3], signal[9, 7] = 33, -40
    steps, flags = to_steps(StandardRecord(signal, 100, (), (), 1000))
    assert flags == ("beyond-range:aVL", "beyond-range:V4")
    assert (steps[4, 3], steps[9, 7]) == (32767, -32767)


@dataclass(frozen=True)
class Measured:
    """PTB-XL as if its devices had printed a QRS duration, and something that no other device measures."""

    source: PtbXl

    def __getattr__(self, name):
        return getattr(self.source, name)

    def read(self, entry):
        return replace(self.source.read(entry), measurements={"qrs_ms": 90.0, "moon_phase": 0.5})


@pytest.fixture
def task(tmp_path):
    source = PtbXl(str(write_ptb_xl(tmp_path / "source", 3)))
    settings_ = ShardSettings(100.0, 10.0, "first", "key")
    return ShardTask(0, source.entries().entries, settings_, source, str(tmp_path / "work"))


def files_of(task: ShardTask) -> list[bytes]:
    places = (shard_path, rows_path, receipt_path)
    return [place(task.folder, task.number).read_bytes() for place in places]


def test_a_shard_is_done_when_its_receipt_and_its_bytes_say_so(task):
    assert not finish_shard(task).kept
    assert finish_shard(task) == Finished(0, 3, True)
    assert np.load(shard_path(task.folder, 0)).shape == (3, 12, 1000)
    assert read_receipt(task.folder, 0).records == 3


@pytest.mark.parametrize("place", [shard_path, rows_path, receipt_path], ids=["array", "rows", "receipt"])
@pytest.mark.parametrize("harm", ["gone", "cut", "altered"])
def test_a_shard_with_a_file_that_is_harmed_is_made_again(task, place, harm):
    finish_shard(task)
    whole = files_of(task)
    path = place(task.folder, 0)
    if harm == "gone":
        path.unlink()
    else:
        content = path.read_bytes()[: -1 if harm == "cut" else None]
        path.write_bytes(content if harm == "cut" else content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    assert not finish_shard(task).kept
    assert files_of(task) == whole


def test_making_a_shard_twice_gives_the_same_files(task):
    finish_shard(task)
    first = files_of(task)
    receipt_path(task.folder, 0).unlink()
    finish_shard(task)
    assert files_of(task) == first


def test_other_settings_and_other_entries_are_other_tasks(task):
    others = [
        replace(task, settings=replace(task.settings, rate=50.0)),
        replace(task, settings=replace(task.settings, crop="centre")),
        replace(task, settings=replace(task.settings, patient_key="other")),
        replace(task, entries=task.entries[:2]),
        replace(task, entries=(replace(task.entries[0], report="another"), *task.entries[1:])),
    ]
    assert len({task.fingerprint(), *(other.fingerprint() for other in others)}) == 6
    assert replace(task, folder="elsewhere").fingerprint() == task.fingerprint()


def test_receipts_name_patients_by_their_hash_alone(task):
    finish_shard(task)
    rows = pq.read_table(rows_path(task.folder, 0))
    assert rows["record"].to_pylist() == ["1", "2", "3"]
    assert not {entry.patient for entry in task.entries} & set(rows["patient"].to_pylist())


def test_a_place_that_names_the_patient_is_written_down_nowhere(task):
    """As in MIMIC-IV-ECG, whose folders are called after their patients: what the source calls the place is written instead."""
    hidden = tuple(replace(entry, origin=f"study-{entry.record}") for entry in task.entries)
    (Path(task.source.folder) / f"{hidden[1].place}.dat").write_bytes(b"")
    finish_shard(replace(task, entries=hidden))
    line = read_receipt(task.folder, 0).quarantine[0]
    assert (line["record"], line["path"]) == ("2", "study-2")
    assert hidden[1].place not in json.dumps(line)


@dataclass(frozen=True)
class Failing:
    """PTB-XL whose reader does something to one record instead of reading it."""

    source: PtbXl
    record: str
    act: Callable[[], None]

    def __getattr__(self, name):
        return getattr(self.source, name)

    def read(self, entry):
        if entry.record == self.record:
            self.act()
        return self.source.read(entry)


def raises(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [ValueError("what a library says"), KeyError("p1"), OSError(5, "Input/output error")])
def test_whatever_a_reader_stumbles_over_one_record_does_not_end_the_work(task, error):
    finish_shard(replace(task, source=Failing(task.source, "2", raises(error))))
    receipt = read_receipt(task.folder, 0)
    assert (receipt.records, len(receipt.quarantine)) == (2, 1)
    assert receipt.quarantine[0]["reason"] == f"its reader failed ({type(error).__name__})"


def test_too_little_memory_is_no_fault_of_the_record(task):
    with pytest.raises(MemoryError):
        finish_shard(replace(task, source=Failing(task.source, "2", raises(MemoryError()))))


def test_files_that_go_away_meanwhile_are_not_records_that_cannot_be_read(task):
    def unmount() -> None:
        for path in Path(task.source.folder).glob("records100/*/*"):
            path.unlink()

    with pytest.raises(StoreError, match="went away"):
        finish_shard(replace(task, source=Failing(task.source, "2", unmount)))
    assert not receipt_path(task.folder, 0).exists()


def test_what_the_device_measured_is_kept_by_name(task):
    measured = replace(task, source=Measured(task.source))
    finish_shard(measured)
    rows = pq.read_table(rows_path(task.folder, 0))
    assert rows["qrs_ms"].to_pylist() == [90.0, 90.0, 90.0]
    assert rows["qt_ms"].null_count == 3
    assert "moon_phase" not in rows.column_names


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "nowhere").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="nowhere"):
        write_synced(tmp_path / "nowhere/file", b"x")


def test_writing_leaves_no_part_behind(tmp_path):
    write_synced(tmp_path / "file", b"first")
    write_synced(tmp_path / "file", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"second"


def test_publishing_replaces_a_folder_whole(tmp_path):
    for name, content in (("old", "1"), ("new", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / content).write_text(content)
    rename(tmp_path / "new", tmp_path / "old", replace=True)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["old", "old/2"]


def test_the_identity_of_a_manifest_ignores_order_and_itself():
    manifest = {"b": [1, 2], "a": "ä", "sha256": "x"}
    assert manifest_sha256(manifest) == manifest_sha256({"a": "ä", "b": [1, 2]})
    assert manifest_sha256(manifest) != manifest_sha256(manifest | {"a": "a"})
    assert canonical_json({"b": 1, "a": 2}) == b'{"a":2,"b":1}'


def test_a_worker_computes_on_one_thread_and_leaves_the_others_as_they_were(task, monkeypatch):
    from threadpoolctl import threadpool_info, threadpool_limits

    from cmelt.store import shard

    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    seen: list[list[int]] = []
    monkeypatch.setattr(shard, "_make_shard", lambda task, known_as: seen.append(threads()))
    with threadpool_limits(2):
        before = threads()
        finish_shard(task)
        assert threads() == before and set(before) == {2}
    assert seen == [[1] * len(before)]
