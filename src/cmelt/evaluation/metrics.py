"""AUROC, average precision and F1: point figures from scikit-learn, intervals from a vectorised bootstrap over patients.

The bootstrap gives every patient a count a replicate and works with weighted ranks, so that no record is copied and all
replicates of a class are one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Truth = NDArray[np.bool_]
Replicates = NDArray[np.float64]
Counts = NDArray[np.float64]

#: Replicates worked on at once: bounds memory at about CHUNK × records × 8 bytes × 4.
CHUNK = 250


@dataclass(frozen=True)
class Figure:
    """A value with the 2.5 % and 97.5 % points of its bootstrap."""

    value: float
    low: float
    high: float

    def text(self, *, signed: bool = False) -> str:
        """ "0.843 [0.812, 0.871]"; the value alone where there is no interval, a dash where there is no value."""
        if not np.isfinite(self.value):
            return "–"
        form = "+.3f" if signed else ".3f"
        interval = f" [{self.low:{form}}, {self.high:{form}}]" if np.isfinite(self.low) else ""
        return f"{self.value:{form}}{interval}"


def evaluable(truth: Truth) -> NDArray[np.bool_]:
    """[n, C] → [C]: classes with at least one positive and one negative record; the others have no AUROC."""
    return np.asarray(truth.any(axis=0) & ~truth.all(axis=0))


def auroc(scores: Scores, truth: Truth) -> float:
    """Area under the ROC curve of one class; scores, truth [n]."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores))


def auprc(scores: Scores, truth: Truth) -> float:
    """Average precision (area under the precision–recall curve, no interpolation) of one class; scores, truth [n]."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores))


def f1(called: Truth, truth: Truth) -> float:
    """Harmonic mean of precision and sensitivity of one class; called, truth [n]. Zero where nothing is called."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, called, zero_division=0.0))


def best_threshold(scores: Scores, truth: Truth) -> float:
    """The threshold with the highest F1 when every score at or above it is called; scores, truth [n].

    It lies halfway between two scores, so that it does not sit on a record. Of equals the highest; NaN without a positive.
    """
    if not truth.any():
        return float("nan")
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(truth, scores)
    quality = precision[:-1] * recall[:-1] / np.maximum(precision[:-1] + recall[:-1], 1e-300)
    best = len(quality) - 1 - int(np.argmax(quality[::-1]))
    return float(thresholds[best] if best == 0 else (thresholds[best] + thresholds[best - 1]) / 2)


def dense(patients: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n] → [n] the same patients numbered from 0 without gaps, as `patient_weights` needs them."""
    return np.unique(patients, return_inverse=True)[1].astype(np.int64)


def patient_weights(patients: NDArray[np.int64], replicates: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How often each record counts in each replicate when patients are drawn with replacement.

    patients [n] integers 0…P−1 → [replicates, n]. All records of a patient share their count: records of one patient are alike,
    and treating them as independent would make the interval too narrow.
    """
    count = int(patients.max()) + 1
    draws = rng.multinomial(count, np.full(count, 1.0 / count), size=replicates)
    return draws.T[patients].astype(np.float32).T  # [n, R] in memory: see _by_threshold


def weighted_auroc(scores: Scores, truth: Truth, weights: NDArray[np.floating]) -> Replicates:
    """AUROC of one class under R weightings of the records. scores, truth [n], weights [R, n] → [R]; NaN without both kinds."""

    def area(found: Counts, taken: Counts) -> Replicates:
        below = taken - found  # negatives up to and with each distinct score
        middle = below.copy()
        middle[1:] += below[:-1]
        middle /= 2  # ties count half
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.einsum("tr,tr->r", _steps(found), middle) / (found[-1] * below[-1])

    return _by_threshold(scores, truth, weights, area, descending=False)


def weighted_auprc(scores: Scores, truth: Truth, weights: NDArray[np.floating]) -> Replicates:
    """Average precision of one class under R weightings; shapes as in `weighted_auroc`; NaN without positives."""

    def area(found: Counts, taken: Counts) -> Replicates:
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(taken > 0, found / taken, 0.0)
            return np.einsum("tr,tr->r", _steps(found), precision) / found[-1]

    return _by_threshold(scores, truth, weights, area, descending=True)


