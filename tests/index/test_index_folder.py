"""An index that lies on disk: opened as it was, or refused with the file named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.index import build_index, open_index
from cmelt.publishing import MANIFEST, published

DETAILS = {"model": "53aa51", "store": "d60acb"}


@pytest.fixture(params=["exact", "codes"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    vectors = np.random.default_rng(0).normal(size=(1500, 16))
    build_index(vectors, tmp_path / "index", DETAILS, request.param)
    return tmp_path / "index"


def test_an_opened_index_finds_what_the_built_one_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("exact", "codes", "cells"):
        built = build_index(rng.normal(size=(2000, 20)), tmp_path / kind, DETAILS, kind)
        opened, queries = open_index(tmp_path / kind), rng.normal(size=(9, 20))
        assert opened.facts == built.facts
        assert len(opened) == 2000
        for one, other in zip(built.search(queries), opened.search(queries), strict=True):
            np.testing.assert_array_equal(one, other)


def test_vectors_are_mapped_not_read(folder: Path) -> None:
    numbers = open_index(folder)._vectors.numbers
    assert isinstance(numbers.base, np.memmap)
    assert not numbers.flags.writeable


def test_the_manifest_says_what_it_was_built_with(folder: Path) -> None:
    said = json.loads((folder / MANIFEST).read_text())
    assert said["details"] == DETAILS
    assert (said["rows"], said["width"], said["format"]) == (1500, 16, "cmelt-index")
    assert (said["recall"] is None) == (said["kind"] == "exact")


@pytest.mark.parametrize("wanted", [{"model": "other"}, {"model": "53aa51", "store": "other"}, {"leads": "12"}])
def test_an_index_of_another_model_or_store_is_refused(wanted: dict[str, str], folder: Path) -> None:
    assert open_index(folder, DETAILS).facts.details == DETAILS
    assert open_index(folder, {"model": "53aa51"})
    with pytest.raises(StoreError, match="was built with another"):
        open_index(folder, wanted)


def test_a_flipped_byte_is_found(folder: Path) -> None:
    for path in folder.glob("*.*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        whole = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(StoreError):
            open_index(folder, verify="full")
        if path.name != "vectors.bin":  # the bulk is hashed on demand only
            with pytest.raises(StoreError):
                open_index(folder)
        path.write_bytes(whole)
    assert len(open_index(folder, verify="full")) == 1500


def test_a_missing_or_cut_file_is_named(folder: Path) -> None:
    for path in folder.glob("*.*"):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(StoreError, match=path.name):
            open_index(folder)
        path.unlink()
        with pytest.raises(StoreError, match=path.name):
            open_index(folder)
        path.write_bytes(whole)
    with pytest.raises(StoreError, match="missing"):
        open_index(folder / "nowhere")


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"format": "cmelt-model"}, "no search index"),
        ({"format_version": 9}, "version 9"),
        ({"rows": 1501}, "1501"),
        ({"width": 8}, "vectors of 8"),
        ({"details": None}, "lacks"),
    ],
)
def test_a_folder_that_says_what_it_does_not_hold_is_refused(changed: dict, word: str, folder: Path, tmp_path: Path) -> None:
    said = {key: value for key, value in json.loads((folder / MANIFEST).read_text()).items() if key not in ("files", "sha256")}
    with published(tmp_path / "changed", {**said, **changed}) as staging:
        for path in folder.iterdir():
            if path.name != MANIFEST:
                (staging / path.name).write_bytes(path.read_bytes())
    with pytest.raises(StoreError, match=word):
        open_index(tmp_path / "changed")


def test_codes_that_faiss_cannot_read_are_refused(tmp_path: Path) -> None:
    build_index(np.random.default_rng(0).normal(size=(1500, 16)), tmp_path / "index", kind="codes")
    said = json.loads((tmp_path / "index" / MANIFEST).read_text())
    with published(tmp_path / "changed", {key: said[key] for key in said if key not in ("files", "sha256")}) as staging:
        for name in ("vectors.bin", "steps.bin"):
            (staging / name).write_bytes((tmp_path / "index" / name).read_bytes())
        (staging / "codes.faiss").write_bytes(b"not an index")
    with pytest.raises(StoreError, match=r"codes\.faiss"):
        open_index(tmp_path / "changed")
