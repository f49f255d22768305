"""Build an index: vectors to disk, codes where there are many, the effort that reaches the wanted recall.

It is published whole or not at all.

Memory is bounded: 128 MiB of vectors until the kind is known, a block of 32 MiB, 8,192 sample rows or 64 a cell, and the codes
themselves, D / 8 bytes a row. Pages of the file that are looked at count too until the system wants them back: with them and the
libraries, building a million rows of 768 was seen at 1.8 GB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError
from cmelt.index.codes import Codes
from cmelt.index.facts import EXACT_NUMBERS, FORMAT, LEAST_CODED, Effort, IndexFacts, Kind, Recall, cells_for
from cmelt.index.opened import BIG, Index, open_index
from cmelt.index.tuning import SampleQueries, least_effort
from cmelt.index.vectors import BLOCK_NUMBERS, Vectors, open_vectors, unit_vectors, write_vectors
from cmelt.publishing import published, verify

#: Sample queries where none are handed in. One half chooses the effort, the other measures its recall.
QUERIES = 256

#: Called with what is being done, how many rows of it are done, and of how many.
Progress = Callable[[str, int, int], None]


def build_index(
    vectors: NDArray[np.floating] | Iterable[NDArray[np.floating]],
    folder: str | Path,
    details: Mapping[str, str] | None = None,
    kind: Kind | Literal["auto"] = "auto",
    *,
    queries: NDArray[np.floating] | None = None,
    recall: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> Index:
    """Build an index of embeddings, compared by cosine, and open it.

    Args:
        vectors: [N, D], or blocks [n, D] one after the other, which need never be in memory together. Any length: they are
            brought to length 1. Numbers count from 0 in the order given.
        folder: where it is published; an index that is there gives way once the new one is whole.
        details: what is said of the vectors, kept in the manifest: the SHA-256 of model and store, for instance.
        kind: "auto" takes "exact" up to 2^25 numbers, "codes" up to 2 million rows, "cells" beyond.
        queries: [q, D] queries as they will be asked. Without, rows of the index ask for their neighbours; where texts will ask
            for ECGs, hand texts in, for these lie elsewhere.
        recall: share of the true 10 nearest that a coded index must find.
        seed: of the sample rows.

    Raises:
        ConfigError: vectors or queries of another shape or not finite, too few for codes, a recall outside 0 … 1.
        StoreError: the folder holds something that is no index.
    """
    folder = Path(folder)
    if not 0 < recall <= 1:
        raise ConfigError("recall", f"{recall} is no share", "choose above 0 and up to 1")
    if kind not in ("auto", "exact", "codes", "cells"):
        raise ConfigError("kind", f"{kind!r} is none of auto, exact, codes, cells")
    _refuse_foreign(folder)
    manifest: dict[str, Any] = {}
    with published(folder, manifest, replace=True) as staging:
        exact = {"exact": np.iinfo(np.int64).max, "auto": EXACT_NUMBERS}.get(kind, -1)
        rows, width = write_vectors(_told(_blocks(vectors), progress), staging, int(exact))
        stored = open_vectors(staging, rows, width)
        said = dict(details or {})
        if stored.steps is None:
            facts = IndexFacts("exact", rows, width, details=said)
        else:
            codes = _coded(stored, cells_for(rows, kind), np.random.default_rng((seed, 1)), progress)
            codes.save(staging)
            effort, reached = _tuned(codes, stored, queries, recall, np.random.default_rng((seed, 2)))
            facts = IndexFacts("cells" if codes.cells > 1 else "codes", rows, width, codes.cells, effort, reached, said)
        manifest.update(facts.to_manifest())
    return open_index(folder)


def _coded(vectors: Vectors, cells: int, rng: np.random.Generator, progress: Progress | None) -> Codes:
    """The codes of all vectors."""
    if len(vectors) < max(LEAST_CODED, cells):
        raise ConfigError("kind", f"{len(vectors)} vectors cannot teach codes", 'use "exact"')
    codes = Codes.learned(vectors, cells, rng)
    for done in codes.fill(vectors):
        if progress is not None:
            progress("coding", done, len(vectors))
    return codes


def _tuned(
    codes: Codes, vectors: Vectors, queries: NDArray[np.floating] | None, target: float, rng: np.random.Generator
) -> tuple[Effort, Recall]:
    """The effort, chosen on one half of the sample queries, and what it reaches on the other."""
    if queries is None:
        own = np.sort(rng.choice(len(vectors), min(QUERIES, len(vectors)), replace=False)).astype(np.int64)
        own = rng.permutation(own)
        sample = SampleQueries(vectors, vectors.take(own), own)
    else:
        asked = unit_vectors(queries, "queries", vectors.width)
        if len(asked) < 2:
            raise ConfigError("queries", f"{len(asked)} of them choose nothing", f"give some {QUERIES}, or none at all")
        sample = SampleQueries(vectors, asked[rng.permutation(len(asked))[: 2 * QUERIES]], None)
    chosen, held_out = sample.half(second=False), sample.half(second=True)
    effort = least_effort(codes, chosen, target)
    reached = float(held_out.recall(codes, effort).mean())
    return effort, Recall(target, reached, len(held_out), "rows of the index" if queries is None else "given")


def _blocks(vectors: NDArray[np.floating] | Iterable[NDArray[np.floating]]) -> Iterator[NDArray[np.floating]]:
    """An array in blocks of bounded size; blocks as they come."""
    if not isinstance(vectors, np.ndarray):
        yield from vectors
        return
    if vectors.ndim != 2:
        raise ConfigError("vectors", f"is {vectors.dtype} {vectors.shape}", "give numbers [n, D]")
    step = max(1, BLOCK_NUMBERS // max(1, vectors.shape[1]))
    for first in range(0, len(vectors), step):
        yield vectors[first : first + step]


def _told(blocks: Iterator[NDArray[np.floating]], progress: Progress | None) -> Iterator[NDArray[np.floating]]:
    """Blocks, each told when the next is asked for; how many rows there will be in all is not known yet (0)."""
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if progress is not None:
            progress("writing", done, 0)


def _refuse_foreign(folder: Path) -> None:
    """Only an index gives way. Raises StoreError for anything else that lies there."""
    if not folder.exists():
        return
    try:
        known = verify(folder, StoreError, sizes_only=BIG).get("format") == FORMAT
    except StoreError:
        known = False
    if not known:
        raise StoreError(folder, "exists and holds no whole search index", "remove it, or choose another place")
