"""Distribution shift: a linear head learned in one hospital and asked in another, over the classes that both name."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

import cmelt
from cmelt.errors import StoreError
from cmelt.evaluation import metrics, zero_shot
from cmelt.evaluation.comparison import Bench, Scores
from cmelt.evaluation.decisions import calls_of, decide, with_decisions
from cmelt.evaluation.embedder import Embedder, EvaluationStore, Rows, Vectors, check_fit
from cmelt.evaluation.linear_probe import LinearProbe, fit_probe
from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.metrics import Figure, Truth
from cmelt.evaluation.protocol import Protocol, Report, Sample, embed_both, sample_of
from cmelt.evaluation.results import Comparison, class_counts
from cmelt.evaluation.shift_results import ShiftResults, SourceRecords, TargetRecords
from cmelt.evaluation.shift_rows import rows_of_shift
from cmelt.evaluation.tasks import Task

#: Positives (and negatives) that a class must have on either side: fewer make neither a head nor a figure.
FEWEST = 5
#: Where the thresholds of the calls come from, as for whoever takes a model to another hospital.
CHOSEN_ON = "the source's validation and test records"


@dataclass(frozen=True)
class _Trial:
    """A linear head each side, the classes they know ([C] of the task's), and the records that they are asked of."""

    model: LinearProbe
    control: LinearProbe
    kept: NDArray[np.bool_]
    home: Sample
    away: Sample
    bench: Bench

    def scores(self, sample: Sample) -> tuple[Scores, Scores]:
        """Log-odds of model and control, [n, kept classes]."""
        return self.model.scores(sample.model), self.control.scores(sample.control)


def evaluate_shift(
    embedder: Embedder,
    control: Embedder,
    source: EvaluationStore,
    target: EvaluationStore,
    task: Task,
    protocol: Protocol,
    part: str = "",
    progress: Report | None = None,
) -> ShiftResults:
    """Fit a linear head on all training records of the source, and ask it of the target, beside zero-shot.

    Nothing of the target is learned from or chosen on, so all its splits are asked unless the protocol names some. What is on
    both sides is left out: a collection that both stores hold (the Challenge contains PTB-XL), and the target's copies and
    patients of the head's training records. What pre-training has seen is refused, or left out where the protocol says so.

    Args:
        embedder, control: the model, and the same architecture with random weights.
        source, target: stores in the form the model was trained on.
        task: classes with labels of both stores' vocabularies; those with fewer than FEWEST positives on a side are left out.
        part: ask only these records of the target: of this source, of this collection, or of this beginning of `origin`.

    Raises:
        StoreError: a store does not fit the model; nothing is left to ask; no class is frequent enough on both sides.
    """
    for store in (source, target):
        check_fit(embedder, store)
    rows = rows_of_shift(tuple(embedder.seen), source, target, task, protocol, part)
    training, home = _samples(embedder, control, source, task, (rows.training, rows.home), progress)
    (away,) = _samples(embedder, control, target, task, (rows.away,), progress)
    trial = _trial(task, training, home, away, protocol)
    head, scores, home_scores = _asked(trial)
    at_home, drop = _at_home(trial, scores[0], home_scores)
    shot, shot_scores = _zero_shot(embedder, control, task, trial) if embedder.aligned else ({}, {})
    per_record = {"rows": away.rows, "patients": away.patients, "truth": trial.bench.truth, "head": scores[0]}
    return ShiftResults(
        name=task.name,
        task=asdict(task),
        source=SourceRecords(source.sha256, len(rows.training), len(rows.home), rows.left_out_training),
        target=TargetRecords(target.sha256, part, rows.splits, len(rows.away), len(np.unique(away.patients)), rows.left_out),
        model=embedder.identity,
        control=control.identity,
        counts=class_counts(task.classes, away.truth, training.truth),
        left_out=_left_out(task, training, away),
        head=head,
        at_home=at_home,
        drop=drop,
        zero_shot=shot,
        headline=zero_shot.headline_of(task, shot) if shot else None,
        strength=trial.model.strength,
        random_strength=trial.control.strength,
        bootstrap=protocol.bootstrap,
        seed=protocol.seed,
        version=cmelt.__version__,
        notes=rows.notes,
        per_record=per_record | {"random_head": scores[1]} | shot_scores,
    )


def _trial(task: Task, training: Sample, home: Sample, away: Sample, protocol: Protocol) -> _Trial:
    """The classes to ask, and the heads that know them: of model and control, on the same folds as a linear probe."""
    kept = _frequent(training.truth) & _frequent(away.truth)
    if not kept.any():
        fault = f"no class of task {task.name} has {FEWEST} positives among both the source's training and the target's records"
        raise StoreError("target", fault, "give a task with labels of both stores, or larger stores")

    def fit(vectors: Vectors) -> LinearProbe:
        return fit_probe(vectors, training.truth[:, kept], training.patients, np.random.default_rng([protocol.seed, 15, 0]))

    model = fit(training.model)
    alike = np.array_equal(training.model, training.control)  # a model asked without a control is handed in as its own
    control = model if alike else fit(training.control)
    names = np.array(list(task.classes), dtype=object)[kept]
    bench = Bench(names, away.truth[:, kept], away.patients, protocol.bootstrap, protocol.seed)
    return _Trial(model, control, kept, home, away, bench)


def _samples(
    embedder: Embedder,
    control: Embedder,
    store: EvaluationStore,
    task: Task,
    wanted: tuple[Rows, ...],
    progress: Report | None,
) -> list[Sample]:
    """One sample for each set of rows; every row is embedded once."""
    needed = np.unique(np.concatenate(wanted))
    embedded = embed_both(embedder, control, store, needed, progress)
    return [sample_of(store, task, rows, needed, embedded) for rows in wanted]


def _frequent(truth: Truth) -> NDArray[np.bool_]:
    """[n, C] → [C]: classes with FEWEST positives and as many negatives."""
    positives = truth.sum(axis=0)
    return np.asarray((positives >= FEWEST) & (len(truth) - positives >= FEWEST))


def _asked(trial: _Trial) -> tuple[Comparison, tuple[Scores, Scores], tuple[Scores, Scores]]:
    """The heads on the target, called at the thresholds of the source's home records; their scores there and at home."""
    bench, away, home = trial.bench, trial.scores(trial.away), trial.scores(trial.home)
    found = bench.compare([away[0]], [away[1]])
    truth = trial.home.truth[:, trial.kept]
    if truth.any():
        calls = [[calls_of(there, sigmoid(there), here, truth)] for there, here in zip(away, home, strict=True)]
        found = with_decisions(found, *(decide(bench, sets, CHOSEN_ON) for sets in calls))
    return found, away, home


def _at_home(trial: _Trial, away: Scores, home: tuple[Scores, Scores]) -> tuple[Comparison | None, Figure | None]:
    """The heads on the source's own unseen records, and how much of the model's macro AUROC the other hospital costs."""
    truth, bench = trial.home.truth[:, trial.kept], trial.bench
    frequent = _frequent(truth)
    if not frequent.any():
        return None, None
    there = bench.part(classes=frequent)
    # Another seed than the target's: the patients of two hospitals are drawn independently of each other.
    here = Bench(there.names, truth[:, frequent], trial.home.patients, len(bench.weights), bench.seed + 1)
    before, after = here.macro([home[0][:, frequent]]), there.macro([away[:, frequent]])
    found = here.compare([home[0][:, frequent]], [home[1][:, frequent]])
    return found, metrics.figure(before[0] - after[0], before[1] - after[1])


def _zero_shot(
    embedder: Embedder, control: Embedder, task: Task, trial: _Trial
) -> tuple[dict[str, Comparison], dict[str, NDArray[np.float64]]]:
    """Comparison and the model's scores ([n, C] of the kept classes) by scoring: what the target gets without any label."""
    model = zero_shot.scores(trial.away.model, zero_shot.embed_prompts(embedder, task))
    random = zero_shot.scores(trial.away.control, zero_shot.embed_prompts(control, task))
    kept = {scoring: values[:, trial.kept] for scoring, values in model.items()}
    found = {scoring: trial.bench.compare([values], [random[scoring][:, trial.kept]]) for scoring, values in kept.items()}
    return found, kept


def _left_out(task: Task, training: Sample, away: Sample) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for c, name in enumerate(task.classes):
        for where, truth in (("target's", away.truth[:, c]), ("source's training", training.truth[:, c])):
            positives, negatives = int(truth.sum()), int((~truth).sum())
            if min(positives, negatives) < FEWEST:
                kind = f"{positives} positive" if positives <= negatives else f"{negatives} negative"
                reasons.setdefault(name, f"of the {where} records {kind}, {FEWEST} are needed")
    return reasons
