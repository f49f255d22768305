"""The pairs that one stage of a cell is trained on: stores joined, and cut to a nested random subset where one is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.store import AnyStore, JoinedStore, Store, open_store, open_stores
from cmelt.study.cells import StorePart
from cmelt.text import clean_report, usable


@dataclass(frozen=True)
class SubsetStore(JoinedStore):
    """Stores of which some training records are left out; `subset` says which, and is part of their identity."""

    subset: str = ""

    @property
    def sha256(self) -> str:
        """The identity of these stores with this subset."""
        return hashlib.sha256(f"{JoinedStore.sha256.fget(self)} {self.subset}".encode()).hexdigest()  # type: ignore[attr-defined]


def training_store(parts: Sequence[StorePart], seed: int) -> AnyStore:
    """The store of one stage; where `pairs` are given, cut to them by `seed`.

    Raises StoreError where a store is not the one that was planned with, or has fewer pairs than are asked for.
    """
    for part in parts:
        open_part(part)
    store = open_stores([part.path for part in parts], [part.weight for part in parts])
    if all(part.pairs is None for part in parts):
        return store
    origin = store if isinstance(store, JoinedStore) else _alone(store)
    kept = np.ones(len(origin), dtype=bool)
    for number, part in enumerate(parts):
        if part.pairs is not None:
            kept[_surplus(origin, np.flatnonzero(origin.part == number), part, seed)] = False
    said = f"seed {seed}: " + ", ".join(f"{part.name} {part.pairs or 'all'}" for part in parts)
    return SubsetStore(origin.parts, origin.weights, origin.part[kept], origin.part_row[kept], origin.warnings, said)


def open_part(part: StorePart) -> Store:
    """A store of the plan. Raises StoreError where another lies in its place now."""
    store = open_store(Path(part.path))
    if store.sha256 != part.sha256:
        raise StoreError(store.path, "is another store than when the study began", "start the study again")
    return store


def nested_subset(patients: Sequence[str], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The places [count] of a random subset of n records, patient by patient (of the last one perhaps not all).

    With a generator of the same seed, the subset of a larger count holds that of a smaller one. A record without a
    patient ("") is a patient of its own.
    """
    keys = [patient or f"\0{place}" for place, patient in enumerate(patients)]
    distinct, group = np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)
    order = np.argsort(rng.permutation(len(distinct))[group], kind="stable")
    return np.sort(order[:count]).astype(np.int64)


def _surplus(store: JoinedStore, rows: NDArray[np.int64], part: StorePart, seed: int) -> NDArray[np.int64]:
    """Of the rows of one store, the training pairs that are not drawn."""
    index = store.index.iloc[rows]
    pairs = rows[[s == "train" and usable(clean_report(r)) for s, r in zip(index["split"], index["report"], strict=True)]]
    wanted = part.pairs or 0
    if wanted > len(pairs):
        raise StoreError(part.path, f"has {len(pairs)} pairs to train on, {wanted} are asked for", "ask for fewer, or for all")
    drawn = nested_subset(store.index["patient"].iloc[pairs].tolist(), wanted, np.random.default_rng([seed, 31]))
    return np.delete(pairs, drawn)


def _alone(store: Store) -> JoinedStore:
    """A single store in the form that can leave rows out."""
    return JoinedStore((store,), (1.0,), np.zeros(len(store), np.int64), np.arange(len(store), dtype=np.int64))
