"""Is an ECG like those that a model is known to work on? The distance of its embedding from those of validation records.

Kept are a mean and a few directions, no record's own embedding: nothing of a single patient is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError

#: Directions that are kept with a spread of their own; the rest of the space shares one.
DIRECTIONS = 24
#: So many of the ECGs of the kind that it was fitted on are called unlike them all the same.
CALLED = 0.01
FOLDS = 5
#: Digits after the point of what is kept: finer than what embeddings differ by between machines.
_DECIMALS = 6


@dataclass(frozen=True)
class Familiar:
    """Where embeddings of familiar ECGs lie: a normal distribution with a few long axes.

    Probabilistic principal components (Tipping & Bishop 1999, Journal of the Royal Statistical Society B 61).

    Attributes:
        mean: [D].
        directions: [K, D] unit vectors.
        spread: [K] standard deviations along them.
        rest: the standard deviation along every other direction.
        limit: the distance beyond which an ECG is called unlike them.
        records: how many it was fitted on.
    """

    mean: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    spread: tuple[float, ...]
    rest: float
    limit: float
    records: int

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        return np.asarray(self.mean), np.asarray(self.directions), np.asarray(self.spread)

    def distances(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        """[n, D] unit vectors → [n]: root mean square of their coordinates in standard deviations; about 1 for the familiar."""
        mean, directions, spread = self._arrays
        away = np.asarray(vectors, np.float64) - mean
        along = away @ directions.T
        beside = np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), 0.0) / self.rest**2
        return np.asarray(np.sqrt((((along / spread) ** 2).sum(axis=1) + beside) / len(mean)))

    def unlike(self, vectors: NDArray[np.floating]) -> NDArray[np.bool_]:
        """[n, D] → [n]: which lie farther away than `limit`."""
        return np.asarray(self.distances(vectors) > self.limit)


def fit_familiar(vectors: NDArray[np.floating], patients: NDArray[np.int64], seed: int = 0) -> Familiar:
    """Fit on embeddings [n, D] of validation records of `patients` [n].

    The limit is set by distances of records from a fit that has seen none of their patients: a record is always nearer to a
    distribution that it has helped to fit.

    Raises StoreError for fewer records or patients than that takes.
    """
    from sklearn.model_selection import GroupKFold

    if len(np.unique(patients)) < FOLDS or len(vectors) < 4 * DIRECTIONS:
        fault = f"{len(vectors)} validation records of {len(np.unique(patients))} patients are too few to know the usual by"
        raise StoreError("store", fault, f"calibrate on a store with at least {4 * DIRECTIONS} validation records")
    held_out = np.zeros(len(vectors))
    for learned, asked in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(vectors, groups=patients):
        held_out[asked] = _fit(vectors[learned], np.inf).distances(vectors[asked])
    return _fit(vectors, round(float(np.quantile(held_out, 1 - CALLED)), _DECIMALS))


def _fit(vectors: NDArray[np.floating], limit: float) -> Familiar:
    wide = np.asarray(vectors, np.float64)
    mean = wide.mean(axis=0)
    away = wide - mean
    _, lengths, axes = np.linalg.svd(away, full_matrices=False)
    count = min(DIRECTIONS, wide.shape[1] - 1)
    variances = lengths**2 / (len(wide) - 1)
    rest = variances[count:].sum() / (wide.shape[1] - count)
    # A direction has at least the spread of those that are not kept: embeddings may fill fewer directions than that.
    floor = max(float(rest), 1e-8)
    spread = np.sqrt(np.maximum(variances[:count], floor))
    return Familiar(
        tuple(np.round(mean, _DECIMALS).tolist()),
        tuple(tuple(row) for row in np.round(axes[:count], _DECIMALS).tolist()),
        tuple(np.round(spread, _DECIMALS).tolist()),
        round(float(np.sqrt(floor)), _DECIMALS),
        limit,
        len(wide),
    )
