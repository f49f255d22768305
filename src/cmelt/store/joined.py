"""Several stores as one, nothing copied: their rows follow one another; what would teach a test to training is left out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmelt.errors import StoreError
from cmelt.store.copies import copy_groups
from cmelt.store.grouping import PROTECTED
from cmelt.store.layout import canonical_json
from cmelt.store.opened import Store, StoredRecord, Verify, checked_rows, open_store, received, rows_of
from cmelt.store.same_signal import Steps, beginnings, confirm_groups

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class JoinedStore:
    """Stores that are read as one. Rows are numbered through: those of the first store, then those of the second, and so on.

    Attributes:
        parts: the stores, of one rate, length, lead order and resolution.
        weights: how often each one's pairs are drawn in training for once that a pair of weight 1 is.
        part: [n] which store each row is of.
        part_row: [n] its row there. Rows that were left out have no number here.
        warnings: what to look at.
    """

    parts: tuple[Store, ...]
    weights: tuple[float, ...]
    part: NDArray[np.int64]
    part_row: NDArray[np.int64]
    warnings: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """What messages call it: the folders of its stores."""
        return " + ".join(str(store.path) for store in self.parts)

    @property
    def rate(self) -> float:
        """Hz."""
        return self.parts[0].rate

    @property
    def leads(self) -> tuple[str, ...]:
        """The names of the 12 rows of every signal."""
        return self.parts[0].leads

    @property
    def samples(self) -> int:
        """Samples of every record."""
        return self.parts[0].samples

    @property
    def microvolts_per_step(self) -> float:
        """What one step of the int16 signals is worth."""
        return self.parts[0].microvolts_per_step

    @property
    def sha256(self) -> str:
        """The identity of these stores in this order with these weights."""
        content = [[store.sha256, weight] for store, weight in zip(self.parts, self.weights, strict=True)]
        return hashlib.sha256(canonical_json(content)).hexdigest()

    def __len__(self) -> int:
        return int(self.part.size)

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row a record, with the columns that any of the stores has."""
        import pandas as pd

        kept = [store.index.iloc[self.part_row[self.part == number]] for number, store in enumerate(self.parts)]
        return pd.concat(kept, ignore_index=True)

    @cached_property
    def quarantine(self) -> tuple[dict[str, str], ...]:
        """What was left out when the stores were prepared."""
        return tuple(line for store in self.parts for line in store.quarantine)

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """The rows of these splits, in order; of all splits where none is named."""
        return rows_of(self.index, splits)

    def people(self, rows: ArrayLike) -> list[str]:
        """As `Store.people`."""
        wanted = checked_rows(rows, len(self), self.path)
        found = [""] * wanted.size
        for number, store in enumerate(self.parts):
            positions = np.flatnonzero(self.part[wanted] == number)
            for position, name in zip(positions.tolist(), store.people(self.part_row[wanted[positions]]), strict=True):
                found[position] = name
        return found

    def signals(self, rows: ArrayLike, out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
        """As `Store.signals`."""
        return self.stretches(rows, 0, self.samples, out)

    def stretches(
        self, rows: ArrayLike, begin: ArrayLike, samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        """As `Store.stretches`."""
        wanted = checked_rows(rows, len(self), self.path)
        found = received(out, (wanted.size, len(self.leads), samples))
        first = np.broadcast_to(np.asarray(begin, dtype=np.int64), wanted.shape)
        for number, store in enumerate(self.parts):
            positions = np.flatnonzero(self.part[wanted] == number)
            store.fill(found, positions, self.part_row[wanted[positions]], first[positions])
        return found

    def millivolts(self, rows: ArrayLike) -> NDArray[np.float32]:
        """The signals of `rows` [n] in millivolts, float32 [n, 12, samples]."""
        return self.signals(rows).astype(np.float32) * np.float32(self.microvolts_per_step / 1000)

    def record(self, row: int) -> StoredRecord:
        """One record with what the index says of it."""
        place = int(checked_rows([row], len(self), self.path)[0])
        return self.parts[int(self.part[place])].record(int(self.part_row[place]))


#: What training and evaluation read from.
AnyStore = Store | JoinedStore


def open_stores(paths: Sequence[str | Path], weights: Sequence[float] | None = None, verify: Verify = "sizes") -> AnyStore:
    """Open the stores at `paths` as one; of a single path, that store itself.

    Where a record of one store is a copy of one in another that lies in a more protected split (test before validation
    before train), it is left out, and counted in `warnings`: a test must not be trained on. Near fingerprints are
    confirmed by the signals. Patients are known by their hashes, which differ between sources.

    Args:
        weights: one a store; 2 draws its pairs twice as often. All 1 where none are given.

    Raises:
        StoreError: a store cannot be opened; two of them differ in rate, length, leads or resolution, or are one; no such weight.
    """
    if not paths:
        raise StoreError("--data", "no store is named", "give one or more")
    chosen = _checked_weights(weights, len(paths))
    parts = tuple(open_store(path, verify) for path in paths)
    if len(parts) == 1:
        return parts[0]
    for first, second in combinations(parts, 2):
        _check_alike(first, second)
    part = np.concatenate([np.full(len(store), number, dtype=np.int64) for number, store in enumerate(parts)])
    part_row = np.concatenate([np.arange(len(store), dtype=np.int64) for store in parts])
    left_out, warnings = _left_out(parts, part, part_row)
    return JoinedStore(parts, chosen, part[~left_out], part_row[~left_out], (*warnings, *_about_patients(parts)))


def _checked_weights(weights: Sequence[float] | None, count: int) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * count
    if len(weights) != count:
        raise StoreError("--weights", f"{len(weights)} weights for {count} stores", "give one a store, in their order")
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise StoreError("--weights", "a weight that is not a positive number", "leave a store out that is not to be used")
    return tuple(float(weight) for weight in weights)


def _check_alike(first: Store, second: Store) -> None:
    facts = (
        ("rate", f"{first.rate:g} Hz", f"{second.rate:g} Hz", "--rate"),
        ("length", f"{first.samples} samples", f"{second.samples} samples", "--seconds"),
        ("leads", " ".join(first.leads), " ".join(second.leads), "the same version of cmelt"),
        ("resolution", f"{first.microvolts_per_step} µV", f"{second.microvolts_per_step} µV", "the same version of cmelt"),
    )
    for what, one, other, how in facts:
        if one != other:
            fault = f"its {what} is {other}, that of {first.path} is {one}"
            raise StoreError(second.path, fault, f"prepare one of them again with {how} as the other")
    if first.sha256 == second.sha256:
        raise StoreError(second.path, f"is the same store as {first.path}", "name it once; --weights draws it more often")


def _left_out(
    parts: tuple[Store, ...], part: NDArray[np.int64], part_row: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Rows [n] that are copies of another store's in a more protected split; and what to say of copies."""
    groups = copy_groups([text for store in parts for text in store.index["fingerprint"]])
    splits = np.concatenate([_split_numbers(store) for store in parts])
    shared = _spans(groups, part)
    doubtful = shared & _spans(groups, splits)

    def signal_of(row: int) -> Steps:
        store, place = parts[int(part[row])], int(part_row[row])
        return store.signals([place])[0][:, : int(store.index["samples"].iloc[place])]

    begin = np.concatenate(
        [beginnings(store.index["seconds"].to_numpy(), store.rate, store.samples, store.manifest["crop"]) for store in parts]
    )
    groups = confirm_groups(groups, doubtful, signal_of, begin, parts[0].rate)
    left_out = np.zeros(part.size, dtype=bool)
    members: dict[int, list[int]] = {}
    for row in np.flatnonzero(doubtful).tolist():
        members.setdefault(int(groups[row]), []).append(row)
    for rows in members.values():
        for row in rows:
            left_out[row] = any(part[other] != part[row] and splits[other] < splits[row] for other in rows)
    warnings = []
    if left_out.any():
        warnings.append(f"{left_out.sum()} records are left out: copies of records of another store in a more protected split")
    twice = int((_spans(groups[~left_out], part[~left_out]) & (splits[~left_out] == PROTECTED.index("train"))).sum())
    if twice:
        warnings.append(f"{twice} train records are, by their fingerprints, in several of the stores, and count in each")
    return left_out, tuple(warnings)


def _split_numbers(store: Store) -> NDArray[np.int64]:
    """Places in `PROTECTED`; rows in no split come last."""
    numbers = {name: number for number, name in enumerate((*PROTECTED, ""))}
    return np.asarray(store.index["split"].map(numbers).to_numpy(np.int64))


def _spans(groups: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows [n] of groups in which `values` [n] are not all the same."""
    least = np.full(int(groups.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    most = np.full(least.size, np.iinfo(np.int64).min)
    np.minimum.at(least, groups, values)
    np.maximum.at(most, groups, values)
    return np.asarray((least < most)[groups])


def _about_patients(parts: tuple[Store, ...]) -> list[str]:
    """Warnings: patients whom two stores split differently, and stores whose patients cannot be compared."""
    warnings = []
    for first, second in combinations(parts, 2):
        if first.manifest["source"]["name"] != second.manifest["source"]["name"]:
            continue
        if first.manifest["patient_key_check"] != second.manifest["patient_key_check"]:
            warnings.append(f"{first.path} and {second.path} have different patient keys: whom they share is unknown")
            continue
        seen = [
            {(patient, split) for patient, split in zip(store.index["patient"], store.index["split"], strict=True) if split}
            for store in (first, second)
        ]
        own = [{patient for patient, _ in pairs} for pairs in seen]
        torn = {patient for patient, _ in seen[0] ^ seen[1]} & own[0] & own[1]
        if torn:
            warnings.append(f"{len(torn)} patients of {first.path} are in another split in {second.path}")
    return warnings
