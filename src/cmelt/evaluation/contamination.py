"""Are the evaluated records really unseen? Exact signal fingerprints and patients are compared with the training split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cmelt.errors import StoreError
from cmelt.evaluation.embedder import EvaluationStore


@dataclass(frozen=True)
class Overlap:
    """How many evaluated records are known from training: by identical signal, and by patient."""

    records: int
    signals: int
    patients: int


def overlap_with_training(store: EvaluationStore, splits: Sequence[str]) -> Overlap:
    """Count evaluated records whose fingerprint or patient also occurs in the store's training split.

    Records without a fingerprint or patient ("") can be told apart by neither and count as unseen.
    """
    index = store.index
    training, evaluated = index[index["split"] == "train"], index[index["split"].isin(list(splits))]
    shared = {}
    for column in ("fingerprint", "patient"):
        known = set(training[column]) - {""}
        shared[column] = evaluated[column].isin(known)
    both = shared["fingerprint"] | shared["patient"]
    return Overlap(int(both.sum()), int(shared["fingerprint"].sum()), int(evaluated.loc[shared["patient"], "patient"].nunique()))


def check_unseen(store: EvaluationStore, splits: Sequence[str]) -> None:
    """Refuse to evaluate records that training has seen. Raises StoreError with counts.

    The training split itself may be asked for (a dataset the model was never trained on); then there is nothing to compare.
    """
    overlap = overlap_with_training(store, [split for split in splits if split != "train"])
    if overlap.records:
        fault = (
            f"{overlap.records} of the records to evaluate are known from its training split "
            f"({overlap.signals} identical signals, {overlap.patients} shared patients)"
        )
        raise StoreError("store", fault, "prepare it again with splits by patient; identical signals must share a split")
