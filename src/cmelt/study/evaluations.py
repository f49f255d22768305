"""One small function for each way of measuring: what it asks of `evaluation/`, and what it keeps record by record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.evaluation import metrics, zero_shot
from cmelt.evaluation.contamination import unseen
from cmelt.evaluation.embedder import Embedder, Rows, Vectors, check_fit, embed_rows, patients_of
from cmelt.evaluation.linear_probe import draw_records, fit_probe
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.tasks import Task, load_task
from cmelt.study.cells import Cell, Item, StorePart
from cmelt.study.outcomes import SPLITS, Hits, Outcome, Scores
from cmelt.study.training_data import open_part

if TYPE_CHECKING:
    from cmelt.store import Store

#: Of draws, folds and subsets: one for all models, so that they are measured on the same.
SEED = 0


@dataclass
class Remembering:
    """An embedder that embeds a record once, whoever asks how often; the rest is the model's own."""

    model: Embedder
    _known: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)

    rate = property(lambda self: self.model.rate)
    samples = property(lambda self: self.model.samples)
    leads = property(lambda self: self.model.leads)
    identity = property(lambda self: self.model.identity)
    seen = property(lambda self: self.model.seen)

    def embed_ecgs(self, millivolts: NDArray[np.float32]) -> Vectors:
        """[n, leads, samples] millivolts → [n, D] unit vectors."""
        names = [blake2b(record.tobytes(), digest_size=16).digest() for record in millivolts]
        new = {name: place for place, name in enumerate(names) if name not in self._known}
        if new:
            vectors = self.model.embed_ecgs(millivolts[list(new.values())])
            self._known.update(zip(new, vectors, strict=True))
        return np.stack([self._known[name] for name in names])

    def embed_texts(self, texts: list[str]) -> Vectors:
        """n texts → [n, D] unit vectors."""
        return self.model.embed_texts(texts)


@dataclass
class Subject:
    """A cell's model, and the stores that measuring it has opened so far."""

    cell: Cell
    folder: Path
    say: Callable[[str], None] = lambda _: None
    _stores: dict[str, Store] = field(default_factory=dict)

    @cached_property
    def embedder(self) -> Embedder:
        """The model, read when it is asked for first. Raises CheckpointError where there is none."""
        from cmelt.checkpoints import load_embedder

        model = load_embedder(self.folder / "run")
        if len(self.cell.stages) > 1:
            model = replace(model, seen=self._seen())
        return Remembering(model)

    def store(self, part: StorePart) -> Store:
        """A store, opened once."""
        if part.sha256 not in self._stores:
            self._stores[part.sha256] = open_part(part)
        return self._stores[part.sha256]

    def vectors(self, store: Store, rows: Rows) -> Vectors:
        """The embeddings [n, D] of a store's rows. Raises StoreError for a store of another form than the model's."""
        check_fit(self.embedder, store)
        return embed_rows(self.embedder, store, rows)

    def _seen(self) -> tuple[str, ...]:
        """Fingerprints of what any stage of the training has seen."""
        from cmelt.checkpoints.seen import read_seen

        stages = sorted(self.folder.glob("run*/model"))
        return tuple(sorted({fingerprint for model in stages for fingerprint in read_seen(model)}))


def measure(item: Item, subject: Subject) -> Outcome:
    """Measure one item of one cell. Raises StoreError, ConfigError as the measurement in question does."""
    return _WAYS[item.kind](item, subject)


@dataclass(frozen=True)
class _Question:
    """The records that an item is asked of."""

    store: Store
    task: Task
    rows: Rows
    truth: NDArray[np.bool_]


def _zero_shot(item: Item, subject: Subject) -> Scores:
    asked = _question(item, subject)
    prompts = zero_shot.embed_prompts(subject.embedder, asked.task)
    found = zero_shot.scores(subject.vectors(asked.store, asked.rows), prompts)
    scoring = asked.task.headline if item.scoring == "headline" else item.scoring
    scores = found[scoring if scoring in found else "similarity"]
    return _scores(asked, scores[None], metrics.evaluable(asked.truth))


def _probe(item: Item, subject: Subject) -> Scores:
    """The same draws and folds as `cmelt evaluate` has."""
    asked = _question(item, subject)
    training = _members(asked.store, asked.task, asked.store.rows("train"))
    if len(training) == 0:
        raise StoreError(asked.store.path, f"no training record of task {asked.task.name}", "measure zero-shot there")
    truth, patients = _truth(asked.store, asked.task, training), patients_of(asked.store.index, training)
    both = metrics.evaluable(asked.truth) & metrics.evaluable(truth)
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


