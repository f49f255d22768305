"""One small function for each way of measuring: what it asks of `evaluation/`, and what it keeps record by record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation import metrics, zero_shot
from cmelt.evaluation.embedder import Rows, patients_of
from cmelt.evaluation.linear_probe import draw_records, fit_probe
from cmelt.evaluation.protocol import Protocol, truth_of
from cmelt.evaluation.tasks import load_task
from cmelt.study.cells import Item
from cmelt.study.outcomes import Hits, Outcome, Scores
from cmelt.study.subject import SEED, Question, Subject, known_patients, question_of, split_numbers, training_rows

if TYPE_CHECKING:
    from cmelt.store import Store
    from cmelt.training.labelled import LabelledRecords


def measure(item: Item, subject: Subject) -> Outcome:
    """Measure one item of one cell. Raises StoreError, ConfigError as the measurement in question does."""
    return _WAYS[item.kind](item, subject)


def _zero_shot(item: Item, subject: Subject) -> Scores:
    asked = question_of(item, subject)
    prompts = zero_shot.embed_prompts(subject.embedder, asked.task)
    found = zero_shot.scores(subject.vectors(asked.store, asked.rows), prompts)
    if item.scoring != "headline" and item.scoring not in found:
        raise ConfigError(asked.task.name, f"has no prompts for scoring {item.scoring}", f"it allows {', '.join(found)}")
    scoring = zero_shot.headline_of(asked.task, found) if item.scoring == "headline" else item.scoring
    return _scores(asked, found[scoring][None], asked.kept)


def _probe(item: Item, subject: Subject) -> Scores:
    """The same draws and folds as `cmelt evaluate` has."""
    asked = question_of(item, subject)
    training = training_rows(asked)
    truth, patients = truth_of(asked.store, asked.task, training), patients_of(asked.store.index, training)
    both = asked.kept & metrics.evaluable(truth)
    fraction = item.fraction or 1.0
    learn, test = subject.vectors(asked.store, training), subject.vectors(asked.store, asked.rows)
    sets = []
    for draw in range(item.draws):
        drawn = draw_records(truth[:, both], fraction, np.random.default_rng([SEED, 14, round(fraction * 1e6), draw]))
        folds = np.random.default_rng([SEED, 15, draw])
        probe = fit_probe(learn[drawn], truth[np.ix_(drawn, np.flatnonzero(both))], patients[drawn], folds)
        sets.append(probe.scores(test))
    wide = np.full((len(sets), *asked.truth.shape), np.nan)
    wide[:, :, both] = sets
    return _scores(asked, wide, both, log_odds=True)


def _scores(asked: Question, scores: NDArray[np.float64], kept: NDArray[np.bool_], log_odds: bool = False) -> Scores:
    """scores [K, n, C of the task] of the classes `kept` [C]."""
    if not kept.any():
        raise StoreError(asked.store.path, f"no class of {asked.task.name} can be measured on {len(asked.rows)} records")
    names = tuple(name for name, keep in zip(asked.task.classes, kept, strict=True) if keep)
    store, rows = asked.store, asked.rows
    return Scores(
        names, rows, known_patients(store, rows), split_numbers(store, rows), asked.truth[:, kept],
        np.asarray(scores[:, :, kept], np.float64), log_odds,
    )  # fmt: skip


def _retrieval(item: Item, subject: Subject) -> Hits:
    from cmelt.evaluation.retrieval import DEPTHS, evaluate_retrieval

    store = subject.store(item.store)
    found = evaluate_retrieval(subject.embedder, subject.embedder, store, _protocol(item)).per_record
    columns = {
        f"{word} R@{k}": found[f"{way}_within_{k}"]
        for way, word in (("ecg_to_report", "ECG → report"), ("report_to_ecg", "report → ECG"))
        for k in DEPTHS
    }
    return _hits(store, found["rows"], columns)


def _identification(item: Item, subject: Subject) -> Hits:
    from cmelt.evaluation.identification import DEPTHS, evaluate_identification

    store = subject.store(item.store)
    found = evaluate_identification(subject.embedder, subject.embedder, store, _protocol(item)).per_record
    return _hits(store, found["rows"], {f"top-{k}": found[f"within_{k}"] for k in DEPTHS})


def _shift(item: Item, subject: Subject) -> Scores:
    """The head's scores of the target's records; rows, patients and splits are the target's."""
    from cmelt.evaluation.shift import evaluate_shift

    if item.target is None:
        raise ConfigError("evaluate", "shift has no target", "name a store")
    source, target, task = subject.store(item.store), subject.store(item.target), load_task(item.task_source)
    model = subject.embedder
    found = evaluate_shift(model, model, source, target, task, _protocol(item), item.part)
    rows, scores = found.per_record["rows"], np.asarray(found.per_record["head"], np.float64)[None]
    truth, patients, split = found.per_record["truth"], known_patients(target, rows), split_numbers(target, rows)
    return Scores(found.classes, rows, patients, split, truth, scores, log_odds=True)


