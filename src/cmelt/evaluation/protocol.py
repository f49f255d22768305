"""How figures are made, and which records they are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation.embedder import Embedder, EvaluationStore, Progress, Rows, Vectors, embed_rows, patients_of
from cmelt.evaluation.subgroups import Grouping, groups_of
from cmelt.evaluation.tasks import Task

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
        return replace(self, truth=self.truth[:, kept])


def rows_of(store: EvaluationStore, task: Task, protocol: Protocol) -> tuple[tuple[str, ...], Rows, Rows]:
    """The splits to evaluate, their rows, and the training rows where probes are wanted."""
    splits = protocol.splits or task.splits
    if "train" in splits and protocol.fractions:
        raise ConfigError(
            "splits", "the training records cannot be evaluated by a probe that learns from them", "leave the probe out"
        )
    members = task.members(store.index["labels"].tolist())

    def rows(*names: str) -> Rows:
        chosen = store.rows(*names)
        return chosen[members[chosen]]

    evaluated = rows(*splits)
    if len(evaluated) == 0:
        fault = f"no record of task {task.name} in {' and '.join(splits)}"
        raise StoreError("store", fault, "check the labels (cmelt inspect) and the splits")
    return tuple(splits), evaluated, rows("train") if protocol.fractions else np.zeros(0, np.int64)


def sample_of(store: EvaluationStore, task: Task, rows: Rows, needed: Rows, embedded: dict[str, Vectors]) -> Sample:
    place = np.searchsorted(needed, rows)
    labels = [store.index["labels"].iloc[row] for row in rows]
    model, control = embedded["model"][place], embedded["random control"][place]
    return Sample(rows, model, control, task.truth(labels), patients_of(store.index, rows), groups_of(store.index, rows))


def embed_both(
    embedder: Embedder, control: Embedder, store: EvaluationStore, rows: Rows, progress: Report | None = None
) -> dict[str, Vectors]:
    """The ECG embeddings [n, D] of a store's rows by "model" and by "random control"; computed once where these are one."""

    def told(word: str) -> Progress | None:
        return None if progress is None else lambda done, total: progress(f"embedding, {word}", done, total)

    model = embed_rows(embedder, store, rows, progress=told("model"))
    same = control is embedder
    return {
        "model": model,
        "random control": model if same else embed_rows(control, store, rows, progress=told("random control")),
    }
