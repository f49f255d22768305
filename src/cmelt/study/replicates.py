"""Figures of one model with the bootstrap replicates behind them: patients are drawn, and training runs, and label draws.

Every model is given the same patients in the same replicate, and models with the same number of seeds the same seeds: the
difference of two models' replicates is then the replicate of their difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation import metrics
from cmelt.evaluation.comparison import Bench
from cmelt.evaluation.decisions import decide_by_validation
from cmelt.evaluation.metrics import Figure
from cmelt.study.outcomes import SPLITS, Hits, Outcome, Scores

#: Of all replicates of a study.
SEED = 0
VERSION = 1
AUROC, AUPRC, F1, ECE = "AUROC", "AUPRC", "F1", "ECE"

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Replicated:
    """One figure of one model.

    Attributes:
        seeds: [S] the figure of each seed alone; the figure itself is their mean.
        replicates: [R].
    """

    seeds: NDArray[np.float64]
    replicates: NDArray[np.float64]

    @property
    def figure(self) -> Figure:
        """The mean over seeds with its interval."""
        return metrics.figure(float(self.seeds.mean()), self.replicates)

    def minus(self, other: Replicated) -> Figure:
        """The paired difference with its interval."""
        return metrics.figure(float(self.seeds.mean() - other.seeds.mean()), self.replicates - other.replicates)


@dataclass(frozen=True)
class Summary:
    """Everything that tables and plots need of one model in one measurement.

    Attributes:
        measures: by metric, those that are compared in pairs.
        classes: AUROC by class.
        decisions: F1 and ECE, measured on the test records alone, thresholds and scaling chosen on validation ones.
    """

    measures: dict[str, Replicated]
    classes: dict[str, Figure]
    decisions: dict[str, Figure]


@dataclass(frozen=True)
class Ground:
    """The records on which all models of a measurement are compared.

    Attributes:
        rows: [n] of the store.
        classes: that have figures; empty where the measurement has none.
        weights: [R, n] how often each record counts in each replicate.
        positives: by class.
        patients: how many.
    """

    rows: NDArray[np.int64]
    classes: tuple[str, ...]
    weights: Weights
    positives: dict[str, int]
    patients: int


def ground_of(outcomes: Sequence[Outcome], replicates: int, least_positives: int) -> Ground:
    """What all outcomes have in common: rows that each has measured, classes that each has scores for."""
    rows = outcomes[0].rows
    for outcome in outcomes[1:]:
        rows = np.intersect1d(rows, outcome.rows)
    first = outcomes[0].at(rows)
    patients = metrics.dense(first.patients)
    weights = metrics.patient_weights(patients, replicates, np.random.default_rng([SEED, 11]))
    positives: dict[str, int] = {}
    if isinstance(first, Scores):
        shared = set(first.classes).intersection(*(o.classes for o in outcomes if isinstance(o, Scores)))
        counts = dict(zip(first.classes, first.truth.sum(axis=0).tolist(), strict=True))
        least = max(1, least_positives)
        positives = {name: n for name, n in counts.items() if name in shared and least <= n < len(rows)}
    return Ground(rows, tuple(positives), weights, positives, int(patients.max(initial=-1)) + 1)


def summarise(outcomes: Mapping[int, Outcome], ground: Ground) -> Summary:
    """Figures of one model from its outcomes by seed."""
    cut = [outcomes[seed].at(ground.rows) for seed in sorted(outcomes)]
    scored = [one for one in cut if isinstance(one, Scores)]
    if scored:
        return _of_scores(scored, ground)
    return _of_hits([one for one in cut if isinstance(one, Hits)], ground)


def run_shares(seeds: int, draws: int, replicates: int) -> NDArray[np.float64]:
    """[R, S, K] what each run and draw counts in each replicate, summing to one: seeds are drawn, and draws within each seed."""
    rng = np.random.default_rng([SEED, 12, seeds, draws])
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=replicates) / seeds
    of_draws = rng.multinomial(draws, np.full(draws, 1.0 / draws), size=(replicates, seeds)) / draws
    return np.asarray(of_seeds[:, :, None] * of_draws)


def _of_scores(seeds: Sequence[Scores], ground: Ground) -> Summary:
    columns = [[one.classes.index(name) for name in ground.classes] for one in seeds]
    truth = seeds[0].truth[:, columns[0]]
    sets = [[scores[:, own] for scores in one.scores] for one, own in zip(seeds, columns, strict=True)]
    measures, classes = {}, {}
    for name, point, replicate in (
        (AUROC, metrics.auroc, metrics.weighted_auroc),
        (AUPRC, metrics.auprc, metrics.weighted_auprc),
    ):
        points, totals = _areas(sets, truth, ground.weights, point, replicate)
        measures[name] = Replicated(points.mean(axis=1), metrics.macro(totals, points.mean(axis=0)))
        if name == AUROC:
            means = points.mean(axis=0)
            classes = {c: metrics.figure(float(means[i]), totals[:, i]) for i, c in enumerate(ground.classes)}
    return Summary(measures, classes, _decisions(seeds, [s for one in sets for s in one], truth, ground))


def _areas(
    sets: Sequence[Sequence[NDArray[np.float64]]],
    truth: NDArray[np.bool_],
    weights: Weights,
    point: Callable[..., float],
    replicate: Callable[..., metrics.Replicates],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Figures by seed and class [S, C], and replicates of their mean over seeds [R, C]; `sets` are S × K score sets [n, C]."""
    points = np.stack([metrics.mean_points(draws, truth, point) for draws in sets])
    shares = run_shares(len(sets), len(sets[0]), len(weights)).reshape(len(weights), -1)
    runs = [scores for draws in sets for scores in draws]
    return points, metrics.mean_replicates(runs, truth, weights, shares, replicate)


