"""Are probabilities true? Platt scaling, and the expected calibration error (ECE) in bins of equal count.

The ECE of few records is never zero: a bin of thirty misses its own probability by chance. So it is always given beside what a
perfectly calibrated score would show on the same records (`calibrated_ece`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.metrics import Figure, Replicates, Scores, Truth, figure

Probabilities = NDArray[np.float64]

BINS = 15


def bins_of(probabilities: Probabilities, bins: int = BINS) -> NDArray[np.int64]:
    """[n] → [n] bin numbers; bins hold equally many records by rising probability, and equal probabilities share one."""
    from scipy.stats import rankdata

    rank = rankdata(probabilities, method="min").astype(np.int64) - 1
    return rank * bins // len(rank)


def expected_calibration_error(probabilities: Probabilities, truth: Truth, bins: int = BINS) -> float:
    """Mean over records of |mean probability − share of positives| in the record's bin; one class, [n] each."""
    return float(weighted_ece(probabilities, truth, np.ones((1, len(truth))), bins)[0])


def weighted_ece(probabilities: Probabilities, truth: Truth, weights: NDArray[np.floating], bins: int = BINS) -> Replicates:
    """The same under R weightings of the records, weights [R, n] → [R]; the bins are those of all records."""
    gaps = np.zeros((len(truth), bins))
    gaps[np.arange(len(truth)), bins_of(probabilities, bins)] = probabilities - truth
    return np.asarray(np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1))


def calibrated_ece(probabilities: Probabilities, rng: np.random.Generator, draws: int = 200, bins: int = BINS) -> float:
    """The ECE to be expected of one class if its probabilities [n] were exactly true: chance alone, with so few records."""
    place, drawn = bins_of(probabilities, bins), rng.random((draws, len(probabilities))) < probabilities
    member = place[:, None] == np.arange(bins)
    return float(np.abs((probabilities - drawn) @ member).sum(axis=1).mean() / len(probabilities))


def centred(value: float, replicates: Replicates) -> Figure:
    """A figure with the spread of its replicates around itself, not below zero.

    Replicates of an ECE lie above it, because resampling adds to every bin the noise that it already has once. Shifted back by
    their mean excess they say how far another sample of patients would have moved the figure.
    """
    moved = figure(value, replicates - np.nanmean(replicates) + value)
    return Figure(value, max(0.0, moved.low), moved.high)


@dataclass(frozen=True)
class Platt:
    """Probability = 1 / (1 + exp(−(slope · score + offset))), slope and offset [C]."""

    slope: NDArray[np.float64]
    offset: NDArray[np.float64]

    def probabilities(self, scores: NDArray[np.float64]) -> Probabilities:
        """[n, C] scores → [n, C]."""
        return sigmoid(scores * self.slope + self.offset)


def fit_platt(scores: NDArray[np.float64], truth: Truth) -> Platt:
    """Platt's scaling of each class alone: scores, truth [n, C].

    As in Platt 1999, the targets are (P + 1) / (P + 2) and 1 / (N + 2) in place of 1 and 0: a class whose few records happen to
    be separable does not get probabilities of 0 and 1.
    """
    fitted = np.array([_fit_one(scores[:, c], truth[:, c]) for c in range(truth.shape[1])]).reshape(-1, 2)
    return Platt(fitted[:, 0], fitted[:, 1])


def _fit_one(scores: Scores, truth: Truth) -> NDArray[np.float64]:
    """Slope and offset of one class, found on standardised scores so that any unit of scores will do."""
    from scipy.optimize import minimize

    positives, count = int(truth.sum()), len(truth)
    targets = np.where(truth, (positives + 1) / (positives + 2), 1 / (count - positives + 2))
    mean, deviation = float(np.mean(scores)), float(np.std(scores)) or 1.0
    units = (scores - mean) / deviation

    def objective(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = line[0] * units + line[1]
        slope = sigmoid(logits) - targets
        return float((np.logaddexp(0.0, logits) - targets * logits).sum()), np.array([slope @ units, slope.sum()])

    start = np.array([0.0, np.log((positives + 1) / (count - positives + 1))])
    line = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-8 * count}).x
    return np.array([line[0] / deviation, line[1] - line[0] * mean / deviation])
