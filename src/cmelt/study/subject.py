"""Who is measured, and on what: a cell's model, embedding every record once, and the records that an item is asked of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.evaluation import metrics
from cmelt.evaluation.contamination import unseen
from cmelt.evaluation.embedder import Embedder, Rows, Vectors, check_fit, embed_rows, patients_of
from cmelt.evaluation.protocol import members_of, truth_of
from cmelt.evaluation.tasks import Task, load_task
from cmelt.study.cells import Cell, Item, StorePart
from cmelt.study.outcomes import SPLITS
from cmelt.study.training_data import open_part

if TYPE_CHECKING:
    from cmelt.checkpoints.model_embedder import ModelEmbedder
    from cmelt.model.cmelt import CMeltModel
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
    negative_weight = property(lambda self: self.model.negative_weight)
    aligned = property(lambda self: self.model.aligned)

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
    _stores: dict[str, Store] = field(default_factory=dict)

    @cached_property
    def source(self) -> ModelEmbedder[CMeltModel]:
        """The model, read when it is asked for first. Raises CheckpointError where there is none."""
        from cmelt.checkpoints import load_embedder

        model = load_embedder(self.folder / "run")
        return replace(model, seen=self._seen()) if len(self.cell.stages) > 1 else model

    @cached_property
    def embedder(self) -> Embedder:
        """The same for whoever only embeds."""
        return Remembering(self.source)

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


@dataclass(frozen=True)
class Question:
    """The records that an item is asked of; `kept` [C] are the classes that can have figures."""

    store: Store
    task: Task
    rows: Rows
    truth: NDArray[np.bool_]
    kept: NDArray[np.bool_]


def question_of(item: Item, subject: Subject) -> Question:
    """The records of an item, less those that its model has seen where the item leaves them out.

    Raises StoreError where it does not, and where no record is left.
    """
    store, task = subject.store(item.store), load_task(item.task_source)
    rows = rows_to_measure(store, task, item)
    seen = () if subject.cell.kind == "supervised" else subject.embedder.seen
    rows = unseen(store, rows, seen, item.leave_out_known)
    truth = truth_of(store, task, rows)
    return Question(store, task, rows, truth, metrics.evaluable(truth))


def training_rows(asked: Question) -> Rows:
    """The store's training records of the task. Raises StoreError where there are none."""
    rows = members_of(asked.store, asked.task, asked.store.rows("train"))
    if len(rows) == 0:
        raise StoreError(asked.store.path, f"no training record of task {asked.task.name}", "measure zero-shot there")
    return rows


def rows_to_measure(store: Store, task: Task | None, item: Item) -> Rows:
    """The rows that are measured, before any that a model has seen are left out: the same for all models.

    Raises StoreError where there are none.
    """
    rows = store.rows(*item.splits)
    if task is not None:
        rows = members_of(store, task, rows)
    if len(rows) == 0:
        fault = f"no record of task {item.task} in {' and '.join(item.splits)}"
        raise StoreError(store.path, fault, "check the labels (cmelt inspect) and the splits")
    if item.records is not None and item.records < len(rows):
        rows = np.sort(np.random.default_rng([SEED, 32]).choice(rows, item.records, replace=False))
    return rows


def known_patients(store: Store, rows: Rows) -> NDArray[np.int64]:
    """One integer a row that does not depend on which rows are asked for."""
    return patients_of(store.index, np.arange(len(store), dtype=np.int64))[rows]


def split_numbers(store: Store, rows: Rows) -> NDArray[np.int64]:
    """Places in SPLITS, −1 for a record in none."""
    places = {name: place for place, name in enumerate(SPLITS)}
    return np.array([places.get(split, -1) for split in store.index["split"].iloc[rows]], dtype=np.int64)
