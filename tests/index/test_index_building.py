"""How an index is built: what kind, in how much memory, with which effort; and what is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import ConfigError, StoreError
from cmelt.index import build, build_index, facts, open_index, vectors
from cmelt.index.facts import Effort, cells_for
from cmelt.index.tuning import SampleQueries
from cmelt.index.vectors import exact_search, open_vectors, write_vectors


def noise(rows: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def test_the_kind_follows_from_the_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "EXACT_NUMBERS", 1500 * 16)
    monkeypatch.setattr(facts, "CELLS_FROM", 4000)
    for rows, kind, cells in ((1500, "exact", 0), (1501, "codes", 1), (4000, "cells", 128)):
        found = build_index(noise(rows, 16), tmp_path / str(rows), recall=0.5).facts
        assert (found.kind, found.cells, found.rows, found.width) == (kind, cells, rows, 16)
        assert (found.effort is None) == (kind == "exact")


@pytest.mark.parametrize(("rows", "cells"), [(1_999_999, 1), (2_000_000, 2048), (10_000_000, 8192), (100_000_000, 16384)])
def test_cells_grow_with_the_root_of_the_rows(rows: int, cells: int) -> None:
    assert cells_for(rows, "auto") == cells
    assert cells_for(rows, "codes") == 1


def test_blocks_give_the_index_that_the_whole_array_gives(tmp_path: Path) -> None:
    whole = noise(1700, 24)
    one = build_index(whole, tmp_path / "one", kind="codes")
    other = build_index((part for part in np.array_split(whole, [1, 2, 900])), tmp_path / "other", kind="codes")
    assert one.facts == other.facts
    for name in ("vectors.bin", "steps.bin", "codes.faiss"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("exact", [10**9, -1, 30 * 40])
def test_vectors_come_back_at_length_one(exact: int, tmp_path: Path) -> None:
    given = noise(80, 40) * np.random.default_rng(1).lognormal(size=(80, 1)).astype(np.float32)
    given[7] = 0
    rows, width = write_vectors(np.array_split(given, 5), tmp_path, exact)
    found = open_vectors(tmp_path, rows, width)
    assert (found.steps is None) == (exact == 10**9)
    length = np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
    true = np.divide(given, length, out=np.zeros((80, 40)), where=length > 0)
    # int16: half a step of the row's largest number, over 32,767
    np.testing.assert_allclose(found.take(np.arange(80)), true, atol=1e-7 if exact == 10**9 else np.abs(true).max() / 60_000)
    np.testing.assert_allclose(found.take(np.arange(80)) @ true.T, true @ true.T, atol=2e-5)
    np.testing.assert_allclose(
        found.similarities(np.array([3, 9]), true[5].astype(np.float32)), true[[3, 9]] @ true[5], atol=1e-5
    )
    np.testing.assert_array_equal(np.concatenate([block for _, block in found.blocks()]), found.take(np.arange(80)))


def test_an_exact_search_does_not_depend_on_its_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, width = write_vectors([noise(500, 8)], tmp_path, -1)
    found = open_vectors(tmp_path, rows, width)
    whole = exact_search(found, noise(5, 8, seed=1), 12)
    monkeypatch.setattr(vectors, "BLOCK_NUMBERS", 8 * 37)
    for got, wanted in zip(exact_search(found, noise(5, 8, seed=1), 12), whole, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_memory_does_not_grow_with_the_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "EXACT_NUMBERS", 2**17)
    monkeypatch.setattr(vectors, "BLOCK_NUMBERS", 2**17)
    peaks = []
    for blocks in (30, 120):
        parts = (noise(1000, 32, seed % 8) for seed in range(blocks))
        tracemalloc.start()
        build_index(parts, tmp_path / str(blocks), recall=0.5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 90_000 * 4  # a step of four bytes a row; the vectors are 128


def test_the_effort_rises_with_the_recall_that_is_wanted(tmp_path: Path) -> None:
    given = noise(3000, 64)  # nothing is harder than noise
    found = [build_index(given, tmp_path / str(recall), kind="codes", recall=recall).facts for recall in (0.5, 0.9, 0.99)]
    efforts = [one.effort.candidates for one in found]
    assert efforts[0] < efforts[1] < efforts[2]
    for one in found:
        assert one.recall.reached >= one.recall.target - 0.02
        assert (one.recall.asked, one.recall.queries) == ("rows of the index", 128)


@pytest.mark.parametrize("candidates", [11, 40])
def test_recall_is_that_of_a_slow_count_and_no_row_is_its_own_neighbour(candidates: int, tmp_path: Path) -> None:
    given = noise(1200, 20)
    index = build_index(given, tmp_path / "index", kind="codes")
    own = np.arange(0, 1200, 50)
    sample = SampleQueries(index._vectors, index._vectors.take(own), own)
    unit = given.astype(np.float64) / np.linalg.norm(given, axis=1, keepdims=True)
    slow = []
    for row in own:
        similar = unit @ unit[row]
        others = [other for other in np.argsort(-similar) if other != row][:10]
        offered = index._codes.candidates(index._vectors.take(np.array([row])), Effort(1, candidates))[0]
        found = sorted((other for other in offered if other != row), key=lambda other: -similar[other])[:10]
        slow.append(len(set(found) & set(others)) / 10)
    np.testing.assert_allclose(sample.recall(index._codes, Effort(1, candidates)), slow, atol=1e-12)
    assert 0 < np.mean(slow) < 1


def test_queries_from_elsewhere_ask_for_an_effort_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centres = noise(30, 40)
    rows = centres[rng.integers(30, size=4000)] + 0.05 * noise(4000, 40, seed=1)
    far = noise(200, 40, seed=2)  # as texts lie beside ECGs: in no cluster
    own = build_index(rows, tmp_path / "own", kind="cells").facts
    given = build_index(rows, tmp_path / "given", kind="cells", queries=far)
    assert given.facts.recall.asked == "given"
    assert given.facts.effort.probed > own.effort.probed
    unseen = noise(100, 40, seed=3)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    truth = np.argsort(-(unseen @ unit.T), axis=1)[:, :10]
    found = given.search(unseen).rows
    assert np.mean([len(set(a) & set(b)) for a, b in zip(truth.tolist(), found.tolist(), strict=True)]) / 10 >= 0.9


def test_many_equal_vectors_are_no_trouble(tmp_path: Path) -> None:
    given = np.repeat(noise(4, 12), 400, axis=0)
    index = build_index(given, tmp_path / "index", kind="codes")
    assert index.facts.recall.reached == 1.0
    np.testing.assert_allclose(index.search(given[:1], 5).similarities, 1, atol=1e-5)


def test_progress_tells_what_is_done(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    parts = np.array_split(noise(1200, 8), 3)
    build_index(iter(parts), tmp_path / "index", kind="codes", progress=lambda *news: told.append(news))
    assert told == [("writing", 400, 0), ("writing", 800, 0), ("writing", 1200, 0), ("coding", 1200, 1200)]


def test_the_same_seed_gives_the_same_index(tmp_path: Path) -> None:
    given = noise(1500, 16)
    one, other = (build_index(given, tmp_path / str(i), kind="cells", seed=4).facts for i in range(2))
    assert one == other
    assert (tmp_path / "0" / "codes.faiss").read_bytes() == (tmp_path / "1" / "codes.faiss").read_bytes()


@pytest.mark.parametrize(
    ("given", "options", "word"),
    [
        (np.empty((0, 4)), {}, "none to build"),
        (np.ones(4), {}, r"numbers \[n, D\]"),
        (iter([np.ones((2, 4)), np.ones((2, 5))]), {}, "4 belong"),
        (np.full((3, 4), np.inf), {}, "finite"),
        (np.ones((3, 4)), {"recall": 0.0}, "recall"),
        (np.ones((3, 4)), {"kind": "hnsw"}, "kind"),
        (np.ones((999, 4)), {"kind": "codes"}, "exact"),
        (np.ones((1000, 4)), {"kind": "codes", "queries": np.ones((3, 5))}, "queries"),
        (np.ones((1000, 4)), {"kind": "codes", "queries": np.ones((1, 4))}, "choose"),
    ],
)
def test_what_no_index_can_be_built_of_is_refused_and_leaves_nothing(
    given: object, options: dict, word: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=word):
        build_index(given, tmp_path / "index", **options)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_build_leaves_the_old_index(tmp_path: Path) -> None:
    build_index(noise(20, 4), tmp_path / "index", {"model": "old"})

    def interrupt(what: str, done: int, total: int) -> None:
        if what == "coding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(noise(1200, 4), tmp_path / "index", {"model": "new"}, "codes", progress=interrupt)
    assert open_index(tmp_path / "index").facts.details == {"model": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    build_index(noise(30, 4), tmp_path / "index", {"model": "new"})
    assert len(open_index(tmp_path / "index", {"model": "new"})) == 30


def test_a_folder_with_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(StoreError, match="no whole search index"):
        build_index(noise(5, 4), tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
