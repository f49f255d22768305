"""A store that is altered, incomplete or asked for what it has not: file, fault and remedy are told, word for word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cmelt.sources.ptb_xl import PtbXl
from cmelt.store import ShardSettings, Store, open_store, prepare_store
from cmelt.store.layout import manifest_sha256, shard_file
from ecg_files import write_ptb_xl
from refusals import refused

AGAIN = "the store is altered or incomplete: prepare it again"
MAKE = "make one with `cmelt prepare`"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five records of 2 s in three shards."""
    folder = tmp_path_factory.mktemp("refusals")
    source = PtbXl(str(write_ptb_xl(folder / "source", 5)))
    prepare_store(source, folder / "store", ShardSettings(100.0, 2.0, "first", "key"), shard_records=2)
    return folder / "store"


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def sealed_again(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """A manifest that says something else, and is right about its own hash."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    manifest["sha256"] = manifest_sha256(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def spoilt(path: Path) -> Path:
    """A file of its size without its content."""
    path.write_bytes(b"x" * path.stat().st_size)
    return path


@pytest.mark.parametrize("name", ["/etc/passwd", "../beside", "shards/../../beside", "a\0b"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused_before_anything_is_read(copy, name):
    (copy.parent / "beside").write_bytes(b"12345")
    sealed_again(copy, lambda manifest: manifest["files"].update({name: {"bytes": 5, "sha256": "0"}}))
    with refused(copy / "manifest.json", "names a file outside its folder", AGAIN):
        open_store(copy)


def test_two_dots_within_a_name_lead_nowhere(copy):
    (copy / "a..b").write_bytes(b"12345")
    sealed_again(copy, lambda manifest: manifest["files"].update({"a..b": {"bytes": 5, "sha256": "0"}}))
    assert len(open_store(copy)) == 5


@pytest.mark.parametrize("name", ["shards/00001.npy", "index.parquet", "quarantine.jsonl"])
def test_a_missing_a_cut_and_an_altered_file_are_told_apart(copy, name):
    path, size = copy / name, (copy / name).stat().st_size
    whole = path.read_bytes()
    path.write_bytes(whole + b"\n")
    with refused(path, f"has {size + 1} bytes where the manifest says {size}", AGAIN):
        open_store(copy)
    path.unlink()
    with refused(path, "is missing", AGAIN):
        open_store(copy)
    path.mkdir()
    with refused(path, "is missing", AGAIN):
        open_store(copy)


def test_altered_bytes_are_found_where_hashes_are_asked_for_and_only_there(copy):
    path = spoilt(copy / "shards/00002.npy")
    with refused(path, "does not match its SHA-256", AGAIN):
        open_store(copy, verify="full")
    store = open_store(copy)
    assert len(store.signals([0, 3])) == 2
    with refused(path, "cannot be read (ValueError)", AGAIN):
        store.signals([4])


def test_a_shard_that_went_away_after_opening_is_told(copy):
    store = open_store(copy)
    (copy / "shards/00000.npy").unlink()
    with refused(copy / "shards/00000.npy", "cannot be read (FileNotFoundError)", AGAIN):
        store.signals([0])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (np.zeros((2, 12, 200), np.int32), "int32 (2, 12, 200)"),
        (np.zeros((2, 200, 12), np.int16), "int16 (2, 200, 12)"),
        (np.zeros((3, 12, 200), np.int16), "int16 (3, 12, 200)"),
    ],
)
def test_a_shard_of_another_kind_or_shape_is_told_with_both(copy, other, told):
    np.save(copy / "shards/00001.npy", other)
    sealed_again(copy, lambda manifest: manifest["files"]["shards/00001.npy"].update(bytes=other.nbytes + 128))
    with refused(copy / "shards/00001.npy", f"holds {told} where int16 (2, 12, 200) belongs", AGAIN):
        open_store(copy).signals([2])


def test_a_pickled_shard_is_not_unpickled(copy):
    """A store may come from anywhere, and unpickling runs what the file says."""
    path = copy / "shards/00001.npy"
    np.save(path, np.array([print], dtype=object), allow_pickle=True)
    store = Store(copy, json.loads((copy / "manifest.json").read_text()))
    with refused(path, "cannot be read (ValueError)", AGAIN):
        store.shard(1)


def test_an_index_that_cannot_be_read_or_is_another_s_is_told(copy):
    path = copy / "index.parquet"
    manifest = json.loads((copy / "manifest.json").read_text())
    with refused(path, "5 rows where the manifest says 6", AGAIN):
        _ = Store(copy, manifest | {"records": 6}).index
    pq.write_table(pq.read_table(path).drop_columns(["flags"]), path)
    with refused(path, "cannot be read (KeyError)", AGAIN):
        _ = Store(copy, manifest).index
    spoilt(path)
    with refused(path, "cannot be read (ArrowInvalid)", AGAIN):
        _ = Store(copy, manifest).index
    path.unlink()
    with refused(path, "cannot be read (FileNotFoundError)", AGAIN):
        _ = Store(copy, manifest).index


@pytest.mark.parametrize(
    ("content", "fault", "remedy"),
    [
        ("{", "is not JSON", AGAIN),
        ("\xff", "is not JSON", AGAIN),
        ("[]", "is not the manifest of a store", MAKE),
        ('"cmelt-store"', "is not the manifest of a store", MAKE),
        ('{"format": "cmelt-index", "version": 2}', "is not the manifest of a store", MAKE),
        ('{"format": "cmelt-store"}', "store version None, this program reads 2", "prepare it again"),
        ('{"format": "cmelt-store", "version": 3}', "store version 3, this program reads 2", "prepare it again"),
        ('{"format": "cmelt-store", "version": 2}', "does not match its own SHA-256", AGAIN),
        ('{"format": "cmelt-store", "version": 2, "sha256": "0"}', "does not match its own SHA-256", AGAIN),
    ],
)
def test_a_manifest_that_is_none_of_this_version_is_told_by_what_it_is(copy, content, fault, remedy):
    (copy / "manifest.json").write_bytes(content.encode("latin-1"))
    with refused(copy / "manifest.json", fault, remedy):
        open_store(copy)


@pytest.mark.parametrize(
    "files", [None, ["index.parquet"], {"index.parquet": 5}, {"index.parquet": {"bytes": 1}}, {"index.parquet": {"sha256": "0"}}]
)
def test_a_manifest_that_does_not_say_which_files_there_are_is_refused(copy, files):
    sealed_again(copy, lambda manifest: manifest.update(files=files))
    with refused(copy / "manifest.json", "does not say which files the store has", AGAIN):
        open_store(copy)


@pytest.mark.parametrize(
    "name", ["records", "source", "rate", "samples", "crop", "leads", "microvolts_per_step", "patient_key_check"]
)
def test_a_manifest_that_lacks_a_fact_or_says_it_as_something_else_is_refused(copy, name):
    for change in (lambda manifest: manifest.pop(name), lambda manifest: manifest.update({name: None})):
        sealed_again(copy, change)
        with refused(copy / "manifest.json", f"does not say, or not rightly, its {name}", AGAIN):
            open_store(copy)


def test_what_the_manifest_of_a_file_needs_is_its_size_and_its_hash(copy):
    def bare(manifest: dict[str, Any]) -> None:
        manifest["files"] = {name: {key: known[key] for key in ("bytes", "sha256")} for name, known in manifest["files"].items()}

    sealed_again(copy, bare)
    assert len(open_store(copy, verify="full").rows()) == 5


def test_no_manifest_is_no_store(tmp_path):
    with refused(tmp_path, "is not a prepared store: it has no manifest.json", MAKE):
        open_store(tmp_path)


@pytest.mark.parametrize(("rows", "wrong"), [([5], 5), ([-1], -1), ([0, -3, 7], -3), ([[1, 2], [9, 4]], 9)])
def test_a_row_that_is_not_there_is_told_by_its_number(original, rows, wrong):
    store = open_store(original)
    for ask in (store.signals, store.people, store.millivolts, lambda rows: store.stretches(rows, 0, 5)):
        with refused(original, f"row {wrong} of 5", "rows count from 0"):
            ask(rows)
    with refused(original, f"row {wrong} of 5", "rows count from 0"):
        store.record(wrong)


def test_a_split_that_is_none_is_told_with_those_that_are(original):
    with refused("dev", "is not a split", "choose of train, validation, test"):
        open_store(original).rows("train", "dev")


@pytest.mark.parametrize(
    ("out", "told"),
    [
        (np.zeros((2, 12, 200), np.float32), "is float32 (2, 12, 200)"),
        (np.zeros((3, 12, 200), np.int16), "is int16 (3, 12, 200)"),
        (np.zeros((2, 12, 199), np.uint8), "is uint8 (2, 12, 199)"),
    ],
)
def test_an_array_that_signals_do_not_fit_into_is_told_with_what_fits(original, out, told):
    with refused("out", told, "give int16 (2, 12, 200)"):
        open_store(original).signals([1, 4], out)


def test_shards_are_named_by_five_digits():
    assert (shard_file(0), shard_file(123456)) == ("shards/00000.npy", "shards/123456.npy")
