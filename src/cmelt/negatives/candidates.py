"""Which reports are far: the farthest, those of a band of distances, or any. Exact, in blocks of bounded memory.

Blocks hold at most BLOCK_BYTES of similarities (256 MiB) whatever the number N of reports; beside them lie the embeddings (4·N·d
bytes, twice under FAISS) and the table (4·N·K). 180,000 reports of 512 dimensions: 256 MiB + 2 × 350 MiB + 44 MiB.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 256 * 2**20


def farthest(embeddings: np.ndarray, count: int) -> np.ndarray:
    """For each report the `count` least similar others, farthest first: the paper's search with the negated vector.

    Args:
        embeddings: float32 [N, d], N ≥ 2.

    Returns:
        int32 [N, count]; where there are fewer others, they are repeated.
    """
    import faiss

    total = len(embeddings)
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    # One more than needed: with few reports a report is among its own farthest.
    width = min(count + 1, total)
    chosen = np.empty((total, count), dtype=np.int32)
    for rows in _blocks(total, 8 * width):
        _, found = index.search(np.ascontiguousarray(-embeddings[rows]), width)
        for row, others in zip(range(rows.start, rows.stop), found, strict=True):
            chosen[row] = np.resize(others[others != row][:count], count)
    return chosen


def banded(embeddings: np.ndarray, count: int, band: tuple[float, float], seed: int, weights: np.ndarray | None) -> np.ndarray:
    """For each report `count` others drawn from a band of its distances.

    The others of a report are ranked from the nearest (0) to the farthest (1); those with a rank in the band are drawn from, and
    those exactly as similar as its ends.

    Args:
        embeddings: float32 [N, d], N ≥ 2.
        band: (from, to), 0 ≤ from < to ≤ 1.
        seed: each report draws with its own generator, seeded with (seed, its number).
        weights: float64 [N]; others are drawn in proportion to them, with replacement. None: evenly, none twice.

    Returns:
        int32 [N, count]; where the band holds fewer, they are repeated.
    """
    total = len(embeddings)
    nearest, beyond = (round((total - 2) * (1 - end)) for end in band)
    chosen = np.empty((total, count), dtype=np.int32)
    for rows in _blocks(total, 4 * total):
        similarity = embeddings[rows] @ embeddings.T  # [b, N]
        for row, own in zip(range(rows.start, rows.stop), similarity, strict=True):
            own[row] = np.inf  # sorts behind all others, so their ranks are 0 … N − 2 from the farthest
            ranked = np.partition(own, (beyond, nearest))
            members = np.flatnonzero((own >= ranked[beyond]) & (own <= ranked[nearest]))
            chosen[row] = _pick(members, count, np.random.default_rng((seed, row)), weights)
    return chosen


def anywhere(total: int, count: int, seed: int, weights: np.ndarray | None) -> np.ndarray:
    """For each of N ≥ 2 reports `count` others, however near: what plain random negatives are. int32 [N, count]."""
    chosen = np.empty((total, count), dtype=np.int32)
    reach = np.cumsum(np.ones(total) if weights is None else weights)
    for row in range(total):
        rng = np.random.default_rng((seed, row))
        if weights is None:
            others = np.resize(rng.choice(total - 1, min(count, total - 1), replace=False), count)
            chosen[row] = others + (others >= row)
            continue
        # A point on the line of all weights from which the row's own stretch is cut out.
        point = rng.random(count) * (reach[-1] - weights[row])
        point += weights[row] * (point >= reach[row] - weights[row])
        chosen[row] = np.minimum(np.searchsorted(reach, point, side="right"), total - 1)
    return chosen


def _pick(members: np.ndarray, count: int, rng: np.random.Generator, weights: np.ndarray | None) -> np.ndarray:
    """`count` of the members: none twice while there are enough, or by weight."""
    if weights is not None:
        reach = np.cumsum(weights[members])
        return members[np.searchsorted(reach, rng.random(count) * reach[-1], side="right")]
    if len(members) <= count:
        return np.resize(members, count)
    return members[rng.choice(len(members), count, replace=False, shuffle=False)]


def _blocks(total: int, bytes_a_row: int) -> Iterator[slice]:
    """Consecutive slices of the rows, of a size that depends on nothing but the numbers: the same on every machine."""
    step = max(1, BLOCK_BYTES // bytes_a_row)
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
