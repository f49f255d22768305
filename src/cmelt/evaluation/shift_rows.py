"""Which records a head learns from in one hospital, and which it may be asked of in another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.evaluation.contamination import overlap_between, overlap_with_training, rows_seen
from cmelt.evaluation.embedder import EvaluationStore, Rows
from cmelt.evaluation.protocol import HELD_OUT, Protocol, members_of
from cmelt.evaluation.tasks import Task
from cmelt.sources.provenance import collection_of

Names = NDArray[np.object_]
SPLITS = ("train", "validation", "test")
COPIES = "copies or patients of the records that the head learns from"
SEEN = "known from pre-training"


@dataclass(frozen=True)
class ShiftRows:
    """Rows of the source (training, home) and of the target (away).

    `left_out_training` and `left_out` say what was left out of the two and why: reason → records.
    """

    training: Rows
    home: Rows
    away: Rows
    splits: tuple[str, ...]
    left_out_training: dict[str, int]
    left_out: dict[str, int]
    notes: tuple[str, ...]


def rows_of_shift(
    seen: tuple[str, ...], source: EvaluationStore, target: EvaluationStore, task: Task, protocol: Protocol, part: str
) -> ShiftRows:
    """The records of a shift; `seen` are fingerprints and patients of the model's training records.

    Raises StoreError as `evaluate_shift`.
    """
    splits = protocol.splits or SPLITS
    training = members_of(source, task, source.rows("train"))
    away = _part(target, members_of(target, task, target.rows(*splits)), part)
    for word, rows in (("source", training), ("target", away)):
        if len(rows) == 0:
            asked = "train" if word == "source" else part or " and ".join(splits)
            raise StoreError(word, f"no record of task {task.name} in {asked}", "check its labels, splits and origins")
    from_source, from_target = _shared_collections(_collections(source, training), _collections(target, away))
    training, left_out_training = _without(source, training, from_source)
    away, left_out = _without(target, away, from_target)
    copied = overlap_between(source, training, target, away).rows
    away = np.setdiff1d(away, copied)
    known = rows_seen(target, away, seen)
    if len(known) and not protocol.leave_out_known:
        fault = f"{len(known)} of the {len(away)} records to ask are known from pre-training"
        raise StoreError("target", fault, "leave them out with --leave-out-known, or ask splits that it has not seen")
    away = np.setdiff1d(away, known)
    left_out |= {reason: len(rows) for reason, rows in ((COPIES, copied), (SEEN, known)) if len(rows)}
    if len(away) == 0:
        whole = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise StoreError("target", f"no record is left to ask: {whole}", "ask records of another hospital")
    home = _without(source, members_of(source, task, source.rows(*HELD_OUT)), from_source)[0]
    home = np.setdiff1d(home, overlap_with_training(source, home, seen).rows)
    notes = () if seen else ("the model has no list of what it was trained on: only the head's records are known to be unseen",)
    return ShiftRows(training, home, away, splits, left_out_training, left_out, notes)


def _part(store: EvaluationStore, rows: Rows, part: str) -> Rows:
    """The rows whose source or collection has this name, or whose origin begins with it."""
    if not part:
        return rows
    index, collections = store.index.iloc[rows], _collections(store, rows)
    told = zip(index["source"], collections, index["origin"], strict=True)
    return rows[np.array([part in (name, collection) or origin.startswith(part) for name, collection, origin in told], bool)]


def _shared_collections(ours: Names, theirs: Names) -> tuple[set[str], set[str]]:
    """Collections that both sides hold, by the side that gives them up: the one of which it is the smaller part.

    So PTB-XL's part of the Challenge is never learned from where PTB-XL is asked, nor asked where PTB-XL is learned from; and a
    part of the Challenge can be asked of a head that has learned from all the others.
    """
    shared = (set(ours) & set(theirs)) - {""}
    from_source = {name for name in shared if (ours == name).mean() < (theirs == name).mean()}
    return from_source, shared - from_source


def _without(store: EvaluationStore, rows: Rows, collections: set[str]) -> tuple[Rows, dict[str, int]]:
    """The rows of other collections, and how many of these there were, by reason."""
    names = _collections(store, rows)
    counts = {f"of {name}, which is on both sides": int((names == name).sum()) for name in sorted(collections)}
    return rows[~np.isin(names, sorted(collections))], counts


def _collections(store: EvaluationStore, rows: Rows) -> Names:
    index = store.index.iloc[rows]
    return np.array([collection_of(*one) for one in zip(index["source"], index["record"], strict=True)], dtype=object)
