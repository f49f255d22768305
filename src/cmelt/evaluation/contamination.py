"""Are the evaluated records really unseen? Compared with the store's training split, and with what the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.evaluation.embedder import EvaluationStore, Rows
from cmelt.records.resemblance import LEAST_RESEMBLANCE, resemblance
from cmelt.store.copies import overlap


@dataclass(frozen=True)
class Overlap:
    """Evaluated records that are known from training.

    Attributes:
        rows: theirs, ascending.
        signals: how many are copies of a training signal.
        patients: patients of evaluated records who are in the store's training split.
    """

    rows: Rows
    signals: int
    patients: int

    @property
    def records(self) -> int:
        """How many records are known."""
        return len(self.rows)


def overlap_with_training(store: EvaluationStore, evaluated: Rows, seen: Sequence[str] = ()) -> Overlap:
    """Rows of `evaluated` whose signal or patient is in the store's training split, or whose signal is among `seen`.

    Copies are found by fingerprints, whatever their rate and gain, and confirmed by their signals where both are in the store;
    those of a model trained elsewhere cannot be, and count. Records without a fingerprint or patient ("") count as unseen. The
    training split itself is compared with `seen` alone.

    Args:
        evaluated: rows of the store.
        seen: fingerprints of the model's training records.
    """
    index = store.index
    prints = index["fingerprint"].fillna("").to_numpy(dtype=object)
    training = store.rows("train")
    judged = np.setdiff1d(evaluated, training)
    copies, told_apart = _copies_within(store, prints, training, judged)
    near_seen = overlap(list(seen), prints[evaluated].tolist())[:, 1]
    copies |= set(evaluated[near_seen].tolist()) - told_apart
    patients = index["patient"].fillna("").to_numpy(dtype=object)
    known = set(patients[training]) - {""}
    shared = np.array([row for row in judged.tolist() if patients[row] in known], dtype=np.int64)
    rows = np.union1d(np.array(sorted(copies), dtype=np.int64), shared)
    return Overlap(rows, len(copies), len(set(patients[shared])))


def check_unseen(store: EvaluationStore, evaluated: Rows, seen: Sequence[str] = ()) -> None:
    """Refuse to evaluate records that training has seen. Raises StoreError with counts."""
    found = overlap_with_training(store, evaluated, seen)
    if found.records:
        fault = (
            f"{found.records} of the records to evaluate are known from training "
            f"({found.signals} identical signals, {found.patients} shared patients)"
        )
        raise StoreError("store", fault, "leave them out with --leave-out-known, or evaluate on other records")


def _copies_within(
    store: EvaluationStore, prints: NDArray[np.object_], training: Rows, judged: Rows
) -> tuple[set[int], set[int]]:
    """Rows of `judged` that are a copy of one of `training`, and those that are only near one by fingerprint."""
    near = overlap(prints[training].tolist(), prints[judged].tolist())
    pairs = [(int(training[a]), int(judged[b])) for a, b in near.tolist()]
    copies = {row for first, row in pairs if _same(store, prints, first, row)}
    return copies, {row for _, row in pairs} - copies


def _same(store: EvaluationStore, prints: NDArray[np.object_], first: int, second: int) -> bool:
    if prints[first] == prints[second]:
        return True
    one, other = store.millivolts([first, second])
    return resemblance(one, store.rate, other, store.rate) >= LEAST_RESEMBLANCE
