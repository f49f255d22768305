"""Which reports are far: the farthest, those of a band of distances, or any. In blocks of bounded memory.

Blocks hold at most BLOCK_BYTES of similarities (256 MiB) whatever the number N of reports, and a copy of them while a band is
cut out; beside them lie the embeddings (4·N·d bytes, twice under FAISS and on a GPU) and the table (4·N·K). 180,000 reports of
512 dimensions: 512 MiB + 2 × 350 MiB + 44 MiB at most.

The farthest are exact, and cost N² products. A band is a range of ranks, and ranks are estimated: from all others while there are
up to POOL of them, from that many random ones beyond, so that it costs N products.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

BLOCK_BYTES = 256 * 2**20

#: Ranks are exact up to so many reports. Beyond, they are estimated from so many: the rank q of a band's end has a standard error
#: of √(q(1 − q) / POOL), at most 0.0055, each report its own.
POOL = 8192

#: So many neighbouring reports share a pool. Fewer would cost more to draw, more would leave fewer pools to draw negatives from.
SHARING = 1024

#: Reports drawn by weight for a pool, of which a report takes those inside its band.
WEIGHTED = 2048

Progress = Callable[[int, int], None]


def farthest(embeddings: np.ndarray, count: int, device: str, progress: Progress | None = None) -> np.ndarray:
    """For each report the `count` least similar others, farthest first: the paper's search with the negated vector.

    Args:
        embeddings: float32 [N, d], N ≥ 2.
        device: "cpu" searches with FAISS, anything else with torch on that device.
        progress: called after each block with (reports done, N).

    Returns:
        int32 [N, count]; where there are fewer others, they are repeated.
    """
    blocks = _searched_by_faiss(embeddings, count) if device == "cpu" else _searched_by_torch(embeddings, count, device)
    chosen = np.empty((len(embeddings), count), dtype=np.int32)
    for rows, found in blocks:
        # A report is among its own farthest only where there are few: one more than needed was looked for.
        for row, others in enumerate(found, rows.start):
            chosen[row] = np.resize(others[others != row][:count], count)
        _tell(progress, rows.stop, len(embeddings))
    return chosen


def banded(
    embeddings: np.ndarray,
    count: int,
    band: tuple[float, float],
    seed: int,
    weights: np.ndarray | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """For each report `count` others drawn from a band of its distances.

    The others of a report are ranked from the nearest (0) to the farthest (1); those with a rank in the band are drawn from, and
    those exactly as similar as its ends. Of more than POOL reports both ranks and draws come from a pool of random others: POOL,
    or more for a narrow band, so that it holds four times as many as are drawn.

    Args:
        embeddings: float32 [N, d], N ≥ 2.
        band: (from, to), 0 ≤ from < to ≤ 1.
        seed: each report draws with its own generator, seeded with (seed, its number).
        weights: float64 [N]; others are drawn in proportion to them, with replacement. None: evenly, none twice.
        progress: called after each block with (reports done, N).

    Returns:
        int32 [N, count]; where the band holds fewer, they are repeated.
    """
    total = len(embeddings)
    size = min(total, max(POOL, math.ceil(4 * count / (band[1] - band[0]))))
    nearest, beyond = (round((size - 2) * (1 - end)) for end in band)
    order = np.arange(total) if size == total else np.random.default_rng((seed, 0, 1)).permutation(total)
    chosen = np.empty((total, count), dtype=np.int32)
    for start in range(0, total, SHARING):
        # Pools go through the shuffled reports one after another, so that every report is in one.
        pool = order[np.arange(start // SHARING * size, (start // SHARING + 1) * size) % total]
        heavy = _by_weight(weights if size < total else None, np.random.default_rng((seed, start, 2)))
        for rows in _blocks(start, min(start + SHARING, total), 4 * (len(pool) + len(heavy))):
            ranked = _similarity(embeddings, rows, pool)  # [b, size]
            ends = np.partition(ranked, (beyond, nearest))[:, [beyond, nearest]]
            extra = _similarity(embeddings, rows, heavy)  # [b, WEIGHTED], nothing where the pool has everything
            for i, row in enumerate(range(rows.start, rows.stop)):
                rng = np.random.default_rng((seed, row))
                members = heavy[_between(extra[i], *ends[i])]
                if len(members) < count:
                    members = pool[_between(ranked[i], *ends[i])]
                    chosen[row] = _pick(members, count, rng, weights)
                else:
                    chosen[row] = members[rng.choice(len(members), count, replace=False, shuffle=False)]
            _tell(progress, rows.stop, total)
    return chosen


def anywhere(total: int, count: int, seed: int, weights: np.ndarray | None) -> np.ndarray:
    """For each of N ≥ 2 reports `count` others, however near: what plain random negatives are. int32 [N, count]."""
    chosen = np.empty((total, count), dtype=np.int32)
    if weights is None:
        for row in range(total):
            others = np.random.default_rng((seed, row)).choice(total - 1, min(count, total - 1), replace=False)
            chosen[row] = np.resize(others + (others >= row), count)
        return chosen
    reach = np.cumsum(weights)
    for row in range(total):
        # A point on the line of all weights from which the row's own stretch is cut out.
        point = np.random.default_rng((seed, row)).random(count) * (reach[-1] - weights[row])
        point += weights[row] * (point >= reach[row] - weights[row])
        chosen[row] = np.minimum(np.searchsorted(reach, point, side="right"), total - 1)
    return chosen


def _searched_by_faiss(embeddings: np.ndarray, count: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of rows with their least similar reports, [b, count + 1] where there are so many, farthest first."""
    import faiss

    total = len(embeddings)
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    width = min(count + 1, total)
    for rows in _blocks(0, total, max(12 * width, BLOCK_BYTES // 4096)):  # FAISS cuts the products itself, 4,096 rows at once
        yield rows, index.search(np.ascontiguousarray(-embeddings[rows]), width)[1]


def _searched_by_torch(embeddings: np.ndarray, count: int, device: str) -> Iterator[tuple[slice, np.ndarray]]:
    """The same by matrix product and partial sort on a device."""
    import torch

    total = len(embeddings)
    vectors = torch.from_numpy(embeddings).to(device)
    for rows in _blocks(0, total, 4 * total):
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")  # ten bits of a TF32 product are not enough to rank by
        try:
            similarity = vectors[rows] @ vectors.T  # [b, N]
        finally:
            torch.set_float32_matmul_precision(precision)
        yield rows, similarity.topk(min(count + 1, total), dim=1, largest=False).indices.cpu().numpy()


def _by_weight(weights: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """WEIGHTED reports in proportion to their weights, with replacement; none where there are no weights."""
    if weights is None:
        return np.empty(0, dtype=np.int64)
    return rng.choice(len(weights), WEIGHTED, p=weights / weights.sum())


def _similarity(embeddings: np.ndarray, rows: slice, others: np.ndarray) -> np.ndarray:
    """Cosines [b, m] of the rows to others; infinite to themselves, which sorts behind all others and into no band."""
    everything = len(others) == len(embeddings)
    similarity = embeddings[rows] @ (embeddings if everything else embeddings[others]).T
    similarity[np.arange(rows.start, rows.stop)[:, None] == others[None]] = np.inf
    return similarity


def _between(similarity: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where similarities lie from low to high."""
    return np.flatnonzero((similarity >= low) & (similarity <= high))


def _pick(members: np.ndarray, count: int, rng: np.random.Generator, weights: np.ndarray | None) -> np.ndarray:
    """`count` of the members: none twice while there are enough, or by weight."""
    if weights is not None:
        reach = np.cumsum(weights[members])
        return members[np.searchsorted(reach, rng.random(count) * reach[-1], side="right")]
    if len(members) <= count:
        return np.resize(members, count)
    return members[rng.choice(len(members), count, replace=False, shuffle=False)]


def _blocks(start: int, stop: int, bytes_a_row: int) -> Iterator[slice]:
    """Consecutive slices of the rows, of a size that depends on nothing but the numbers: the same on every machine."""
    step = max(1, BLOCK_BYTES // bytes_a_row)
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