def _question(item: Item, subject: Subject) -> _Question:
    store, task = subject.store(item.store), load_task(item.task_source)
    rows = tested_rows(store, task, item)
    seen = () if subject.cell.kind == "supervised" else subject.embedder.seen
    rows = unseen(store, rows, seen, item.leave_out_known)
    return _Question(store, task, rows, _truth(store, task, rows))


def tested_rows(store: Store, task: Task | None, item: Item) -> Rows:
    """The rows that are measured, before any that a model has seen are left out: the same for all models.

    Raises StoreError where there are none.
    """
    rows = store.rows(*item.splits)
    if task is not None:
        rows = _members(store, task, rows)
    if len(rows) == 0:
        fault = f"no record of task {item.task} in {' and '.join(item.splits)}"
        raise StoreError(store.path, fault, "check the labels (cmelt inspect) and the splits")
    if item.records is not None and item.records < len(rows):
        rows = np.sort(np.random.default_rng([SEED, 32]).choice(rows, item.records, replace=False))
    return rows


def _members(store: Store, task: Task, rows: Rows) -> Rows:
    return rows[task.members([store.index["labels"].iloc[row] for row in rows])]


def _truth(store: Store, task: Task, rows: Rows) -> NDArray[np.bool_]:
    return task.truth([store.index["labels"].iloc[row] for row in rows])


def _scores(asked: _Question, scores: NDArray[np.float64], kept: NDArray[np.bool_], log_odds: bool = False) -> Scores:
    """scores [K, n, C of the task] of the classes `kept` [C]."""
    if not kept.any():
        raise StoreError(asked.store.path, f"no class of {asked.task.name} can be measured on {len(asked.rows)} records")
    names = tuple(name for name, keep in zip(asked.task.classes, kept, strict=True) if keep)
    store, rows = asked.store, asked.rows
    return Scores(
        names, rows, known_patients(store, rows), split_numbers(store, rows), asked.truth[:, kept],
        np.asarray(scores[:, :, kept], np.float64), log_odds,
    )  # fmt: skip


def known_patients(store: Store, rows: Rows) -> NDArray[np.int64]:
    """One integer a row that does not depend on which rows are asked for."""
    return patients_of(store.index, np.arange(len(store), dtype=np.int64))[rows]


def split_numbers(store: Store, rows: Rows) -> NDArray[np.int64]:
    """Places in SPLITS, −1 for a record in none."""
    places = {name: place for place, name in enumerate(SPLITS)}
    return np.array([places.get(split, -1) for split in store.index["split"].iloc[rows]], dtype=np.int64)


def _retrieval(item: Item, subject: Subject) -> Hits:
    from cmelt.evaluation.retrieval import DEPTHS, evaluate_retrieval

    store = subject.store(item.store)
    found = evaluate_retrieval(subject.embedder, subject.embedder, store, _protocol(item), item.splits or None).per_record
    columns = {
        f"{word} R@{k}": found[f"{way}_within_{k}"]
        for way, word in (("ecg_to_report", "ECG → report"), ("report_to_ecg", "report → ECG"))
        for k in DEPTHS
    }
    return _hits(store, found["rows"], columns)


def _identification(item: Item, subject: Subject) -> Hits:
    from cmelt.evaluation.identification import DEPTHS, evaluate_identification

    store = subject.store(item.store)
    found = evaluate_identification(subject.embedder, subject.embedder, store, _protocol(item), item.splits or None).per_record
    return _hits(store, found["rows"], {f"top-{k}": found[f"within_{k}"] for k in DEPTHS})


def _protocol(item: Item) -> Protocol:
    """Intervals are made from the records' own figures afterwards, so one replicate is enough here."""
    return Protocol(fractions=(), bootstrap=1, seed=SEED, splits=item.splits, leave_out_known=item.leave_out_known)


def _hits(store: Store, rows: Rows, columns: dict[str, NDArray[np.float64]]) -> Hits:
    order = np.argsort(rows, kind="stable")
    values = np.stack([np.asarray(column, np.float64)[order] for column in columns.values()], axis=1)
    return Hits(tuple(columns), rows[order], known_patients(store, rows[order]), values[None])


_WAYS: dict[str, Callable[[Item, Subject], Any]] = {
    "zero-shot": _zero_shot,
    "probe": _probe,
    "retrieval": _retrieval,
    "identification": _identification,
}
