"""An index that is ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmelt.errors import ConfigError, StoreError
from cmelt.index.codes import Codes, coded_search
from cmelt.index.facts import RECALL_AT, Effort, IndexFacts
from cmelt.index.vectors import VECTORS, Vectors, exact_search, open_vectors, unit_vectors
from cmelt.publishing import verify as verified

#: Files that are mapped and not read when an index is opened.
BIG = (VECTORS,)

#: Numbers (rows × width) that rows may have in all to be compared exactly where only they may be found: 21,845 rows of 768.
AMONG_EXACT = 2**24

#: How many times more candidates are compared where only some rows may be found.
AMONG_FACTOR = 4


class Found(NamedTuple):
    """What a search found, most similar first.

    Attributes:
        rows: int64 [q, k].
        similarities: float32 [q, k], cosines, exact to 2e-5, and to 2e-6 at a width of 768.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]


@dataclass(frozen=True)
class Index:
    """A search index. Reading is safe from several threads.

    Attributes:
        folder: where it lies.
        facts: its kind, size and recall, and what its builder said.
    """

    folder: Path
    facts: IndexFacts
    _vectors: Vectors
    _codes: Codes | None

    def __len__(self) -> int:
        return self.facts.rows

    def take(self, rows: ArrayLike) -> NDArray[np.float32]:
        """The unit vectors of these rows [n, D], to ask what is like them. Raises ConfigError for a row that is not there."""
        wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise ConfigError("rows", f"one of them is not among {len(self)}", "rows count from 0")
        return self._vectors.take(wanted)

    def search(self, queries: NDArray[np.floating], k: int = 10, among: ArrayLike | None = None) -> Found:
        """The k rows most similar to each query.

        An exact index finds all of them, and so does any among few rows (2^24 numbers). Else a coded index finds the share of the
        10 nearest that `facts.recall` says. Among many rows that lie apart from the query the share can be smaller: there, far
        more rows are about equally similar. What is found carries its exact cosine.

        Args:
            queries: [q, D], of any length.
            k: how many; where fewer rows may be found, that many.
            among: row numbers that may be found; all where there are none given.

        Raises:
            ConfigError: queries of another width or not finite, k below 1, a row that does not exist, nothing to choose from.
        """
        asked = unit_vectors(queries, "queries", self.facts.width)
        if k < 1:
            raise ConfigError("k", f"{k} rows", "ask for at least 1")
        allowed = None if among is None else self._allowed(among)
        k = min(k, len(self) if allowed is None else len(allowed))
        if not len(asked):
            return Found(np.empty((0, k), dtype=np.int64), np.empty((0, k), dtype=np.float32))
        if self._codes is None or self.facts.effort is None:
            return Found(*exact_search(self._vectors, asked, k, allowed))
        most = len(self) if allowed is None else len(allowed)
        more = max(1.0, k / RECALL_AT)
        candidates = ceil(self.facts.effort.candidates * more) * (1 if allowed is None else AMONG_FACTOR)
        few = allowed is not None and len(allowed) * self.facts.width <= AMONG_EXACT
        if few or candidates >= most:
            return Found(*exact_search(self._vectors, asked, k, allowed))
        effort = Effort(min(self.facts.cells, ceil(self.facts.effort.probed * more)), candidates)
        return Found(*coded_search(self._codes, self._vectors, asked, k, effort, allowed))

    def _allowed(self, among: ArrayLike) -> NDArray[np.int64]:
        """Rows, sorted and each once. Raises ConfigError for none, or one that is not there."""
        given = np.asarray(among)
        if given.dtype == bool or (given.size and not np.issubdtype(given.dtype, np.integer)):
            raise ConfigError("among", f"is {given.dtype}", "give row numbers")
        rows = np.unique(given).astype(np.int64)
        if not rows.size:
            raise ConfigError("among", "no row may be found", "allow at least one, or leave it out")
        if rows[0] < 0 or rows[-1] >= len(self):
            wrong = int(rows[0] if rows[0] < 0 else rows[-1])
            raise ConfigError("among", f"row {wrong} of {len(self)}", "rows count from 0")
        return rows


def open_index(folder: str | Path, details: Mapping[str, str] | None = None, verify: Literal["sizes", "full"] = "sizes") -> Index:
    """Open the index at `folder`. Codes are read into memory (D / 8 bytes a row), vectors are memory-mapped.

    Args:
        details: what the index must say of itself: {"model": SHA-256}, for instance.
        verify: "sizes" checks of the vectors, which are the bulk, that the file has its size; "full" hashes them too. All else
            is hashed in any case.

    Raises:
        StoreError: no index there, another version, a file that is missing, cut or altered, or an index of another model or
            store.
    """
    folder = Path(folder)
    manifest = verified(folder, StoreError, sizes_only=() if verify == "full" else BIG)
    facts = IndexFacts.of_manifest(manifest, folder)
    for key, wanted in (details or {}).items():
        if facts.details.get(key) != wanted:
            raise StoreError(folder, f"was built with another {key}", "build it again, or open it with what it was built with")
    vectors = open_vectors(folder, facts.rows, facts.width)
    codes = None if facts.effort is None else Codes.load(folder, facts.rows, facts.cells)
    return Index(folder, facts, vectors, codes)
