"""From scores to figures: the model and its random-weights control on the same records, with the same bootstrap replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation import metrics
from cmelt.evaluation.metrics import Figure, Replicates, Truth
from cmelt.evaluation.results import ClassFigures, Comparison, Performance, Roc

Scores = NDArray[np.float64]
#: False-positive rates at which curves are kept: enough for a drawing, independent of the number of records.
ROC_GRID = np.linspace(0.0, 1.0, 101)


class Bench:
    """Truth, class names and bootstrap replicates of one set of evaluated records; what all figures of a task share.

    Args:
        names: the C classes that have figures.
        truth: [n, C].
        patients: [n] integers; replicates draw patients.
        replicates: how many.
        seed: of the replicates: equal seeds give equal replicates, which is what makes differences paired.
    """

    def __init__(self, names: Iterable[str], truth: Truth, patients: NDArray[np.int64], replicates: int, seed: int) -> None:
        self.names = tuple(names)
        self.truth = truth
        self.patients = patients
        self.seed = seed
        self.weights = metrics.patient_weights(patients, replicates, np.random.default_rng([seed, 11]))

    def part(self, records: NDArray[np.bool_] | None = None, classes: NDArray[np.bool_] | None = None) -> Bench:
        """The bench of some records [n] and classes [C] (None: all), with replicates of these records' patients alone."""
        rows = np.arange(len(self.truth)) if records is None else np.flatnonzero(records)
        columns = np.arange(len(self.names)) if classes is None else np.flatnonzero(classes)
        names = [self.names[c] for c in columns]
        patients = metrics.dense(self.patients[rows])
        return Bench(names, self.truth[np.ix_(rows, columns)], patients, len(self.weights), self.seed)

    def compare(
        self, model: Sequence[Scores], random: Sequence[Scores], supervised: Sequence[Scores] | None = None
    ) -> Comparison:
        """Figures of K score sets each ([n, C]; K = 1 for zero-shot, one a draw for probes), averaged over the K.

        A replicate draws patients, and where K > 1 also draws with replacement among the K training draws: the interval is of the
        mean over draws and holds both who was tested and which records were labelled.
        """
        performance, replicates = self._performance(model)
        rivals = [self._performance(sets) for sets in (random, supervised) if sets is not None]
        gains = [
            metrics.figure(performance.macro_auroc.value - rival.macro_auroc.value, replicates - its_replicates)
            for rival, its_replicates in rivals
        ]
        return Comparison(
            model=performance,
            random=rivals[0][0],
            gain=gains[0],
            roc=self._roc(model[0]),
            random_roc=self._roc(random[0]),
            supervised=None if supervised is None else rivals[1][0],
            supervised_gain=None if supervised is None else gains[1],
        )

    def difference(self, one: Sequence[Scores], other: Sequence[Scores]) -> Figure:
        """Macro AUROC of one group of score sets minus that of another on the same records, paired."""
        (mine, my_replicates), (theirs, their_replicates) = self.macro(one), self.macro(other)
        return metrics.figure(mine - theirs, my_replicates - their_replicates)

    def macro(self, score_sets: Sequence[Scores]) -> tuple[float, Replicates]:
        """Macro AUROC averaged over score sets, and its replicates [R]."""
        points, replicates = self.averaged(score_sets, metrics.auroc, metrics.weighted_auroc)
        return float(np.mean(points)), metrics.macro(replicates, points)

    def macro_auroc(self, scores: Scores) -> float:
        """Mean over classes of the AUROC; scores [n, C]."""
        return float(metrics.mean_points([scores], self.truth, metrics.auroc).mean())

    def draw_shares(self, draws: int) -> NDArray[np.float64]:
        """[R, K] weights of the training draws in each replicate, rows summing to one."""
        rng = np.random.default_rng([self.seed, 12, draws])
        return rng.multinomial(draws, np.full(draws, 1.0 / draws), size=len(self.weights)) / draws

    def averaged(
        self, sets: Sequence[NDArray], point: Callable[..., float], replicate: Callable[..., Replicates]
    ) -> tuple[NDArray[np.float64], Replicates]:
        """Point figures [C] and replicates [R, C] of one metric, averaged over K sets (scores, calls, …) [n, C]."""
        points = metrics.mean_points(sets, self.truth, point)
        return points, metrics.mean_replicates(sets, self.truth, self.weights, self.draw_shares(len(sets)), replicate)

    def _performance(self, score_sets: Sequence[Scores]) -> tuple[Performance, Replicates]:
        """Figures of the mean over score sets, and the replicates of its macro AUROC, [R]."""
        areas = self.averaged(score_sets, metrics.auroc, metrics.weighted_auroc)
        precisions = self.averaged(score_sets, metrics.auprc, metrics.weighted_auprc)
        classes = {
            name: ClassFigures(metrics.figure(areas[0][c], areas[1][:, c]), metrics.figure(precisions[0][c], precisions[1][:, c]))
            for c, name in enumerate(self.names)
        }
        macro = metrics.macro(areas[1], areas[0])
        performance = Performance(
            metrics.figure(float(np.mean(areas[0])), macro),
            metrics.figure(float(np.mean(precisions[0])), metrics.macro(precisions[1], precisions[0])),
            classes,
        )
        return performance, macro

    def _roc(self, scores: Scores) -> Roc:
        curves = {
            name: tuple(round(float(v), 4) for v in metrics.roc_curve(scores[:, c], self.truth[:, c], ROC_GRID))
            for c, name in enumerate(self.names)
        }
        return Roc(tuple(round(float(v), 2) for v in ROC_GRID), curves)


def shuffled_figure(bench: Bench, scores: Scores, patients: NDArray[np.int64], permutations: int, seed: int) -> Figure:
    """Macro AUROC when every record is scored by another patient's ECG: mean and 95 % range over permutations.

    What is left above 0.5 would be a fault of the measuring; the range says how far chance alone reaches on these records.
    """
    from scipy.stats import rankdata

    rng = np.random.default_rng([seed, 13])
    ranks = rankdata(scores, axis=0)
    positives = bench.truth.sum(axis=0)
    smallest = positives * (positives + 1) / 2
    products = positives * (len(scores) - positives)

    def macro_of(order: NDArray[np.int64]) -> float:
        return float((((ranks[order] * bench.truth).sum(axis=0) - smallest) / products).mean())

    values = np.array([macro_of(exchange(patients, rng)) for _ in range(permutations)])
    low, high = np.percentile(values, [2.5, 97.5])
    return Figure(float(values.mean()), float(low), float(high))


def exchange(patients: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A permutation of the n records that gives each one a record of another patient, wherever that is possible.

    Patients are lined up in random order with their records side by side; a turn of this circle by at least the largest patient's
    number of records, and at most the rest, never lands on the same patient.
    """
    count = len(patients)
    largest = int(np.bincount(patients).max())
    line = np.lexsort((rng.random(count), rng.permutation(int(patients.max()) + 1)[patients]))
    turn = int(rng.integers(largest, count - largest + 1)) if count >= 2 * largest else largest
    result = np.empty(count, dtype=np.int64)
    result[line] = np.roll(line, turn)
    return result


def text_only_figure(bench: Bench) -> float:
    """Macro AUROC of a score that is the same for every ECG, as any score without the ECG must be: 0.5 by construction."""
    return bench.macro_auroc(np.zeros(bench.truth.shape))
