"""Shards: steps, fingerprints, receipts; files that are written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cmelt.errors import StoreError
from cmelt.publishing import rename
from cmelt.records.record import LEADS, Record
from cmelt.records.standard import StandardRecord
from cmelt.sources.ptb_xl import PtbXl
from cmelt.store.layout import canonical_json, manifest_sha256, write_synced
from cmelt.store.shard import ShardSettings, ShardTask, is_done, make_shard, signal_fingerprint, to_steps
from ecg_files import heart, record, write_ptb_xl


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


def test_copies_of_a_signal_share_a_fingerprint_in_any_order_of_leads_and_others_do_not():
    original = record(1)
    turned = record(1, leads=tuple(reversed(LEADS)))
    assert signal_fingerprint(original) == signal_fingerprint(turned)
    changed = original.signal.copy()
    changed[5, 500] += 0.002
    assert signal_fingerprint(Record(changed, 100, LEADS)) != signal_fingerprint(original)
    assert signal_fingerprint(replace(original, rate=200.0)) != signal_fingerprint(original)


def test_a_gap_is_part_of_the_fingerprint():
    gap = record(1).signal.copy()
    gap[2, 10:20] = np.nan
    assert signal_fingerprint(Record(gap, 100, LEADS)) != signal_fingerprint(record(1))


@pytest.fixture
def task(tmp_path):
    source = PtbXl(str(write_ptb_xl(tmp_path / "source", 3)))
    settings_ = ShardSettings(100.0, 10.0, "first", "key")
    return ShardTask(0, source.entries().entries, settings_, source, str(tmp_path / "work"))


def test_a_shard_is_done_when_its_receipt_and_its_bytes_say_so(task):
    assert not is_done(task)
    assert make_shard(task) == 3
    assert is_done(task)
    assert np.load(task.shard_path).shape == (3, 12, 1000)
    task.receipt_path.write_text("{")
    assert not is_done(task)


def test_making_a_shard_twice_gives_the_same_files(task):
    make_shard(task)
    first = (task.shard_path.read_bytes(), task.receipt_path.read_bytes())
    make_shard(task)
    assert (task.shard_path.read_bytes(), task.receipt_path.read_bytes()) == first


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
    make_shard(task)
    rows = json.loads(task.receipt_path.read_bytes())["rows"]
    assert [row["record"] for row in rows] == ["1", "2", "3"]
    assert not {entry.patient for entry in task.entries} & {row["patient"] for row in rows}


def test_a_file_that_cannot_be_written_is_named(tmp_path):
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
