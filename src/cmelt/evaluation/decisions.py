"""Calls and probabilities: F1 at thresholds, and calibration, measured on records on which neither was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation import calibration, metrics
from cmelt.evaluation.comparison import Bench, Scores
from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.metrics import Truth
from cmelt.evaluation.results import ClassDecisions, Comparison, Decisions

OUT_OF_FOLD = "training records, out of fold"
VALIDATION = "validation"


@dataclass(frozen=True)
class Calls:
    """One score set as calls and probabilities of the measured records.

    Attributes:
        thresholds: [C], NaN where there was no positive to choose one on: such a class is never called.
        called: [n, C]; probabilities: [n, C].
    """

    thresholds: NDArray[np.float64]
    called: NDArray[np.bool_]
    probabilities: NDArray[np.float64]

    def classes(self, kept: NDArray[np.bool_]) -> Calls:
        """The same of some of the classes."""
        return Calls(self.thresholds[kept], self.called[:, kept], self.probabilities[:, kept])


def calls_of(scores: Scores, probabilities: Scores, chosen_scores: Scores, chosen_truth: Truth) -> Calls:
    """Calls on scores [n, C] at the thresholds of the highest F1 among other records, whose scores and truth are [m, C]."""
    thresholds = np.array([metrics.best_threshold(chosen_scores[:, c], chosen_truth[:, c]) for c in range(chosen_truth.shape[1])])
    return Calls(thresholds, scores >= np.where(np.isnan(thresholds), np.inf, thresholds), probabilities)


def decide(bench: Bench, sets: Sequence[Calls], chosen_on: str) -> Decisions | None:
    """F1 and ECE, averaged over K score sets as `Bench.compare` averages its figures; None where no class has any.

    A class without a threshold in every set has no figures; where only some sets lack one, it counts there as never called.
    """
    kept = ~np.all([np.isnan(calls.thresholds) for calls in sets], axis=0) & metrics.evaluable(bench.truth)
    if not kept.any():
        return None
    bench, sets = bench.part(classes=kept), [calls.classes(kept) for calls in sets]
    hits = bench.averaged([calls.called for calls in sets], metrics.f1, metrics.weighted_f1)
    probabilities = [calls.probabilities for calls in sets]
    errors = bench.averaged(probabilities, calibration.expected_calibration_error, calibration.weighted_ece)
    rng = np.random.default_rng([bench.seed, 16])
    perfect = [calibration.calibrated_ece(calls.probabilities[:, c], rng) for calls in sets for c in range(len(bench.names))]
    classes = {
        name: ClassDecisions(
            tuple(float(calls.thresholds[c]) for calls in sets),
            metrics.figure(hits[0][c], hits[1][:, c]),
            calibration.centred(errors[0][c], errors[1][:, c]),
        )
        for c, name in enumerate(bench.names)
    }
    return Decisions(
        chosen_on=chosen_on,
        records=len(bench.truth),
        macro_f1=metrics.figure(float(hits[0].mean()), metrics.macro(hits[1], hits[0])),
        macro_ece=calibration.centred(float(errors[0].mean()), errors[1].mean(axis=1)),
        calibrated_ece=float(np.mean(perfect)),
        classes=classes,
    )


def decide_by_validation(
    bench: Bench, score_sets: Sequence[Scores], validation: NDArray[np.bool_], *, probabilities: bool
) -> Decisions | None:
    """Thresholds chosen on the validation records among those evaluated ([n] True there), figures measured on the others.

    Args:
        probabilities: whether scores are log-odds already. Where they are not (cosines), Platt's scaling makes probabilities
            of them, fitted on the same validation records.
    Returns:
        None where validation records, or others, are not among the evaluated ones.
    """
    if not validation.any() or validation.all():
        return None
    chosen = bench.truth[validation]
    sets = []
    for scores in score_sets:
        measured = scores[~validation]
        scaling = None if probabilities else calibration.fit_platt(scores[validation], chosen)
        sure = sigmoid(measured) if scaling is None else scaling.probabilities(measured)
        sets.append(calls_of(measured, sure, scores[validation], chosen))
    return decide(bench.part(~validation), sets, VALIDATION)


def with_decisions(
    comparison: Comparison, model: Decisions | None, random: Decisions | None, supervised: Decisions | None = None
) -> Comparison:
    """The comparison with decisions put in, side by side."""
    rival = comparison.supervised
    return replace(
        comparison,
        model=replace(comparison.model, decisions=model),
        random=replace(comparison.random, decisions=random),
        supervised=None if rival is None else replace(rival, decisions=supervised),
    )
