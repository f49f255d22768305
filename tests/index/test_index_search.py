"""What an index finds, against comparing with every row in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmelt.errors import ConfigError
from cmelt.index import Index, build_index, opened

ROWS, WIDTH = 3000, 46  # no multiple of four: codes take four numbers together
KINDS = ("exact", "codes", "cells")


def clustered(count: int, seed: int, width: int = WIDTH, directions: int = 12, clusters: int = 20) -> np.ndarray:
    """Vectors as embeddings lie: clusters, spread in few directions, a little noise in all."""
    of_all, own = np.random.default_rng(77), np.random.default_rng(seed)
    centres, basis = of_all.normal(size=(clusters, width)), of_all.normal(size=(directions, width))
    spread = own.normal(size=(count, directions)) @ basis / np.sqrt(directions)
    return (centres[own.integers(clusters, size=count)] + spread + 0.2 * own.normal(size=(count, width))).astype(np.float32)


def slow_cosines(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Every query with every row, one by one in float64."""
    found = np.empty((len(queries), len(vectors)))
    for i, query in enumerate(queries.astype(np.float64)):
        for j, vector in enumerate(vectors.astype(np.float64)):
            found[i, j] = query @ vector / np.sqrt((query @ query) * (vector @ vector))
    return found


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(ROWS, seed=1)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return 3 * clustered(40, seed=2)


@pytest.fixture(scope="module")
def cosines(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return slow_cosines(queries, vectors)


@pytest.fixture(scope="module")
def indexes(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Index]:
    folder = tmp_path_factory.mktemp("indexes")
    return {kind: build_index(vectors, folder / kind, kind=kind, recall=0.9) for kind in KINDS}


def recall(rows: np.ndarray, cosines: np.ndarray, among: np.ndarray | None = None) -> float:
    allowed = np.arange(cosines.shape[1]) if among is None else among
    truth = [set(allowed[np.argsort(-line[allowed])[: rows.shape[1]]]) for line in cosines]
    return float(np.mean([len(set(found) & true) / rows.shape[1] for found, true in zip(rows.tolist(), truth, strict=True)]))


@pytest.mark.parametrize("k", [1, 10, 250, ROWS])
def test_an_exact_index_finds_what_a_slow_search_finds(k: int, indexes: dict, queries: np.ndarray, cosines: np.ndarray) -> None:
    rows, similarities = indexes["exact"].search(queries, k)
    assert recall(rows, cosines) == 1.0
    np.testing.assert_allclose(similarities, -np.sort(-cosines, axis=1)[:, :k], atol=1e-6)


@pytest.mark.parametrize("kind", ["codes", "cells"])
def test_a_coded_index_finds_its_share_and_says_so_truly(
    kind: str, indexes: dict, queries: np.ndarray, cosines: np.ndarray
) -> None:
    facts = indexes[kind].facts
    assert facts.kind == kind
    assert facts.recall.target == 0.9
    assert facts.recall.reached >= 0.88
    # 40 queries of the same kind: within 4 standard errors of what was promised.
    assert recall(indexes[kind].search(queries).rows, cosines) >= facts.recall.reached - 0.06


@pytest.mark.parametrize("kind", KINDS)
def test_similarities_are_true_cosines_of_the_rows_found_in_order(
    kind: str, indexes: dict, queries: np.ndarray, cosines: np.ndarray
) -> None:
    rows, similarities = indexes[kind].search(queries, 15)
    assert rows.dtype == np.int64
    assert similarities.dtype == np.float32
    np.testing.assert_allclose(similarities, np.take_along_axis(cosines, rows, 1), atol=1e-6 if kind == "exact" else 2e-5)
    assert (np.diff(similarities, axis=1) <= 0).all()
    assert all(len(set(line)) == 15 for line in rows.tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 7, 100, 1500])
def test_among_few_rows_the_nearest_of_them_are_found(
    kind: str, count: int, indexes: dict, queries: np.ndarray, cosines: np.ndarray
) -> None:
    among = np.random.default_rng(count).choice(ROWS, count, replace=False)
    rows, _ = indexes[kind].search(queries, 10, among)
    assert rows.shape == (40, min(10, count))
    assert recall(rows, cosines, np.sort(among)) == 1.0


@pytest.mark.parametrize("kind", ["codes", "cells"])
@pytest.mark.parametrize("which", ["any", "another hospital's"])
def test_among_many_rows_nothing_else_is_found_and_the_share_holds(
    kind: str, which: str, indexes: dict, queries: np.ndarray, cosines: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "AMONG_EXACT", 0)
    # A hospital whose records lie to one side: most of them in cells that the queries would not look into.
    side = cosines[:20].mean(axis=0) < np.median(cosines[:20].mean(axis=0))
    among = np.flatnonzero(side) if which != "any" else np.random.default_rng(0).choice(ROWS, ROWS // 2, replace=False)
    rows, _ = indexes[kind].search(queries, 10, among)
    assert np.isin(rows, among).all()
    assert recall(rows, cosines, np.sort(among)) >= 0.88


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_depends_neither_on_length_nor_on_the_other_queries(kind: str, indexes: dict, queries: np.ndarray) -> None:
    together = indexes[kind].search(queries, 5)
    for i in range(10):
        alone = indexes[kind].search(queries[i : i + 1] * 0.01, 5)
        np.testing.assert_array_equal(alone.rows[0], together.rows[i])


@pytest.mark.parametrize("kind", ["codes", "cells"])
def test_every_row_can_be_had_by_asking_for_many(kind: str, indexes: dict, queries: np.ndarray, cosines: np.ndarray) -> None:
    rows, _ = indexes[kind].search(queries[:3], 2 * ROWS)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.broadcast_to(np.arange(ROWS), (3, ROWS)))


