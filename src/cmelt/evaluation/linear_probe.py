"""Linear probe: what a linear layer reads from frozen embeddings, with 1, 10 and 100 % of the training labels.

Regularisation is chosen by cross-validation over patients *inside* the drawn records: whoever has fifteen labelled records has no
others to choose on. Nothing here is ever shown a label of the evaluated records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.logistic import LogisticModel, Matrix, fit_path, log_loss

#: Inverse strengths of the L2 penalty that are tried, ascending.
GRID: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 5


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe: standardisation of the drawn records, then a linear layer.

    `held_out` [n, C] are the log-odds of the drawn records, each by a probe of the same strength that was fitted on the other
    patients'; NaN where there was one patient alone. Thresholds are chosen on them.
    """

    mean: Matrix
    deviation: Matrix
    layer: LogisticModel
    strength: float
    records: int
    held_out: Matrix | None = None

    def scores(self, embeddings: NDArray[np.floating]) -> Matrix:
        """[n, D] → [n, C] log-odds."""
        return self.layer.decision((np.asarray(embeddings, np.float64) - self.mean) / self.deviation)


def draw_records(truth: NDArray[np.bool_], fraction: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of a random share of the training records; truth [n, C].

    Classes are served from the rarest on: a class that has no positive yet gets one, as long as the draw has room; the rest
    is drawn evenly. So a probe at 1 % knows of every class it will be asked about.
    """
    count = len(truth)
    if fraction >= 1.0:
        return np.arange(count, dtype=np.int64)
    size = min(count, max(2, round(fraction * count)))
    chosen: list[int] = []
    for c in np.argsort(truth.sum(axis=0), kind="stable"):
        positives = np.flatnonzero(truth[:, c])
        if len(positives) and len(chosen) < size and not truth[chosen, c].any():
            chosen.append(int(rng.choice(positives)))
    others = np.setdiff1d(np.arange(count), chosen)
    rest = rng.choice(others, size - len(chosen), replace=False)
    return np.sort(np.concatenate([np.array(chosen, dtype=np.int64), rest])).astype(np.int64)


def fit_probe(
    embeddings: NDArray[np.floating],
    truth: NDArray[np.bool_],
    patients: NDArray[np.int64],
    rng: np.random.Generator,
    grid: Sequence[float] = GRID,
) -> LinearProbe:
    """Fit a probe on the drawn records: embeddings [n, D], truth [n, C], patients [n] → the probe with the chosen strength."""
    wide = np.asarray(embeddings, np.float64)
    strength, held_out = cross_validate(wide, truth, patients, rng, grid)
    return replace(_fit(wide, truth, [g for g in grid if g <= strength])[-1], held_out=held_out)


def cross_validate(
    embeddings: Matrix, truth: NDArray[np.bool_], patients: NDArray[np.int64], rng: np.random.Generator, grid: Sequence[float]
) -> tuple[float, Matrix]:
    """The C of `grid` with the lowest log-loss, pooled over classes and held-out patients (the smallest of equals), and the
    log-odds [n, C] that probes of that strength give to patients they have not seen."""
    folds = patient_folds(patients, rng)
    if folds.max() == 0:
        return grid[len(grid) // 2], np.full(truth.shape, np.nan)  # a single patient: nothing to hold out
    held_out = np.zeros((len(grid), *truth.shape))
    for fold in range(int(folds.max()) + 1):
        kept = folds != fold
        probes = _fit(embeddings[kept], truth[kept], grid)
        held_out[:, ~kept] = [probe.scores(embeddings[~kept]) for probe in probes]
    best = int(np.argmin([log_loss(scores, truth) for scores in held_out]))
    return grid[best], held_out[best]


def patient_folds(patients: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """[n] → [n] fold numbers, at most FOLDS; all records of a patient in one fold."""
    distinct, place = np.unique(patients, return_inverse=True)
    folds = np.arange(len(distinct)) % min(FOLDS, len(distinct))
    return rng.permutation(folds)[place].astype(np.int64)


def _fit(embeddings: Matrix, truth: NDArray[np.bool_], grid: Sequence[float]) -> list[LinearProbe]:
    mean, deviation = embeddings.mean(axis=0), embeddings.std(axis=0)
    deviation = np.where(deviation > 1e-12, deviation, 1.0)
    layers = fit_path((embeddings - mean) / deviation, truth, grid)
    return [LinearProbe(mean, deviation, layer, c, len(embeddings)) for layer, c in zip(layers, grid, strict=True)]
