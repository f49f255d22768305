"""Opening: a store is verified, and damage is named by its file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.sources.ptb_xl import PtbXl
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart, write_ptb_xl


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    source = PtbXl(str(write_ptb_xl(folder / "source", 11, reports=("normales ekg", ""))))
    prepare_store(source, folder / "store", ShardSettings(100.0, 10.0, "first", "key"), shard_records=4)
    return folder / "store"


@pytest.fixture
def copy(original, tmp_path):
    import shutil

    return shutil.copytree(original, tmp_path / "copy")


def test_signals_come_in_the_order_asked_for(original):
    store = open_store(original)
    rows = [9, 3, 5, 5, 1, 0]
    found = store.signals(rows)
    assert found.shape == (6, 12, 1000)
    assert found.dtype == np.int16
    for row, signal in zip(rows, store.millivolts(rows), strict=True):
        assert np.abs(signal - heart(row + 1)).max() <= 0.0011
    assert store.signals([]).shape == (0, 12, 1000)
    assert store.millivolts(np.array([3])).dtype == np.float32


@pytest.mark.parametrize("rows", [[11], [-1]])
def test_rows_that_are_not_there_are_refused(original, rows):
    with pytest.raises(StoreError, match="row"):
        open_store(original).signals(rows)


def test_rows_by_split(original):
    store = open_store(original)
    assert store.rows("train").tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 10]
    assert store.rows("validation", "test").tolist() == [8, 9]
    assert store.rows().tolist() == list(range(11))
    assert store.rows("train").dtype == np.int64
    with pytest.raises(StoreError, match="not a split"):
        store.rows("dev")


def test_the_index_has_the_columns_that_others_rely_on(original):
    index = open_store(original).index
    row = index.iloc[1]
    assert row["report"] == "normales ekg"
    assert index["report"][0] == ""
    assert row["labels"] == ["form:NDT", "rhythm:SR", "scp:NDT", "scp:SR", "sub:STTC", "super:STTC"]
    assert isinstance(row["flags"], list)
    assert (row["age"], row["sex"], row["source"], row["origin"]) == (90, "male", "ptb-xl", "records100/00000/00002_lr")
    assert {"record", "patient", "split", "missing_leads", "fingerprint"} <= set(index.columns)
    assert (row["seconds"], row["source_rate"], row["samples"]) == (10, 100, 1000)


def test_one_record_with_what_is_known_of_it(original):
    record = open_store(original).record(1)
    assert record.signal.shape == (12, 1000)
    assert (record.record, record.report, record.split) == ("2", "normales ekg", "train")


@pytest.mark.parametrize("name", ["shards/00001.npy", "index.parquet", "quarantine.jsonl"])
def test_a_file_that_is_gone_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(StoreError, match=name):
        open_store(copy)


@pytest.mark.parametrize("name", ["shards/00002.npy", "index.parquet"])
def test_a_truncated_file_is_named(copy, name):
    (copy / name).write_bytes((copy / name).read_bytes()[:-1])
    with pytest.raises(StoreError, match=name):
        open_store(copy)


@pytest.mark.parametrize("name", ["shards/00000.npy", "index.parquet"])
def test_a_flipped_bit_is_found_by_full_verification(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(StoreError, match=rf"{name}.*SHA-256"):
        open_store(copy, verify="full")


def test_a_shard_of_another_shape_is_named(copy):
    path = copy / "shards/00001.npy"
    shard = np.load(path)
    np.save(path, shard.reshape(4, 1000, 12))
    store = open_store(copy)
    with pytest.raises(StoreError, match=r"00001\.npy"):
        store.signals([5])


def test_an_altered_manifest_is_found(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["microvolts_per_step"] = 5.0
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="own SHA-256"):
        open_store(copy)


NO_MANIFESTS = [
    ("{", "not JSON"),
    ("[]", r"manifest\.json.*is not the manifest of a store.*make one with `cmelt prepare`"),
    ('{"format": "other"}', "not the manifest"),
    ('{"format": "cmelt-store", "version": 9}', "version 9"),
    ('{"format": "cmelt-store", "version": 1}', "version 1, .*prepare it again"),
]


@pytest.mark.parametrize(("content", "message"), NO_MANIFESTS)
def test_a_manifest_of_something_else_is_refused(copy, content, message):
    (copy / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=message):
        open_store(copy)


def test_a_folder_without_manifest_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="cmelt prepare"):
        open_store(tmp_path)
