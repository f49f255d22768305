"""One call from a model and a store to results: unseen records checked, embedded once, scored, compared with controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

import cmelt
from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation import examples, metrics, zero_shot
from cmelt.evaluation.comparison import Bench, shuffled_figure, text_only_figure
from cmelt.evaluation.contamination import notes_on, unseen
from cmelt.evaluation.decisions import decide_by_validation, with_decisions
from cmelt.evaluation.embedder import Embedder, EvaluationStore, Rows, check_aligned, check_fit, form_of
from cmelt.evaluation.probes import fit_probes
from cmelt.evaluation.protocol import Protocol, Report, Sample, embed_both, rows_of, sample_of, stage
from cmelt.evaluation.results import Comparison, Example, Results, class_counts, why_without_figures
from cmelt.evaluation.subgroups import compare_groups
from cmelt.evaluation.tasks import Task

PERMUTATIONS = 200


@dataclass(frozen=True)
class _Question:
    """A task with the splits it is asked of, the evaluated records, those probes may learn from, and how many were
    left out because training has seen them."""

    task: Task
    splits: tuple[str, ...]
    tested: Sample
    training: Sample
    left_out: int


def evaluate(
    embedder: Embedder,
    control: Embedder,
    store: EvaluationStore,
    task: Task,
    *,
    probe: bool = True,
    bootstrap: int = 1000,
    seed: int = 0,
    progress: Report | None = None,
) -> Results:
    """Evaluate one task by the default protocol; `evaluate_tasks` has all options."""
    protocol = Protocol(bootstrap=bootstrap, seed=seed) if probe else Protocol(fractions=(), bootstrap=bootstrap, seed=seed)
    return evaluate_tasks(embedder, control, store, [task], protocol, progress)[0]


def evaluate_tasks(
    embedder: Embedder,
    control: Embedder,
    store: EvaluationStore,
    tasks: Sequence[Task],
    protocol: Protocol,
    progress: Report | None = None,
) -> list[Results]:
    """Evaluate tasks on one store; every record is embedded once, by the model and by the control.

    Args:
        embedder, control: the model, and the same architecture with random weights.
        store: records in the form the model was trained on.
        tasks: each with a name of its own.
        progress: told of records embedded and of probes fitted.

    Raises:
        StoreError: the store does not fit the model, has records in both training and evaluation, or none with the task's labels.
        ConfigError: two tasks of one name; nothing but zero-shot asked of a model that never learned to compare ECGs with texts.
    """
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ConfigError(
            "--task", f"two tasks are called {max(names, key=names.count)}", "give each task file a name of its own"
        )
    check_fit(embedder, store)
    if not protocol.fractions:
        check_aligned(embedder, "zero-shot")
    samples = [rows_of(store, task, protocol) for task in tasks]
    samples, left_out = _unseen(embedder, store, samples, protocol)
    needed = np.unique(np.concatenate([rows for _, evaluated, training in samples for rows in (evaluated, training)]))
    embedded = embed_both(embedder, control, store, needed, progress)
    results = []
    for task, (splits, evaluated, training), known in zip(tasks, samples, left_out, strict=True):
        parts = [sample_of(store, task, rows, needed, embedded) for rows in (evaluated, training)]
        question = _Question(task, splits, parts[0], parts[1], known)
        results.append(_answer(embedder, control, store, question, protocol, progress))
    return results


def _unseen(
    embedder: Embedder, store: EvaluationStore, samples: list[tuple[tuple[str, ...], Rows, Rows]], protocol: Protocol
) -> tuple[list[tuple[tuple[str, ...], Rows, Rows]], list[int]]:
    """The samples without records that training has seen, and how many each has lost; refused unless that is asked for."""
    kept, lost = [], []
    for splits, evaluated, training in samples:
        rows = unseen(store, evaluated, embedder.seen, protocol.leave_out_known)
        kept.append((splits, rows, training))
        lost.append(len(evaluated) - len(rows))
    return kept, lost


def _notes(question: _Question, aligned: bool) -> tuple[str, ...]:
    without = () if aligned else ("zero-shot is left out: the model has never learned to compare ECGs with texts",)
    return *notes_on(question.splits, question.left_out), *without


def _answer(
    embedder: Embedder,
    control: Embedder,
    store: EvaluationStore,
    question: _Question,
    protocol: Protocol,
    progress: Report | None,
) -> Results:
    task, tested, training = question.task, question.tested, question.training
    names = np.array(list(task.classes), dtype=object)
    kept = metrics.evaluable(tested.truth)
    if not kept.any():
        fault = f"none of the classes of task {task.name} has both positives and negatives among the {len(tested.rows)} records"
        raise StoreError("store", fault, "check the labels (cmelt inspect) and the splits")
    bench = Bench(names[kept], tested.truth[:, kept], tested.patients, protocol.bootstrap, protocol.seed)
    validation = np.isin(tested.rows, store.rows("validation"))
    shot: dict[str, Comparison] = {}
    headline: str | None = None
    shown: tuple[Example, ...] = ()
    if embedder.aligned:
        shot, scores = _zero_shot(embedder, control, task, tested, validation, bench, kept)
        headline = zero_shot.headline_of(task, shot)
        shot[headline] = replace(shot[headline], subgroups=compare_groups(bench, [scores[headline]], tested.groups))
        shown = examples.choose(shot[headline], scores[headline], bench.truth, tested.rows)
    probes, unlearnable = fit_probes(names, tested, training, kept, protocol, stage(progress, f"linear probes, {task.name}"))
    unlearned = "no training record to learn it from" + (": zero-shot only" if shot else "")
    return Results(
        name=task.name,
        task=asdict(task),
        store=form_of(store),
        model=embedder.identity,
        control=control.identity,
        splits=question.splits,
        records=len(tested.rows),
        patients=len(np.unique(tested.patients)),
        train_records=len(training.rows),
        counts=class_counts(names, tested.truth, training.truth),
        left_out=why_without_figures(names, tested.truth, ~unlearnable, unlearned),
        headline=headline,
        zero_shot=shot,
        probes=probes,
        bootstrap=protocol.bootstrap,
        seed=protocol.seed,
        version=cmelt.__version__,
        notes=_notes(question, embedder.aligned),
        examples=shown,
    )


def _zero_shot(
    embedder: Embedder,
    control: Embedder,
    task: Task,
    tested: Sample,
    validation: NDArray[np.bool_],
    bench: Bench,
    kept: NDArray[np.bool_],
) -> tuple[dict[str, Comparison], dict[str, NDArray[np.float64]]]:
    """Comparison and the model's scores ([n, C] of the kept classes) by scoring."""
    scores = {k: v[:, kept] for k, v in zero_shot.scores(tested.model, zero_shot.embed_prompts(embedder, task)).items()}
    random = {k: v[:, kept] for k, v in zero_shot.scores(tested.control, zero_shot.embed_prompts(control, task)).items()}
    found = {}
    for scoring, values in scores.items():
        sides = values, random[scoring]
        decisions = [decide_by_validation(bench, [side], validation, probabilities=False) for side in sides]
        comparison = with_decisions(bench.compare([sides[0]], [sides[1]]), *decisions)
        shuffled = shuffled_figure(bench, values, tested.patients, PERMUTATIONS, bench.seed)
        found[scoring] = replace(comparison, shuffled=shuffled, text_only=text_only_figure(bench))
    return found, scores
