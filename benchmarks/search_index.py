"""Vector search: one query at a time against an index on disk, its recall, and what building it costs.

    python benchmarks/search_index.py                     a million rows of 768 like embeddings, 200,000 of noise
    python benchmarks/search_index.py --noise 1000000     a million of these, too
    python benchmarks/search_index.py --rows 100000       quicker

Two kinds of vectors. *Like embeddings*: a mixture of 500 clusters, each spread in 24 common directions, with a little noise in
all. Its intrinsic dimension is told with the figures (by the two nearest neighbours, Facco et al. 2017); by the same measure that
of the bundled model's embeddings of PTB-XL is 10. *Noise*: the same in every direction, which no embedding is, and no index
likes: the 10 nearest of a query are hardly nearer than the next thousand.

Recall is the share of the true 10 nearest (all rows, float32) that are among the 10 found, for queries that no index has seen.
An index takes 1.6 GB of disk per million rows.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from cmelt.index import Index, open_index
from measuring import Figure, in_a_fresh_python, options, tell

BLOCK = 20_000
QUERIES, TIMED = 100, 60
TARGET_MS, TARGET_RECALL = 20.0, 0.95
CLUSTERS, DIRECTIONS = 500, 24

#: Building in a process of its own, so that its memory is its own.
_BUILD = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from search_index import blocks
from cmelt.index import build_index
kind, rows, width, folder = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
start = time.process_time()
made = sum(len(block) for _, block in zip(range(3), blocks(kind, rows, width)))
made = (time.process_time() - start) * rows / made  # making the vectors is not building the index
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
clock, start = time.perf_counter(), time.process_time()
build_index(blocks(kind, rows, width), folder)
took = time.process_time() - start - made
print(json.dumps({"seconds": took, "clock": time.perf_counter() - clock,
                  "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "before": before}))
"""


def blocks(kind: str, rows: int, width: int, seed: int = 1) -> Iterator[NDArray[np.float32]]:
    """Vectors [n, width], block by block: the same for the same seed, whatever the number of rows."""
    fixed = np.random.default_rng(77)
    centres = fixed.standard_normal((CLUSTERS, width), dtype=np.float32) / np.float32(np.sqrt(width))
    basis = np.linalg.qr(fixed.standard_normal((width, min(DIRECTIONS, width))))[0].T.astype(np.float32)  # [24, width]
    for number, first in enumerate(range(0, rows, BLOCK)):
        rng, count = np.random.default_rng((seed, number)), min(BLOCK, rows - first)
        noise = rng.standard_normal((BLOCK, width), dtype=np.float32)[:count] / np.float32(np.sqrt(width))
        if kind == "noise":
            yield noise
            continue
        spread = rng.standard_normal((BLOCK, len(basis)), dtype=np.float32)[:count] / np.float32(np.sqrt(len(basis)))
        yield centres[rng.integers(CLUSTERS, size=BLOCK)[:count]] + 0.7 * (spread @ basis) + 0.15 * noise


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """At length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def truth(kind: str, rows: int, queries: NDArray[np.float32]) -> NDArray[np.int64]:
    """The 10 nearest rows of each query, by comparing with every row."""
    best = np.full((len(queries), 10), -np.inf, dtype=np.float32)
    found = np.zeros((len(queries), 10), dtype=np.int64)
    for number, block in enumerate(blocks(kind, rows, queries.shape[1])):
        similar = np.concatenate([best, queries @ unit(block).T], axis=1)
        numbers = np.concatenate(
            [found, np.broadcast_to(np.arange(len(block)) + number * BLOCK, (len(queries), len(block)))], axis=1
        )
        top = np.argpartition(similar, -10, axis=1)[:, -10:]
        best, found = np.take_along_axis(similar, top, 1), np.take_along_axis(numbers, top, 1)
    return found


def intrinsic_dimension(vectors: NDArray[np.float32]) -> float:
    """By the ratio of the distances to the two nearest neighbours."""
    exact = unit(vectors).astype(np.float64)
    squared = 2 - 2 * exact @ exact.T
    np.fill_diagonal(squared, np.inf)
    near = np.sqrt(np.maximum(np.sort(squared, axis=1)[:, :2], 1e-12))
    return float(1 / np.log(near[:, 1] / near[:, 0]).mean())


def milliseconds(index: Index, queries: NDArray[np.float32]) -> list[float]:
    """Milliseconds of one core that each query takes, asked alone; the first few, which fetch the file's pages, left out."""
    taken = []
    for query in queries[:TIMED]:
        start = time.process_time()
        index.search(query[None])
        taken.append((time.process_time() - start) * 1000)
    return taken[5:]


def measured(kind: str, rows: int, width: int, folder: Path) -> list[Figure]:
    """Build, ask, compare."""
    said = {"embeddings": "like embeddings", "noise": "noise, the worst case"}[kind]
    name = f"{rows:,} × {width}, {said}"
    built = in_a_fresh_python(_BUILD, str(Path(__file__).parent), kind, str(rows), str(width), str(folder / kind))
    index = open_index(folder / kind)
    queries = unit(next(blocks(kind, QUERIES, width, seed=2)))
    taken = milliseconds(index, queries)
    true, found = truth(kind, rows, queries), index.search(queries).rows
    recall = float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(true.tolist(), found.tolist(), strict=True)]))
    dimension = intrinsic_dimension(next(blocks(kind, 3000, width)))
    effort, whole = index.facts.effort, rows >= 1_000_000
    how = f"kind {index.facts.kind}" if effort is None else f"{effort.candidates} candidates compared exactly"
    low, high = np.percentile(taken, [5, 95])
    return [
        Figure(
            f"search, {name}: one query",
            median(taken),
            "ms",
            low=float(low),
            high=float(high),
            target=f"≤ {TARGET_MS:g} for a million rows",
            met=median(taken) <= TARGET_MS if whole else None,
            note=f"seconds of one core; {how}; intrinsic dimension {dimension:.0f}; 5 to 95 % of {len(taken)} queries",
        ),
        Figure(f"search, {name}: recall@10", recall, "", target=f"≥ {TARGET_RECALL:g}", met=recall >= TARGET_RECALL),
        Figure(
            f"search, {name}: building",
            built["seconds"],
            "s",
            note=f"of one core; {built['megabytes']:.0f} MB at most, {built['before']:.0f} of them Python and making vectors",
        ),
    ]


def main() -> None:
    """Both kinds of vectors."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="like embeddings; 0: none")
    parser.add_argument("--noise", type=int, default=200_000, help="rows of noise; 0: none")
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--scratch", type=Path, help="where the indexes lie meanwhile; the system's temporary folder otherwise")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmelt-index-", dir=chosen.scratch))
    try:
        sizes = {"embeddings": chosen.rows, "noise": chosen.noise}
        figures = [figure for kind, rows in sizes.items() if rows for figure in measured(kind, rows, chosen.width, folder)]
    finally:
        shutil.rmtree(folder)
    tell(figures, chosen.json)


if __name__ == "__main__":
    main()
