"""Are the evaluated records really unseen? Compared with the store's training split, and with what the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmelt.errors import StoreError
from cmelt.evaluation.embedder import EvaluationStore, Rows
from cmelt.records.resemblance import LEAST_RESEMBLANCE, resemblance
from cmelt.store.copies import overlap
from cmelt.store.patients import PERSON


@dataclass(frozen=True)
class Overlap:
    """Evaluated records that are known from training.

    Attributes:
        rows: theirs, ascending.
        signals: how many are copies of a training signal.
        patients: patients of evaluated records who are in the store's training split, or among those that the model has seen.
    """

    rows: Rows
    signals: int
    patients: int

    @property
    def records(self) -> int:
        """How many records are known."""
        return len(self.rows)


def overlap_with_training(store: EvaluationStore, evaluated: Rows, seen: Sequence[str] = ()) -> Overlap:
    """Rows of `evaluated` whose signal or patient is in the store's training split, or among `seen`.

    Copies are found by fingerprints, whatever their rate and gain, and confirmed by their signals where both are in the store;
    those of a model trained elsewhere cannot be, and count. Records without a fingerprint or patient ("") count as unseen. The
    training split itself is compared with `seen` alone.

    Args:
        evaluated: rows of the store.
        seen: fingerprints of the model's training records, and names of their patients.
    """
    training = store.rows("train")
    judged = np.setdiff1d(evaluated, training)
    copies, told_apart = _copies(store, training, store, judged)
    copies |= set(_signals_seen(store, evaluated, seen).tolist()) - told_apart
    return _overlap(store, training, store, judged, copies, _people_seen(store, evaluated, seen))


def overlap_between(source: EvaluationStore, training: Rows, target: EvaluationStore, evaluated: Rows) -> Overlap:
    """Rows of `evaluated` of the store `target` whose signal or patient is among the rows `training` of the store `source`.

    Patients of two stores are told to be the same by equal hashes, which means one key and one source.
    """
    copies, _ = _copies(source, training, target, evaluated)
    return _overlap(source, training, target, evaluated, copies)


def rows_seen(store: EvaluationStore, evaluated: Rows, seen: Sequence[str]) -> Rows:
    """Rows of `evaluated` with a fingerprint near one of `seen`, a model's training records, or of a patient that is named there;
    ascending, each once."""
    return np.union1d(_signals_seen(store, evaluated, seen), _people_seen(store, evaluated, seen))


def check_unseen(store: EvaluationStore, evaluated: Rows, seen: Sequence[str] = ()) -> None:
    """Refuse to evaluate records that training has seen. Raises StoreError with counts."""
    found = overlap_with_training(store, evaluated, seen)
    if found.records:
        fault = (
            f"{found.records} of the records to evaluate are known from training "
            f"({found.signals} identical signals, {found.patients} shared patients)"
        )
        remedy = "leave them out with --leave-out-known, or evaluate on other records"
        if found.patients and not found.signals:
            remedy += "; archives that merely number their patients alike: prepare each with a --patient-key of its own"
        raise StoreError("store", fault, remedy)


def unseen(store: EvaluationStore, evaluated: Rows, seen: Sequence[str], leave_out_known: bool) -> Rows:
    """`evaluated` without what training has seen. Raises StoreError where there is any and it is not to be left out."""
    if not leave_out_known:
        check_unseen(store, evaluated, seen)
    kept = np.setdiff1d(evaluated, overlap_with_training(store, evaluated, seen).rows)
    if len(kept) == 0:
        raise StoreError("store", f"training has seen all {len(evaluated)} records to evaluate", "evaluate on other records")
    return kept


def rows_to_evaluate(
    store: EvaluationStore, splits: tuple[str, ...], seen: Sequence[str], leave_out_known: bool
) -> tuple[Rows, tuple[str, ...]]:
    """The unseen rows of `splits`, and what a reader must know of them. Raises StoreError as `unseen`, and for empty splits."""
    evaluated = store.rows(*splits)
    if len(evaluated) == 0:
        raise StoreError("store", f"no record in {' and '.join(splits)}", "name splits that it has")
    kept = unseen(store, evaluated, seen, leave_out_known)
    return kept, notes_on(splits, len(evaluated) - len(kept))


def notes_on(splits: Sequence[str], left_out: int) -> tuple[str, ...]:
    """What a reader must know of evaluated records of these splits, `left_out` of which training has seen."""
    notes = ["the store's training records are among those evaluated"] if "train" in splits else []
    if left_out:
        notes.append(f"{left_out} records that training has seen, by signal or by patient, were left out")
    return tuple(notes)


def copies_of(source: EvaluationStore, known: Rows, target: EvaluationStore, judged: Rows) -> Rows:
    """Rows of `judged` of `target` whose signal is that of one of the rows `known` of `source`; ascending."""
    return np.array(sorted(_copies(source, known, target, judged)[0]), dtype=np.int64)


def _signals_seen(store: EvaluationStore, evaluated: Rows, seen: Sequence[str]) -> Rows:
    prints = [name for name in seen if not name.startswith(PERSON)]
    return np.unique(evaluated[overlap(prints, _prints(store, evaluated))[:, 1]])


def _people_seen(store: EvaluationStore, evaluated: Rows, seen: Sequence[str]) -> Rows:
    people = {name for name in seen if name.startswith(PERSON)}
    if not people:
        return np.zeros(0, dtype=np.int64)
    return evaluated[np.array([name in people for name in store.people(evaluated)], dtype=bool)]


def _overlap(
    source: EvaluationStore,
    training: Rows,
    target: EvaluationStore,
    judged: Rows,
    copies: set[int],
    seen: Rows = np.zeros(0, dtype=np.int64),
) -> Overlap:
    """Copies, the records of patients who are among the training rows, and those of patients `seen`."""
    ours, theirs = (store.index["patient"].fillna("").to_numpy(dtype=object) for store in (source, target))
    known = set(ours[training]) - {""}
    shared = np.array([row for row in judged.tolist() if theirs[row] in known], dtype=np.int64)
    shared = np.union1d(shared, seen)
    rows = np.union1d(np.array(sorted(copies), dtype=np.int64), shared)
    return Overlap(rows, len(copies), len(set(theirs[shared])))


def _copies(source: EvaluationStore, training: Rows, target: EvaluationStore, judged: Rows) -> tuple[set[int], set[int]]:
    """Rows of `judged` that are a copy of one of `training`, and those that are only near one by fingerprint."""
    ours, theirs = _prints(source, training), _prints(target, judged)
    copies, near = set(), set()
    for a, b in overlap(ours, theirs).tolist():
        near.add(int(judged[b]))
        if ours[a] == theirs[b] or _alike(source, int(training[a]), target, int(judged[b])):
            copies.add(int(judged[b]))
    return copies, near - copies


def _alike(source: EvaluationStore, first: int, target: EvaluationStore, second: int) -> bool:
    one, other = source.millivolts([first])[0], target.millivolts([second])[0]
    return resemblance(one, source.rate, other, target.rate) >= LEAST_RESEMBLANCE


def _prints(store: EvaluationStore, rows: Rows) -> list[str]:
    prints: list[str] = store.index["fingerprint"].fillna("").to_numpy(dtype=object)[rows].tolist()
    return prints