def _decisions(
    seeds: Sequence[Scores], sets: Sequence[NDArray[np.float64]], truth: NDArray[np.bool_], ground: Ground
) -> dict[str, Figure]:
    validation = seeds[0].split == SPLITS.index("validation")
    measured = seeds[0].split == SPLITS.index("test")
    if (~(validation | measured)).any():
        return {}
    bench = Bench(ground.classes, truth, metrics.dense(seeds[0].patients), len(ground.weights), SEED)
    found = decide_by_validation(bench, sets, validation, probabilities=seeds[0].log_odds)
    return {} if found is None else {F1: found.macro_f1, ECE: found.macro_ece}


def _of_hits(seeds: Sequence[Hits], ground: Ground) -> Summary:
    shares = run_shares(len(seeds), len(seeds[0].values), len(ground.weights))
    measures = {}
    for m, name in enumerate(seeds[0].names):
        values = np.stack([one.values[:, :, m] for one in seeds])  # [S, K, n]
        asked = np.isfinite(values)
        sums = np.einsum("rn,skn->rsk", ground.weights, np.where(asked, values, 0.0))
        counts = np.einsum("rn,skn->rsk", ground.weights, asked.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / counts
        measures[name] = Replicated(np.nanmean(values, axis=(1, 2)), (shares * means).sum(axis=(1, 2)))
    return Summary(measures, {}, {})


def cached_summary(cache: Path, folders: Sequence[Path], ground: Ground, make: Callable[[], Summary]) -> Summary:
    """A summary read from the cache, or made and put there. Its name is a hash of what it rests on: figures never go stale."""
    content = hashlib.sha256(f"{VERSION} {ground.classes} {ground.weights.shape}".encode())
    content.update(ground.rows.tobytes())
    for folder in folders:
        content.update((folder / "manifest.json").read_bytes())
    path = cache / f"{content.hexdigest()[:24]}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as found:
            return _unpacked({name: found[name] for name in found.files})
    summary = make()
    cache.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft.npz")
    np.savez(draft, allow_pickle=False, **dict(_packed(summary)))
    draft.replace(path)
    return summary


def _packed(summary: Summary) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for name, one in summary.measures.items():
        yield f"seeds|{name}", one.seeds
        yield f"replicates|{name}", one.replicates
    for kind, figures in (("class", summary.classes), ("decision", summary.decisions)):
        for name, figure in figures.items():
            yield f"{kind}|{name}", np.array([figure.value, figure.low, figure.high])


def _unpacked(arrays: Mapping[str, NDArray[np.float64]]) -> Summary:
    def of(kind: str) -> dict[str, NDArray[np.float64]]:
        return {name.partition("|")[2]: value for name, value in arrays.items() if name.startswith(f"{kind}|")}

    replicates = of("replicates")
    measures = {name: Replicated(seeds, replicates[name]) for name, seeds in of("seeds").items()}
    classes, decisions = ({n: Figure(*map(float, v)) for n, v in of(kind).items()} for kind in ("class", "decision"))
    return Summary(measures, dict(classes), dict(decisions))
