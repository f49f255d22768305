"""How figures are made, and which records they are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation.embedder import Embedder, EvaluationStore, Progress, Rows, Vectors, embed_rows, patients_of
from cmelt.evaluation.metrics import evaluable
from cmelt.evaluation.subgroups import Grouping, groups_of
from cmelt.evaluation.tasks import Task

#: What is evaluated without a task, where the protocol names no splits.
HELD_OUT = ("validation", "test")
#: Called with (what is being done, how much is done, how much there is).
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Protocol:
    """How figures are made.

    Attributes:
        fractions: shares of the training records that probes are fitted on; empty for no probe.
        draws: random draws for each share below one (one draw is all there is at 100 %).
        bootstrap: replicates of the patient bootstrap.
        seed: of draws, folds, replicates and permutations.
        splits: evaluate these instead of the task's own.
        leave_out_known: leave out records that training has seen, where they are otherwise refused.
    """

    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    draws: int = 5
    bootstrap: int = 1000
    seed: int = 0
    splits: tuple[str, ...] = ()
    leave_out_known: bool = False

    def __post_init__(self) -> None:
        if any(not 0.0 < f <= 1.0 for f in self.fractions):
            raise ConfigError("fractions", f"{self.fractions} holds a value outside (0, 1]", "give shares such as 0.01 0.1 1")
        if self.draws < 1 or self.bootstrap < 1:
            raise ConfigError("draws, bootstrap", f"{self.draws} and {self.bootstrap}", "both must be at least 1")


@dataclass(frozen=True)
class Sample:
    """The records of one task: rows of the store, embeddings by model and control, truth, patients, groups by sex and age."""

    rows: Rows
    model: Vectors
    control: Vectors
    truth: NDArray[np.bool_]
    patients: NDArray[np.int64]
    groups: Grouping = field(default_factory=dict)

    def classes(self, kept: NDArray[np.bool_]) -> Sample:
        """The same of some of the classes, `kept` [C]."""
        return replace(self, truth=self.truth[:, kept])


def rows_of(store: EvaluationStore, task: Task, protocol: Protocol) -> tuple[tuple[str, ...], Rows, Rows]:
    """The splits to evaluate, their rows, and the training rows where probes are wanted."""
    splits = protocol.splits or task.splits
    if "train" in splits and protocol.fractions:
        raise ConfigError(
            "splits", "the training records cannot be evaluated by a probe that learns from them", "leave the probe out"
        )
    evaluated = members_of(store, task, store.rows(*splits))
    if len(evaluated) == 0:
        fault = f"no record of task {task.name} in {' and '.join(splits)}"
        raise StoreError("store", fault, "check the labels (cmelt inspect) and the splits")
    training = members_of(store, task, store.rows("train")) if protocol.fractions else np.zeros(0, np.int64)
    return tuple(splits), evaluated, training


def answerable(store: EvaluationStore, task: Task, protocol: Protocol) -> bool:
    """Whether some class of the task has both positives and negatives among the records that would be evaluated."""
    evaluated = members_of(store, task, store.rows(*(protocol.splits or task.splits)))
    return bool(evaluable(truth_of(store, task, evaluated)).any())


def members_of(store: EvaluationStore, task: Task, rows: Rows) -> Rows:
    """The rows that belong to the task's population."""
    return rows[task.members(store.index["labels"].iloc[rows].tolist())]


def truth_of(store: EvaluationStore, task: Task, rows: Rows) -> NDArray[np.bool_]:
    """[n, C] which of the task's classes each row belongs to."""
    return task.truth(store.index["labels"].iloc[rows].tolist())


def sample_of(store: EvaluationStore, task: Task, rows: Rows, needed: Rows, embedded: Mapping[str, Vectors]) -> Sample:
    """The sample of some of the rows `needed` (ascending), which `embed_both` has embedded."""
    place = np.searchsorted(needed, rows)
    truth, patients, groups = truth_of(store, task, rows), patients_of(store.index, rows), groups_of(store.index, rows)
    return Sample(rows, embedded["model"][place], embedded["random"][place], truth, patients, groups)


def embed_both(
    embedder: Embedder, control: Embedder, store: EvaluationStore, rows: Rows, progress: Report | None = None
) -> dict[str, Vectors]:
    """The ECG embeddings [n, D] of a store's rows by "model" and by its "random" control; once where these are one."""
    model = embed_rows(embedder, store, rows, progress=stage(progress, "embedding, model"))
    if control is embedder:
        return {"model": model, "random": model}
    return {"model": model, "random": embed_rows(control, store, rows, progress=stage(progress, "embedding, random control"))}


def stage(progress: Report | None, word: str) -> Progress | None:
    """Progress of one named stage."""
    return None if progress is None else lambda done, total: progress(word, done, total)