def weighted_f1(called: Truth, truth: Truth, weights: NDArray[np.floating]) -> Replicates:
    """F1 of one class under R weightings; called, truth [n], weights [R, n] → [R]; NaN without positives, as for the areas."""
    hits, calls, positives = (weights @ kind.astype(np.float64) for kind in (called & truth, called, truth))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(positives > 0, 2 * hits / (calls + positives), np.nan)


def _by_threshold(
    scores: Scores, truth: Truth, weights: NDArray[np.floating], area: Callable[[Counts, Counts], Replicates], descending: bool
) -> Replicates:
    """Sort once, and hand `area` the weight of positives and of all records up to and with each distinct score, [T, R] each.

    Replicates are the last axis here, so that sorting moves whole rows and sums run along contiguous memory. They run in single
    precision: weights are counts, and counts below 2^24 are exact in it.
    """
    order = np.argsort(-scores if descending else scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(scores) - 1)
    positive = truth[order].astype(np.float32)[:, None]
    parts = []
    for start in range(0, len(weights), CHUNK):
        counts = weights[start : start + CHUNK].T.astype(np.float32, copy=False).take(order, axis=0)
        taken = counts.cumsum(axis=0)[ends].astype(np.float64)
        found = (counts * positive).cumsum(axis=0)[ends].astype(np.float64)
        parts.append(area(found, taken))
    return np.concatenate(parts)


def _steps(cumulative: Counts) -> Counts:
    """What each threshold adds, [T, R]."""
    return np.diff(cumulative, axis=0, prepend=0.0)


def class_replicates(
    scores: Scores, truth: Truth, weights: NDArray[np.floating], metric: Callable[..., Replicates]
) -> Replicates:
    """Replicates of a metric for all classes: scores, truth [n, C], weights [R, n] → [R, C]."""
    return np.stack([metric(scores[:, c], truth[:, c], weights) for c in range(truth.shape[1])], axis=1)


def mean_points(sets: Sequence[NDArray], truth: Truth, metric: Callable[..., float]) -> NDArray[np.float64]:
    """A metric of every class, averaged over K score sets [n, C]; truth [n, C] → [C]."""
    return np.mean([[metric(one[:, c], truth[:, c]) for c in range(truth.shape[1])] for one in sets], axis=0)


def mean_replicates(
    sets: Sequence[NDArray],
    truth: Truth,
    weights: NDArray[np.floating],
    shares: NDArray[np.float64],
    metric: Callable[..., Replicates],
) -> Replicates:
    """Replicates of the same mean, [R, C]: weights [R, n]; shares [R, K] of the score sets sum to one in each replicate."""
    total = np.zeros((len(weights), truth.shape[1]))
    for k, one in enumerate(sets):
        total += shares[:, k, None] * class_replicates(one, truth, weights, metric)
    return total


def macro(replicates: Replicates, points: NDArray[np.float64]) -> Replicates:
    """Mean over classes, [R, C] → [R]; points [C] are the figures of all records.

    A class that vanishes from a replicate counts there with its point figure. Leaving it out instead would shift the mean: a rare
    class with a low figure vanishes often, and the interval would lie above the value it belongs to.
    """
    return np.where(np.isfinite(replicates), replicates, points).mean(axis=-1)


def figure(value: float, replicates: Replicates) -> Figure:
    """A point figure with its percentile interval; replicates without the class are left out."""
    kept = replicates[np.isfinite(replicates)]
    if len(kept) == 0:
        return Figure(value, float("nan"), float("nan"))
    low, high = np.percentile(kept, [2.5, 97.5])
    return Figure(value, float(low), float(high))


def roc_curve(scores: Scores, truth: Truth, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sensitivity at each false-positive rate of `grid`, read off the curve of one class; [len(grid)]."""
    from sklearn.metrics import roc_curve as sklearn_roc_curve

    false_positive, true_positive, _ = sklearn_roc_curve(truth, scores)
    # Where the curve rises vertically the upper end counts, so the last point of a run of equal rates is kept.
    last = np.append(false_positive[1:] != false_positive[:-1], True)
    curve = np.interp(grid, false_positive[last], true_positive[last])
    curve[grid == 0.0] = true_positive[false_positive == 0.0].max()
    return curve
