"""Linear probes of the model and of its control at each share of the training labels, on the same draws and folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.evaluation import metrics
from cmelt.evaluation.comparison import Bench
from cmelt.evaluation.decisions import OUT_OF_FOLD, Calls, calls_of, decide, with_decisions
from cmelt.evaluation.embedder import Progress
from cmelt.evaluation.linear_probe import LinearProbe, draw_records, fit_probe
from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.protocol import Protocol, Sample
from cmelt.evaluation.results import ProbeResult
from cmelt.evaluation.subgroups import compare_groups


def fit_probes(
    names: NDArray[np.object_],
    tested: Sample,
    training: Sample,
    kept: NDArray[np.bool_],
    protocol: Protocol,
    progress: Progress | None,
) -> tuple[tuple[ProbeResult, ...], NDArray[np.bool_]]:
    """One result a fraction, and which classes ([C]) have no figures because no training record shows them."""
    learnable = metrics.evaluable(training.truth) if len(training.rows) else np.zeros(len(names), dtype=bool)
    if not protocol.fractions:
        return (), np.zeros(len(names), dtype=bool)
    both = kept & learnable
    if not both.any():
        raise StoreError(
            "store", "no class of the task has labels in the training split", "leave the probe out, or label training records"
        )
    bench = Bench(names[both], tested.truth[:, both], tested.patients, protocol.bootstrap, protocol.seed)
    fractions = sorted(set(protocol.fractions))
    results = []
    for place, fraction in enumerate(fractions):
        results.append(_probe(bench, tested.classes(both), training.classes(both), fraction, protocol))
        if progress is not None:
            progress(place + 1, len(fractions))
    return tuple(results), kept & ~learnable


def _probe(bench: Bench, tested: Sample, training: Sample, fraction: float, protocol: Protocol) -> ProbeResult:
    """Fit model and control on the same draws with the same folds, and compare them."""
    draws = 1 if fraction >= 1.0 else protocol.draws
    score_sets: dict[str, list[NDArray[np.float64]]] = {"model": [], "control": []}
    calls: dict[str, list[Calls]] = {"model": [], "control": []}
    strengths: dict[str, list[float]] = {"model": [], "control": []}
    size = 0
    for draw in range(draws):
        drawn = draw_records(training.truth, fraction, np.random.default_rng([protocol.seed, 14, round(fraction * 1e6), draw]))
        size = len(drawn)
        for side in ("model", "control"):
            learn, test = getattr(training, side), getattr(tested, side)
            folds = np.random.default_rng([protocol.seed, 15, draw])
            probe = fit_probe(learn[drawn], training.truth[drawn], training.patients[drawn], folds)
            scores = probe.scores(test)
            score_sets[side].append(scores)
            calls[side].append(_calls(scores, probe, training.truth[drawn]))
            strengths[side].append(probe.strength)
    comparison = bench.compare(score_sets["model"], score_sets["control"])
    if fraction == max(protocol.fractions):
        comparison = replace(comparison, subgroups=compare_groups(bench, score_sets["model"], tested.groups))
    return ProbeResult(
        fraction=fraction,
        records=size,
        seeds=tuple(range(draws)),
        strengths=tuple(strengths["model"]),
        random_strengths=tuple(strengths["control"]),
        draw_auroc=tuple(bench.macro_auroc(s) for s in score_sets["model"]),
        random_draw_auroc=tuple(bench.macro_auroc(s) for s in score_sets["control"]),
        comparison=with_decisions(comparison, *(decide(bench, calls[side], OUT_OF_FOLD) for side in ("model", "control"))),
    )


def _calls(scores: NDArray[np.float64], probe: LinearProbe, truth: NDArray[np.bool_]) -> Calls:
    """Calls at the thresholds that serve the probe's own training records best, each scored out of fold."""
    held_out = probe.held_out
    if held_out is None or np.isnan(held_out).any():  # one patient alone: nothing could be held out
        held_out, truth = np.zeros(truth.shape), np.zeros_like(truth)
    return calls_of(scores, sigmoid(scores), held_out, truth)