def _fine_tune(item: Item, subject: Subject) -> Scores:
    """As `cmelt evaluate` fine-tunes its model, on all labels; fresh weights learn faster, as its control does."""
    from cmelt.batches.seeds import torch_seed
    from cmelt.evaluation.fine_tune import FineTuneSettings
    from cmelt.model.ecg_classifier import classifier_of
    from cmelt.training.classifier import predict, train_classifier

    asked, training, tested = _labelled(item, subject)
    side = "random" if subject.cell.kind == "random" else "model"
    seed, wanted = subject.cell.seed, FineTuneSettings()
    settings, source = wanted.of(side, 1.0, seed), subject.source
    network = classifier_of(source.model, training.truth.shape[1], wanted.dropout, torch_seed(seed, "classifier head"))
    train_classifier(network, training, settings, source.device)
    return _learned(asked, predict(network, tested, settings, source.device))


def _supervised(item: Item, subject: Subject) -> Scores:
    import torch

    from cmelt.baselines.supervised import SUPERVISED, seeded, train_supervised
    from cmelt.training.classifier import predict

    asked, training, tested = _labelled(item, subject)
    settings = seeded(SUPERVISED, subject.cell.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = train_supervised(training, device, settings)
    return _learned(asked, predict(network, tested, settings, device))


def _labelled(item: Item, subject: Subject) -> tuple[Question, LabelledRecords, LabelledRecords]:
    """What is asked, the training records, and the measured ones; of the classes that both know, with the item's leads."""
    from cmelt.records.record import LEAD_SETS
    from cmelt.training.labelled import LabelledRecords

    asked = question_of(item, subject)
    store, learn = asked.store, training_rows(asked)
    truth = truth_of(store, asked.task, learn)
    kept = metrics.evaluable(asked.truth) & metrics.evaluable(truth)
    shown = np.isin(store.leads, LEAD_SETS[item.leads or 12] or store.leads)

    def records(rows: Rows, labels: NDArray[np.bool_]) -> LabelledRecords:
        return LabelledRecords(store, rows, labels[:, kept], patients_of(store.index, rows), shown)

    return replace(asked, kept=kept), records(learn, truth), records(asked.rows, asked.truth)


def _learned(asked: Question, scores: NDArray[np.float64]) -> Scores:
    """scores [n, classes that both know] → those of the question."""
    wide = np.full((1, *asked.truth.shape), np.nan)
    wide[:, :, asked.kept] = scores
    return _scores(asked, wide, asked.kept, log_odds=True)


def _protocol(item: Item) -> Protocol:
    """Intervals are made from the records' own figures afterwards, so one replicate is enough here."""
    return Protocol(fractions=(), bootstrap=1, seed=SEED, splits=item.splits, leave_out_known=item.leave_out_known)


def _hits(store: Store, rows: Rows, columns: dict[str, NDArray[np.float64]]) -> Hits:
    order = np.argsort(rows, kind="stable")
    values = np.stack([np.asarray(column, np.float64)[order] for column in columns.values()], axis=1)
    return Hits(tuple(columns), rows[order], known_patients(store, rows[order]), values[None])


_WAYS: dict[str, Callable[[Item, Subject], Outcome]] = {
    "zero-shot": _zero_shot,
    "probe": _probe,
    "retrieval": _retrieval,
    "identification": _identification,
    "shift": _shift,
    "fine-tune": _fine_tune,
    "supervised": _supervised,
}
