"""Where the first right answer of a search stands, when equal scores are in no order.

A rank read off a sort gives a model that embeds everything alike the first place or the last, as the sort happens to treat ties.
Here equal scores stand in random order and every figure is the expectation over these orders, so that such a model reaches
what chance reaches and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.embedder import Vectors

Counts = NDArray[np.int64]

#: Cosines are compared to so many decimals: single precision has no more, and a matrix product treats equal rows unequally below.
DECIMALS = 7
#: Queries whose similarities are in memory at a time.
QUERIES_AT_ONCE = 512


@dataclass(frozen=True)
class Ranks:
    """For each of Q queries, [Q] each: what stands before and beside its best hit.

    Attributes:
        before: candidates that are no hits and score higher.
        ties: candidates that are no hits and score the same.
        hits: hits with that score, at least one.
        relevant: hits among all candidates, whatever their score.
        candidates: how many are searched.
    """

    before: Counts
    ties: Counts
    hits: Counts
    relevant: Counts
    candidates: int

    def within(self, k: int | NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability that a hit is among the first k; [Q], or [K, Q] for k of shape [K, 1].

        Of the candidates with the best hit's score, k − before are among the first k; none of them is a hit with the
        hypergeometric probability C(ties + hits − m, hits) / C(ties + hits, hits).
        """
        from scipy.special import gammaln

        m = np.clip(np.asarray(k) - self.before, 0, self.ties + 1)
        found = (m > 0).astype(np.float64)
        tied = np.flatnonzero(self.ties)
        if tied.size:
            left, ties, hits = (self.ties - m)[..., tied] + 1.0, self.ties[tied] + 1.0, self.hits[tied]
            # With more than `ties` places, gammaln(0) = ∞ makes the probability of no hit zero, as it must be.
            none = gammaln(left + hits) - gammaln(left) + gammaln(ties) - gammaln(ties + hits)
            found[..., tied] = 1.0 - np.exp(none)
        return found

    def expected(self) -> NDArray[np.float64]:
        """Expected rank of the first hit, 1 the best; [Q]."""
        return np.asarray(self.before + 1.0 + self.ties / (self.hits + 1.0), np.float64)

    def median(self, weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """The smallest k within which half of the queries have a hit, under R weightings of the queries: [R, Q] → [R]."""
        depths = np.arange(1, self.candidates + 1)[:, None]
        reached = np.zeros((len(weights), self.candidates))
        for start in range(0, len(self.before), QUERIES_AT_ONCE):
            some = np.arange(start, min(start + QUERIES_AT_ONCE, len(self.before)))
            reached += weights[:, some] @ self.take(some).within(depths).T
        # A hair below one half, since the probabilities are exact to about 1e-12 only.
        enough = reached >= 0.5 * (1 - 1e-9) * weights.sum(axis=1, keepdims=True)
        return 1.0 + enough.argmax(axis=1)

    def chance(self) -> Ranks:
        """The same queries when all candidates score the same."""
        none = np.zeros_like(self.before)
        return Ranks(none, self.candidates - self.relevant, self.relevant, self.relevant, self.candidates)

    def take(self, places: NDArray[np.int64]) -> Ranks:
        """Queries in another order or number: what a text's query is to each record that has this text."""
        return Ranks(self.before[places], self.ties[places], self.hits[places], self.relevant[places], self.candidates)


def first_hits(queries: Vectors, candidates: Vectors, query_group: Counts, candidate_group: Counts) -> Ranks:
    """Search every query among the candidates by cosine.

    Args:
        queries, candidates: [Q, D] and [G, D] unit vectors.
        query_group, candidate_group: [Q] and [G]; a candidate of the query's group is a hit, and every query has one.
    """
    parts = []
    wide = np.asarray(candidates, np.float64).T
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        some = slice(start, start + QUERIES_AT_ONCE)
        scores = np.round(np.asarray(queries[some], np.float64) @ wide, DECIMALS)
        relevant = query_group[some, None] == candidate_group[None, :]
        best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
        equal = scores == best
        hits = (equal & relevant).sum(axis=1)
        parts.append(((scores > best).sum(axis=1), equal.sum(axis=1) - hits, hits, relevant.sum(axis=1)))
    before, ties, hits, relevant_count = (np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True))
    return Ranks(before, ties, hits, relevant_count, len(candidates))
