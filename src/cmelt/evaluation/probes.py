"""Linear probes of the model and of its control at each share of the training labels, on the same draws and folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.evaluation import metrics
from cmelt.evaluation.comparison import Bench
from cmelt.evaluation.embedder import Progress
from cmelt.evaluation.linear_probe import draw_records, fit_probe
from cmelt.evaluation.protocol import Protocol, Sample
from cmelt.evaluation.results import ProbeResult


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
    strengths: dict[str, list[float]] = {"model": [], "control": []}
    size = 0
    for draw in range(draws):
        drawn = draw_records(training.truth, fraction, np.random.default_rng([protocol.seed, 14, round(fraction * 1e6), draw]))
        size = len(drawn)
        for side in ("model", "control"):
            learn, test = getattr(training, side), getattr(tested, side)
            folds = np.random.default_rng([protocol.seed, 15, draw])
            probe = fit_probe(learn[drawn], training.truth[drawn], training.patients[drawn], folds)
            score_sets[side].append(probe.scores(test))
            strengths[side].append(probe.strength)
    return ProbeResult(
        fraction=fraction,
        records=size,
        seeds=tuple(range(draws)),
        strengths=tuple(strengths["model"]),
        random_strengths=tuple(strengths["control"]),
        draw_auroc=tuple(bench.macro_auroc(s) for s in score_sets["model"]),
        random_draw_auroc=tuple(bench.macro_auroc(s) for s in score_sets["control"]),
        comparison=bench.compare(score_sets["model"], score_sets["control"]),
    )
