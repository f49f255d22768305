"""The script's shares are those of a plain loop over all pairs; vectors that know the diagnoses reach 1, others chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cmelt.errors import StoreError
from cmelt.index import build_index
from cmelt.serving.search_index import SearchFacts, SearchIndex
from cmelt.store import open_store

from .conftest import script

figures = script("search_figures")
TASK = """
classes:
  normal: {labels: ["sim:normal"], prompts: [normal]}
  flutter: {labels: ["sim:atrial-fibrillation"], prompts: [fibrillation]}
  axis: {labels: ["sim:left-axis-deviation"], prompts: [axis]}
"""
NAMES = ("sim:normal", "sim:atrial-fibrillation", "sim:left-axis-deviation")


@pytest.fixture
def truth(tiny_store: Path) -> np.ndarray:
    """Which of NAMES each row of the store has [n, 3]."""
    return np.array([[name in labels for name in NAMES] for labels in open_store(tiny_store).index["labels"]])


def index_of(tiny_store: Path, vectors: np.ndarray, folder: Path) -> SearchIndex:
    """An index of these vectors [n, D], a row of the store each, lying in another order than the store's."""
    order = np.random.default_rng(3).permutation(len(vectors))
    facts = SearchFacts("m", "m", "float32", open_store(tiny_store).sha256, str(tiny_store), len(vectors))
    return SearchIndex(folder, facts, build_index(vectors[order], folder), pa.table({"row": pa.array(order)}))


def run(tiny_store: Path, index: SearchIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    (tmp_path / "mine.yaml").write_text(TASK)
    monkeypatch.setattr(figures, "open_index", lambda name: index)
    figures.main("index", str(tmp_path / "mine.yaml"), *more)


def test_shares_are_those_of_a_plain_loop(tiny_store: Path, truth: np.ndarray, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    index = index_of(tiny_store, vectors, tmp_path / "index")
    searching, archive = np.arange(0, 20), np.arange(20, 60)
    found = figures.shares_of(index, searching, archive, truth[searching], truth[archive])
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    for row, share in zip(searching, found, strict=True):
        nearest = sorted(archive, key=lambda other: -(unit[row] @ unit[other]))[:10]
        assert share == pytest.approx(np.mean([bool((truth[row] & truth[other]).any()) for other in nearest]))


def test_vectors_that_know_the_diagnosis_beat_chance_and_those_of_noise_do_not(
    tiny_store: Path, truth: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    knowing = np.concatenate([truth, ~truth.any(axis=1, keepdims=True)], axis=1).astype(np.float32)
    run(tiny_store, index_of(tiny_store, knowing + 1e-3 * rng.normal(size=knowing.shape), tmp_path / "a"), tmp_path, monkeypatch)
    knows = {
        line.split("  ")[0]: float(line.split("  ")[-1].strip().split()[0]) for line in capsys.readouterr().out.splitlines()[:3]
    }
    assert knows["model"] > knows["chance"] + 0.1
    assert knows["model − chance"] == pytest.approx(knows["model"] - knows["chance"], abs=2e-3)
    noise = index_of(tiny_store, rng.normal(size=(60, 8)), tmp_path / "b")
    run(tiny_store, noise, tmp_path, monkeypatch, "control")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:5]] == ["model", "control", "chance", "model − control", "model − chance"]
    assert float(lines[3][18:].split()[0]) == 0  # the control is the same index here


def test_a_store_without_test_records_has_no_figures(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tiny_store)
    store.index["split"] = "train"
    monkeypatch.setattr(figures, "open_store", lambda _: store)
    index = index_of(tiny_store, np.eye(60, dtype=np.float32), tmp_path / "index")
    with pytest.raises(StoreError, match="too few labelled records"):
        run(tiny_store, replace(index), tmp_path, monkeypatch)