def test_a_query_whose_cells_hold_too_few_looks_further(indexes: dict, queries: np.ndarray, cosines: np.ndarray) -> None:
    from cmelt.index.codes import coded_search
    from cmelt.index.facts import Effort

    index = indexes["cells"]
    asked = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    short = (index._codes.candidates(asked, Effort(1, 400)) < 0).any(axis=1)
    assert short.any()  # or this test would show nothing
    rows, _ = coded_search(index._codes, index._vectors, asked, 400, Effort(1, 400))
    assert recall(rows[short], cosines[short]) > 0.999  # two that agree to 2e-5 may change places


def test_among_rows_all_cells_are_read(indexes: dict, queries: np.ndarray, cosines: np.ndarray) -> None:
    from cmelt.index.codes import coded_search
    from cmelt.index.facts import Effort

    index, among = indexes["cells"], np.arange(0, ROWS, 2)
    asked = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    nearest_cell, _ = coded_search(index._codes, index._vectors, asked, 10, Effort(1, 200))
    assert recall(nearest_cell, cosines) < 0.9  # or this test would show nothing
    rows, _ = coded_search(index._codes, index._vectors, asked, 10, Effort(1, 200), among)
    assert recall(rows, cosines, among) > 0.95


def test_many_queries_are_answered_as_few_are(indexes: dict, queries: np.ndarray) -> None:
    for kind in KINDS:
        few, many = indexes[kind].search(queries, 3), indexes[kind].search(np.tile(queries, (15, 1)), 3)
        np.testing.assert_array_equal(many.rows, np.tile(few.rows, (15, 1)))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda index: index.search(np.ones((2, WIDTH + 1))), f"{WIDTH} belong"),
        (lambda index: index.search(np.ones(WIDTH)), r"numbers \[n, D\]"),
        (lambda index: index.search(np.full((1, WIDTH), np.nan)), "finite"),
        (lambda index: index.search(np.ones((1, WIDTH)), 0), "at least 1"),
        (lambda index: index.search(np.ones((1, WIDTH)), among=[0, ROWS]), f"row {ROWS} of {ROWS}"),
        (lambda index: index.search(np.ones((1, WIDTH)), among=[-1]), "row -1"),
        (lambda index: index.search(np.ones((1, WIDTH)), among=[]), "no row"),
        (lambda index: index.search(np.ones((1, WIDTH)), among=np.ones(ROWS, bool)), "row numbers"),
    ],
)
@pytest.mark.parametrize("kind", ["exact", "codes"])
def test_what_cannot_be_asked_is_refused(kind: str, call: Callable, word: str, indexes: dict) -> None:
    with pytest.raises(ConfigError, match=word):
        call(indexes[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_no_query_finds_nothing_and_a_query_of_zeros_finds_something(kind: str, indexes: dict) -> None:
    assert indexes[kind].search(np.empty((0, WIDTH)), 4).rows.shape == (0, 4)
    rows, similarities = indexes[kind].search(np.zeros((1, WIDTH)), 4)
    assert rows.shape == (1, 4)
    assert not similarities.any()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 60),
    width=st.integers(1, 9),
    k=st.integers(1, 70),
    seed=st.integers(0, 10**6),
    values=st.sampled_from(["normal", "few", "with zeros"]),
)
def test_any_small_set_is_searched_exactly(tmp_path: Path, rows: int, width: int, k: int, seed: int, values: str) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, width)) if values == "normal" else rng.integers(-1, 2, size=(rows, width)).astype(float)
    if values == "few":
        vectors[:, 0] = 1  # many equal ones, and none of zeros
    query = rng.normal(size=(1, width))
    index = build_index(iter(np.array_split(vectors, 3)) if rows > 2 else vectors, tmp_path / "index")
    length = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    true = np.divide(vectors @ query[0], length, out=np.zeros(rows), where=length > 0)
    found = index.search(query, k)
    np.testing.assert_allclose(found.similarities[0], -np.sort(-true)[:k], atol=2e-6)
    np.testing.assert_allclose(true[found.rows[0]], found.similarities[0], atol=2e-6)
    assert len(set(found.rows[0].tolist())) == min(k, rows)


def test_vectors_are_given_back_to_be_asked_with(tmp_path):
    vectors = np.random.default_rng(8).normal(size=(30, 12)).astype(np.float32)
    index = build_index(vectors, tmp_path / "index")
    expected = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(index.take([4, 2, 4]), expected[[4, 2, 4]], atol=1e-6)
    assert index.search(index.take([7]), 1).rows.tolist() == [[7]]
    for wrong in ([30], [-1]):
        with pytest.raises(ConfigError, match="rows count from 0"):
            index.take(wrong)
