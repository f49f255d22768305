"""Is any record of one store inside another? Copies by fingerprint, confirmed by their signals; patients by their hash."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.records.resemblance import LEAST_RESEMBLANCE
from cmelt.store.copies import confirm, overlap
from cmelt.store.opened import Store


@dataclass(frozen=True)
class StoreOverlap:
    """What of store B is inside store A.

    Attributes:
        pairs: [m, 2] (row of A, row of B) of confirmed copies, sorted.
        resemblance: [m] how alike their signals are, 1 at most.
        rejected: near fingerprints whose signals are not the same.
        without_fingerprint: records of A, of B that have none (too short, too few leads): copies of these are not found.
        patients_comparable: whether patients of the two can be told to be the same: one key, and a source in common.
        patient_rows: [k] rows of B whose patient is known to be in A: by hash where that is comparable, and by having
            another record that is a copy.
        splits: (split in A, split in B) → copies; a record of B with copies in several splits of A counts in each.
        patient_splits: split in B → rows in `patient_rows`.
    """

    pairs: NDArray[np.int64]
    resemblance: NDArray[np.float64]
    rejected: int
    without_fingerprint: tuple[int, int]
    patients_comparable: bool
    patient_rows: NDArray[np.int64]
    splits: dict[tuple[str, str], int]
    patient_splits: dict[str, int]

    @property
    def copied_rows(self) -> NDArray[np.int64]:
        """Rows of B that have a copy in A."""
        return np.unique(self.pairs[:, 1])

    @property
    def known_rows(self) -> NDArray[np.int64]:
        """Rows of B that have a copy in A or belong to a patient of A: what a model trained on A must not be judged by."""
        return np.union1d(self.copied_rows, self.patient_rows)

    def as_json(self) -> dict[str, Any]:
        """Counts only: no record and no patient is named."""
        return {
            "copies": len(self.copied_rows),
            "copies_by_split": {f"{ours}/{theirs}": count for (ours, theirs), count in sorted(self.splits.items())},
            "least_resemblance": float(self.resemblance.min()) if len(self.resemblance) else None,
            "rejected": self.rejected,
            "without_fingerprint": list(self.without_fingerprint),
            "patients_comparable": self.patients_comparable,
            "records_of_known_patients": len(self.patient_rows),
            "records_of_known_patients_by_split": dict(sorted(self.patient_splits.items())),
            "known": len(self.known_rows),
        }


def overlap_of(first: Store, second: Store, *, splits: tuple[str, ...] = ()) -> StoreOverlap:
    """Which records of `second` (B) are inside `first` (A), as copies or through their patients.

    Args:
        splits: look only at these splits of A ("train" asks what a model trained on it has seen); all where none is named.
    """
    rows = first.rows(*splits)
    prints = [store.index["fingerprint"].fillna("").to_numpy(dtype=object) for store in (first, second)]
    near = overlap(prints[0][rows].tolist(), prints[1].tolist())
    near[:, 0] = rows[near[:, 0]]
    alike = confirm(first, second, near)
    kept = alike >= LEAST_RESEMBLANCE
    pairs = near[kept]
    comparable = patients_comparable(first, second)
    known = _rows_of_known_patients(first, second, rows, pairs, comparable)
    ours, theirs = first.index["split"].to_numpy(), second.index["split"].to_numpy()
    met = {(str(ours[a]), int(b)) for a, b in pairs.tolist()}
    return StoreOverlap(
        pairs=pairs,
        resemblance=alike[kept],
        rejected=int(np.count_nonzero(~kept)),
        without_fingerprint=(int(np.count_nonzero(prints[0][rows] == "")), int(np.count_nonzero(prints[1] == ""))),
        patients_comparable=comparable,
        patient_rows=known,
        splits=dict(Counter((split, str(theirs[row])) for split, row in met)),
        patient_splits=dict(Counter(str(split) for split in theirs[known])),
    )


def patients_comparable(first: Store, second: Store) -> bool:
    """Whether equal patient hashes of the two stores mean one patient: hashed with one key, and of a source that both have."""
    keys = [store.manifest.get("patient_key_check") for store in (first, second)]
    sources = [set(store.index["source"]) for store in (first, second)]
    return keys[0] is not None and keys[0] == keys[1] and bool(sources[0] & sources[1])


def _rows_of_known_patients(
    first: Store, second: Store, rows: NDArray[np.int64], pairs: NDArray[np.int64], comparable: bool
) -> NDArray[np.int64]:
    """Rows of `second` of a patient who is in `rows` of `first`, by hash or by a copy."""
    patients = second.index["patient"].to_numpy(dtype=object)
    known = set(patients[pairs[:, 1]])
    if comparable:
        known |= set(first.index["patient"].to_numpy(dtype=object)[rows])
    known.discard("")
    return np.flatnonzero([patient in known for patient in patients]).astype(np.int64)
