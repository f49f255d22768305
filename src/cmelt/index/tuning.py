"""How hard a coded index must be searched: as little as reaches the wanted recall on sample queries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cmelt.index.codes import Codes, coded_search
from cmelt.index.facts import RECALL_AT, Effort
from cmelt.index.vectors import Vectors, exact_search

#: Fewest candidates, and most as long as reading more cells can still help.
FEWEST, MOST = 32, 2048

#: Two cosines that differ by less are equal: what is lost by storing the vectors.
EQUAL = 2e-5


class SampleQueries:
    """Queries with the similarity that a true one of the 10 nearest has at least."""

    def __init__(self, vectors: Vectors, queries: NDArray[np.float32], own: NDArray[np.int64] | None) -> None:
        """Find the truth by an exact search.

        Args:
            queries: float32 [q, D] unit vectors.
            own: [q] rows that the queries are; none of them is its own neighbour. None for queries from elsewhere.
        """
        self._vectors, self._queries = vectors, queries
        self._own = np.full(len(queries), -1) if own is None else own
        rows, similar = exact_search(vectors, queries, RECALL_AT + 1)
        self._least = self._without_own(rows, similar)[:, -1]

    def half(self, second: bool) -> SampleQueries:
        """Every other query."""
        part = object.__new__(SampleQueries)
        every = slice(int(second), None, 2)
        part._vectors, part._queries = self._vectors, self._queries[every]
        part._own, part._least = self._own[every], self._least[every]
        return part

    def __len__(self) -> int:
        return len(self._queries)

    def recall(self, codes: Codes, effort: Effort) -> NDArray[np.float64]:
        """Of each query [q] the share of the 10 nearest that are found. A row as similar as a true one is one."""
        rows, similar = coded_search(codes, self._vectors, self._queries, RECALL_AT + 1, effort)
        found = self._without_own(rows, similar)
        return np.asarray((found >= self._least[:, None] - EQUAL).mean(axis=1))

    def _without_own(self, rows: NDArray[np.int64], similar: NDArray[np.float32]) -> NDArray[np.float32]:
        """The similarities of the 10 first others [q, 10]."""
        last = np.where(rows == self._own[:, None], -np.inf, similar)
        return -np.sort(-last, axis=1)[:, :RECALL_AT]


def least_effort(codes: Codes, sample: SampleQueries, target: float) -> Effort:
    """The fewest cells, and with them the fewest candidates, whose recall reaches `target` even two standard errors lower.

    With all cells and all rows the search is exact, so that there always is one.
    """
    for probed in _doubling(1, codes.cells):
        most = len(codes) if probed == codes.cells else min(MOST, len(codes))
        if probed < codes.cells and not _reached(sample.recall(codes, Effort(probed, most)), target):
            continue
        for candidates in _doubling(min(FEWEST, most), most):
            effort = Effort(probed, candidates)
            if candidates == most or _reached(sample.recall(codes, effort), target):
                return effort
    return Effort(codes.cells, len(codes))


def _reached(recall: NDArray[np.float64], target: float) -> bool:
    """Whether the mean lies above the target by two of its standard errors."""
    return bool(recall.mean() - 2 * recall.std() / np.sqrt(len(recall)) >= target)


def _doubling(first: int, last: int) -> Iterator[int]:
    """first, 2·first … and at the end `last`."""
    while first < last:
        yield first
        first *= 2
    yield last
