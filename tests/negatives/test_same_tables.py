"""A table is what it always was for its embeddings and seed, worked out in blocks no larger than was said, where it was said."""

from __future__ import annotations

import sys
import zlib

import numpy as np
import pytest
import torch

from cmelt.negatives import build_table, candidates

#: Products of whole numbers are exact: the same cosines, and no two of a report's equal, whatever multiplies them.
EMBEDDINGS = np.random.default_rng(11).integers(-1000, 1001, (100, 4)).astype(np.float32)
COUNTS = np.random.default_rng(12).integers(1, 30, 100)
BAND = {"band": (0.25, 0.9)}


@pytest.mark.parametrize(
    ("options", "first", "all_of_it"),
    [
        ({}, [10, 18, 92], 988649871),
        (BAND, [91, 57, 68], 1919604071),
        ({**BAND, "counts": COUNTS}, [56, 91, 72], 3520615126),
        ({"strategy": "random"}, [92, 62, 68], 2724980915),
        ({"strategy": "random", "counts": COUNTS}, [62, 91, 78], 2882532711),
    ],
)
def test_a_table_that_is_built_anew_is_what_it_always_was(options: dict, first: list[int], all_of_it: int) -> None:
    """A run that goes on without its table builds it again, by a later version too: the draws must never change."""
    table = build_table(EMBEDDINGS, candidates=3, seed=7, device="cpu", **options)
    assert table.candidates.dtype == np.int32 and table.candidates[0].tolist() == first
    assert zlib.crc32(table.candidates.astype("<i4").tobytes()) == all_of_it
    assert (table.strategy, table.band, table.seed) == (
        options.get("strategy") or ("band" if "band" in options else "farthest"), options.get("band"), 7
    )  # fmt: skip


@pytest.mark.parametrize(("options", "all_of_it"), [(BAND, 2365835389), ({**BAND, "counts": COUNTS}, 560004162)])
def test_so_is_one_whose_ranks_are_estimated(options: dict, all_of_it: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("POOL", 16), ("SHARING", 8), ("WEIGHTED", 40)):
        monkeypatch.setattr(candidates, name, value)
    table = build_table(EMBEDDINGS, candidates=3, seed=7, **options)
    assert table.candidates.dtype == np.int32 and zlib.crc32(table.candidates.astype("<i4").tobytes()) == all_of_it


def test_where_a_band_holds_just_enough_all_of_it_is_taken_in_order() -> None:
    table = build_table(EMBEDDINGS[:10], candidates=9, seed=7, band=(0.0, 1.0))
    assert table.candidates[4].tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_without_a_seed_the_seed_is_zero() -> None:
    one, other = (build_table(EMBEDDINGS, candidates=3, **BAND, **seed) for seed in ({}, {"seed": 0}))
    np.testing.assert_array_equal(one.candidates, other.candidates)
    assert one.seed == 0


def steps_of(monkeypatch: pytest.MonkeyPatch, limit: int, embeddings: np.ndarray, **options) -> list[int]:
    """After how many reports progress is told where a block of similarities may take `limit` bytes."""
    monkeypatch.setattr(candidates, "BLOCK_BYTES", limit)
    told: list[tuple[int, int]] = []
    build_table(embeddings, progress=lambda done, total: told.append((done, total)), **options)
    assert {total for _, total in told} == {len(embeddings)}
    return [done for done, _ in told]


def every(rows: int, total: int) -> list[int]:
    return [*range(rows, total, rows), total]


def test_blocks_are_as_large_as_the_limit_allows_and_no_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    half = EMBEDDINGS[:50]
    assert steps_of(monkeypatch, 1000, half, candidates=3, **BAND) == every(5, 50)  # 50 others × 4 bytes a report
    assert steps_of(monkeypatch, 1000, half, candidates=3, device="cpu:0") == every(5, 50)
    # FAISS returns a number and a cosine, 12 bytes, of ten candidates a report: one more than asked for, which may be itself.
    assert steps_of(monkeypatch, 600, half, candidates=9, device="cpu") == every(5, 50)
    many = np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32)
    assert steps_of(monkeypatch, 4096 * 200, many, candidates=1, device="cpu") == [4096, 5000]  # it cuts at 4,096 rows itself
    assert steps_of(monkeypatch, 1, half, candidates=3, **BAND) == every(1, 50)  # less than a report cannot be


def test_blocks_of_a_pool_hold_its_reports_and_those_drawn_by_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("POOL", 64), ("SHARING", 50), ("WEIGHTED", 36)):
        monkeypatch.setattr(candidates, name, value)
    counted = {"candidates": 3, **BAND, "counts": COUNTS}
    assert steps_of(monkeypatch, 4000, EMBEDDINGS, **counted) == every(10, 100)  # 64 + 36 similarities × 4 bytes


def test_a_cpu_is_searched_by_faiss_and_anything_else_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    by_faiss = candidates.farthest(EMBEDDINGS, 5, "cpu")
    monkeypatch.setitem(sys.modules, "faiss", None)  # as where it is not installed
    np.testing.assert_array_equal(candidates.farthest(EMBEDDINGS, 5, "cpu:0"), by_faiss)
    with pytest.raises(ImportError, match="faiss"):
        candidates.farthest(EMBEDDINGS, 5, "cpu")


@pytest.mark.parametrize("there_is_a_gpu", [True, False])
def test_the_farthest_are_searched_on_a_gpu_where_there_is_one_and_where_the_caller_says(
    there_is_a_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def search(embeddings: np.ndarray, count: int, device: str, progress: object) -> np.ndarray:
        asked.append(device)
        return np.zeros((len(embeddings), count), dtype=np.int32)

    monkeypatch.setattr("cmelt.negatives.table.farthest", search)
    monkeypatch.setattr("torch.cuda.is_available", lambda: there_is_a_gpu)
    for device in (None, "cpu", "cuda:1"):
        build_table(EMBEDDINGS, device=device)
    assert asked == ["cuda" if there_is_a_gpu else "cpu", "cpu", "cuda:1"]


def test_a_gpu_s_search_multiplies_in_full_precision_and_leaves_the_setting_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten bits of a TF32 product are not enough to rank by."""
    before, found = torch.get_float32_matmul_precision(), []
    try:
        torch.set_float32_matmul_precision("medium")
        put = torch.set_float32_matmul_precision
        monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda wanted: (found.append(wanted), put(wanted)))
        candidates.farthest(EMBEDDINGS, 5, "cpu:0")
        assert found == ["highest", "medium"] and torch.get_float32_matmul_precision() == "medium"
    finally:
        monkeypatch.undo()
        torch.set_float32_matmul_precision(before)
