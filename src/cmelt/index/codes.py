"""Short codes of the vectors: FAISS's product quantizer of four numbers to four bits, read 32 rows at once (fast scan).

A code of D / 8 bytes says roughly how similar a row is to a query. Reading all of them costs some ms for a million rows of 768 on
one core, whatever the vectors look like; the best candidates are then compared exactly. No residuals: one table a query serves
all cells, so that many cells cost little more than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.index.facts import Effort
from cmelt.index.vectors import AT_ONCE, Vectors, exact_search, leading

CODES = "codes.faiss"

#: Numbers that share a code of four bits.
TOGETHER = 4

#: Sample rows from which codes are learned, at least, and from which each cell is.
SAMPLE, SAMPLE_A_CELL = 8192, 64


class Codes:
    """Codes of all rows, in cells."""

    def __init__(self, index: Any) -> None:
        """Take FAISS's index."""
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def cells(self) -> int:
        """How many."""
        return int(self._index.nlist)

    @property
    def width(self) -> int:
        """Numbers of the vectors, filled up with zeros to a multiple of four."""
        return int(self._index.d)

    @classmethod
    def learned(cls, vectors: Vectors, cells: int, rng: np.random.Generator) -> Codes:
        """Cells and codes, learned from sample rows. Empty."""
        import faiss

        width = -(-vectors.width // TOGETHER) * TOGETHER
        index = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(width), width, cells, width // TOGETHER, 4, faiss.METRIC_INNER_PRODUCT)
        index.by_residual = False
        index.cp.spherical = True
        index.cp.min_points_per_centroid = 1  # FAISS prints a warning below 39; how good the cells are is measured
        index.cp.niter = index.pq.cp.niter = 10
        wanted = min(len(vectors), max(SAMPLE, SAMPLE_A_CELL * cells))
        rows = np.sort(rng.choice(len(vectors), wanted, replace=False)).astype(np.int64)
        index.train(_filled(vectors.take(rows), width))
        return cls(index)

    def fill(self, vectors: Vectors) -> Iterator[int]:
        """Code all rows, in blocks; how many are done, after each."""
        for first, block in vectors.blocks():
            self._index.add(_filled(block, self.width))
            yield first + len(block)

    def candidates(
        self, queries: NDArray[np.float32], effort: Effort, among: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Rows that may be most similar, int64 [q, candidates]; −1 where the probed cells have no more.

        Args:
            among: rows to choose from; all where there is none.
        """
        import faiss

        chosen = None
        if among is not None:
            allowed = np.zeros(len(self), dtype=bool)
            allowed[among] = True
            chosen = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))  # type: ignore[call-arg, arg-type]
        # FAISS's stubs do not know what its Python layer makes of constructors.
        how = faiss.SearchParametersIVF(nprobe=effort.probed, sel=chosen)  # type: ignore[call-arg]
        found: NDArray[np.int64] = self._index.search(_filled(queries, self.width), effort.candidates, params=how)[1]
        return found

    def save(self, folder: Path) -> None:
        """Write `codes.faiss`."""
        import faiss

        faiss.write_index(self._index, str(folder / CODES))

    @classmethod
    def load(cls, folder: Path, rows: int, cells: int) -> Codes:
        """Read what `save` wrote. Raises StoreError for a file that FAISS cannot read, or codes of another set of vectors."""
        import faiss

        path = folder / CODES
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:  # what FAISS raises for anything it cannot read
            raise StoreError(path, "cannot be read by FAISS", "build the index again") from error
        if not isinstance(index, faiss.IndexIVFPQFastScan) or index.ntotal != rows or index.nlist != cells:
            raise StoreError(path, f"does not hold the codes of {rows} rows in {cells} cells", "build the index again")
        return cls(index)


def coded_search(
    codes: Codes,
    vectors: Vectors,
    queries: NDArray[np.float32],
    k: int,
    effort: Effort,
    among: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k most similar among the candidates, compared exactly. As `exact_search`.

    All cells are read where `among` says which rows may be found: these may lie in cells far from the query.
    """
    if among is not None:
        effort = Effort(codes.cells, effort.candidates)
    rows, similar = np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k), dtype=np.float32)
    for first in range(0, len(queries), AT_ONCE):
        part = queries[first : first + AT_ONCE]
        for number, (query, own) in enumerate(zip(part, codes.candidates(part, effort, among), strict=True), first):
            own = np.sort(own[own >= 0])  # in the order of the disk
            if len(own) < k:  # the probed cells hold fewer, or a query of zeros tells no code from another
                best = exact_search(vectors, query[None], k, among)
            else:
                best = leading(own[None], vectors.similarities(own, query)[None], k)
            rows[number], similar[number] = best[0][0], best[1][0]
    return rows, similar


def _filled(vectors: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """With zeros up to `width`, as FAISS wants them in memory."""
    missing = width - vectors.shape[1]
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors)
