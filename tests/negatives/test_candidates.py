"""The chosen negatives against a slow search in float64."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.negatives import build_table, candidates, draw, save_table


def unit_vectors(count: int, dims: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dims)) + 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def slow_ranks(embeddings: np.ndarray) -> np.ndarray:
    """Rank of every other report by distance in float64, as a quantile: 0 the nearest, 1 the farthest; NaN for itself."""
    exact = embeddings.astype(np.float64)
    ranks = np.full((len(exact), len(exact)), np.nan)
    for row in range(len(exact)):
        similarity = [float(np.sum(exact[row] * exact[other])) for other in range(len(exact))]
        others = sorted((other for other in range(len(exact)) if other != row), key=lambda other: -similarity[other])
        ranks[row, others] = np.linspace(0, 1, len(others))
    return ranks


def test_farthest_are_the_least_similar_of_a_slow_exact_search() -> None:
    embeddings = unit_vectors(300)
    table = build_table(embeddings, candidates=64)
    ranks = slow_ranks(embeddings)
    for row in range(300):
        assert set(table.candidates[row]) == set(np.argsort(-np.nan_to_num(ranks[row], nan=-1))[:64])
    assert table.candidates.dtype == np.int32
    assert table.strategy == "farthest"


def test_the_farthest_come_first() -> None:
    embeddings = unit_vectors(100)
    table = build_table(embeddings, candidates=20)
    similarity = np.einsum("nkd,nd->nk", embeddings[table.candidates], embeddings)
    assert (np.diff(similarity, axis=1) >= -1e-6).all()


@pytest.mark.parametrize("band", [(0.5, 0.95), (0.0, 0.2), (0.9, 1.0)])
def test_a_band_is_drawn_from_whole_and_from_nothing_else(band: tuple[float, float]) -> None:
    embeddings = unit_vectors(201)
    ranks = slow_ranks(embeddings)
    seen = [set[int]() for _ in range(201)]
    for seed in range(40):
        table = build_table(embeddings, candidates=16, band=band, seed=seed)
        for row, chosen in enumerate(table.candidates):
            seen[row].update(chosen.tolist())
    for row in range(201):
        inside = set(np.flatnonzero((ranks[row] >= band[0] - 1e-9) & (ranks[row] <= band[1] + 1e-9)).tolist())
        # Rounding may take one more report in at either end.
        wider = (ranks[row] >= band[0] - 0.0075) & (ranks[row] <= band[1] + 0.0075)
        assert seen[row] <= set(np.flatnonzero(wider).tolist())
        assert len(seen[row] & inside) >= 0.95 * len(inside)


def test_in_a_band_no_report_is_drawn_twice_while_there_are_enough() -> None:
    table = build_table(unit_vectors(300), candidates=64, band=(0.5, 0.95))
    assert all(len(set(row)) == 64 for row in table.candidates.tolist())


@pytest.mark.parametrize(
    "options", [{}, {"band": (0.2, 0.9)}, {"strategy": "random"}, {"strategy": "random", "counts": np.arange(1, 91)}]
)
def test_fault_7_no_report_is_ever_a_negative_of_itself(options: dict) -> None:
    table = build_table(unit_vectors(90), candidates=64, seed=3, **options)
    assert table.candidates.shape == (90, 64)
    assert not (table.candidates == np.arange(90)[:, None]).any()
    assert (table.candidates >= 0).all()
    assert (table.candidates < 90).all()


@pytest.mark.parametrize("total", [2, 3, 10, 64, 65])
@pytest.mark.parametrize("options", [{}, {"band": (0.5, 0.95)}, {"strategy": "random"}])
def test_fewer_reports_than_candidates_are_repeated(total: int, options: dict) -> None:
    table = build_table(unit_vectors(total), candidates=64, **options)
    assert table.candidates.shape == (total, 64)
    assert not (table.candidates == np.arange(total)[:, None]).any()
    if options.get("band") is None:
        assert all(len(set(row)) == min(64, total - 1) for row in table.candidates.tolist())


@pytest.mark.parametrize("options", [{}, {"band": (0.5, 0.95)}, {"strategy": "random"}])
def test_the_same_seed_gives_the_same_table_however_the_work_is_cut(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = unit_vectors(120)
    whole = build_table(embeddings, candidates=8, seed=5, **options)
    monkeypatch.setattr(candidates, "BLOCK_BYTES", 2000)
    pieces = build_table(embeddings, candidates=8, seed=5, **options)
    np.testing.assert_array_equal(whole.candidates, pieces.candidates)
    if options:
        other = build_table(embeddings, candidates=8, seed=6, **options)
        assert (whole.candidates != other.candidates).any()


@pytest.mark.parametrize("options", [{}, {"band": (0.25, 0.95)}, {"band": (0.25, 0.95), "counts": True}])
def test_memory_stays_within_what_is_stated(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "BLOCK_BYTES", 2**19)
    monkeypatch.setattr(candidates, "POOL", 1024)
    embeddings = unit_vectors(3000)
    if "counts" in options:
        options = {**options, "counts": np.arange(1, 3001)}
    tracemalloc.start()
    table = build_table(embeddings, candidates=16, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Two blocks, the table, the embeddings once more and the weights: nothing of the size of all similarities (36 MB).
    assert peak < 3 * candidates.BLOCK_BYTES + 2 * table.candidates.nbytes + 2 * embeddings.nbytes


def test_the_search_of_a_gpu_finds_what_a_slow_search_finds() -> None:
    embeddings = unit_vectors(300)
    found = candidates.farthest(embeddings, 20, device="cpu:0")  # torch's search, on a device that every machine has
    np.testing.assert_array_equal(found, np.argsort(-np.nan_to_num(slow_ranks(embeddings), nan=-1), axis=1)[:, :20])


def pooled(monkeypatch: pytest.MonkeyPatch, pool: int, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """A table of 1,500 reports whose ranks are estimated from `pool` others, and the exact ranks of what was chosen."""
    monkeypatch.setattr(candidates, "POOL", pool)
    monkeypatch.setattr(candidates, "SHARING", 100)
    embeddings = unit_vectors(1500)
    table = build_table(embeddings, candidates=32, **options)
    similarity = embeddings.astype(np.float64) @ embeddings.astype(np.float64).T
    np.fill_diagonal(similarity, np.inf)
    ranks = 1 - np.argsort(np.argsort(similarity, axis=1), axis=1) / 1498
    return table.candidates, np.take_along_axis(ranks, table.candidates.astype(np.int64), axis=1)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("band", [(0.25, 0.95), (0.6, 0.8)])
def test_estimated_ranks_keep_to_the_band_as_exact_ones_do(
    band: tuple[float, float], counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.random.default_rng(3).integers(1, 4, 1500) if counted else None
    _, ranks = pooled(monkeypatch, 640, band=band, counts=counts)
    for end, outside in ((band[0], band[0] - ranks), (band[1], ranks - band[1])):
        error = np.sqrt(end * (1 - end) / 640)  # of one report's estimate
        assert outside.max() < 4.5 * error + 1 / 640
        # Only what lies between a wrong end and the true one is outside: half of the reports, by 0.8 errors in the mean.
        assert (outside > 0).mean() < error / (band[1] - band[0])
    np.testing.assert_allclose(
        np.quantile(ranks, [0.1, 0.5, 0.9]), band[0] + np.array([0.1, 0.5, 0.9]) * np.ptp(band), atol=0.012
    )


def test_pools_change_so_that_every_report_gets_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, _ = pooled(monkeypatch, 256, band=(0.0, 1.0))
    assert len(np.unique(chosen)) == 1500
    assert not (chosen == np.arange(1500)[:, None]).any()
    assert all(len(set(row)) == 32 for row in chosen.tolist())


def test_a_narrow_band_gets_a_larger_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, ranks = pooled(monkeypatch, 64, band=(0.85, 0.95))  # 4 · 32 / 0.1 = 1,280 of 1,500
    assert np.mean([len(set(row)) for row in chosen.tolist()]) == 32
    assert (np.abs(ranks - 0.9) < 0.08).all()


def test_counts_weigh_in_a_pool_as_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.ones(1500)
    counts[7] = 300  # a sixth of the records have this report
    chosen, _ = pooled(monkeypatch, 256, band=(0.0, 1.0), counts=counts)
    share = (chosen == 7).mean(axis=1)
    assert abs(share.mean() - 300 / 1799) < 0.01
    assert (np.delete(share, 7) > 0).mean() > 0.95  # for every report, not only for those whose pool it is in


@pytest.mark.parametrize("options", [{}, {"band": (0.2, 0.9)}])
def test_progress_goes_up_to_all_reports(options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "BLOCK_BYTES", 4000)
    told: list[tuple[int, int]] = []
    build_table(unit_vectors(90), candidates=8, progress=lambda done, total: told.append((done, total)), **options)
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (90, 90)


def test_an_interrupted_table_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_table(build_table(unit_vectors(30), progress=interrupt), tmp_path / "negatives", ["report"] * 30)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"strategy": "random"}, {"band": (0.0, 1.0)}])
def test_counts_make_a_report_a_negative_as_often_as_it_is_a_true_one(options: dict) -> None:
    counts = np.array([1, 1, 1, 1, 6, 10])
    table = build_table(unit_vectors(6), candidates=4000, counts=counts, **options)
    for row in range(6):
        others = np.arange(6) != row
        share = np.bincount(table.candidates[row], minlength=6)[others] / 4000
        np.testing.assert_allclose(share, counts[others] / counts[others].sum(), atol=0.03)


def test_draws_are_candidates_of_their_own_row_and_follow_the_generator() -> None:
    table = build_table(unit_vectors(50), candidates=8, band=(0.3, 0.9))
    groups = np.random.default_rng(0).integers(50, size=500)
    negatives = draw(table, groups, np.random.default_rng(1))
    assert negatives.dtype == np.int64
    assert all(negative in table.candidates[group] for group, negative in zip(groups, negatives, strict=True))
    np.testing.assert_array_equal(negatives, draw(table, groups, np.random.default_rng(1)))
    assert (negatives != draw(table, groups, np.random.default_rng(2))).any()
    assert draw(table, groups[:0], np.random.default_rng(1)).shape == (0,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"band": (0.9, 0.5)}, "negatives.band: .*0.9.*the smaller first"),
        ({"band": (0.5, 0.5)}, "negatives.band: .*two quantiles"),
        ({"band": (-0.1, 0.5)}, "negatives.band: .*two quantiles"),
        ({"band": (0.5, 1.1)}, "negatives.band: .*two quantiles"),
        ({"strategy": "band"}, "negatives.band: None.*two quantiles"),
        ({"strategy": "nearest"}, "negatives.strategy: .*nearest.*farthest, band, random"),
        ({"candidates": 0}, "negatives.candidates: 0 candidates.*at least 1"),
        ({"strategy": "random", "counts": np.ones(3)}, "counts: 3 numbers for 10 reports.*count the records"),
        ({"strategy": "random", "counts": np.zeros(10)}, "counts: 10 numbers for 10.*count the records"),
    ],
)
def test_what_no_table_can_be_built_from_is_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        build_table(unit_vectors(10), **options)


def test_a_single_report_has_no_negative() -> None:
    with pytest.raises(ConfigError, match=r"(?s)negatives: 1 distinct reports.*none has another.*use more records"):
        build_table(unit_vectors(1))


def test_least_and_most_that_can_be_asked_for() -> None:
    assert build_table(unit_vectors(2), candidates=1).candidates.tolist() == [[1], [0]]
    assert build_table(unit_vectors(80)).candidates.shape == (80, 64)  # the paper's number
    assert build_table(unit_vectors(10), candidates=3, strategy="random", counts=np.ones(10)).strategy == "random"
    whole = build_table(unit_vectors(10), candidates=9, band=(0.0, 1.0))
    assert [sorted(row) for row in whole.candidates.tolist()] == [[n for n in range(10) if n != row] for row in range(10)]
