"""The pairs of a store, or of several, that pre-training uses: records of the train split with a usable report."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from cmelt.batches.order import Share, positions, weighted_positions
from cmelt.errors import StoreError
from cmelt.store import AnyStore, JoinedStore
from cmelt.text import report_groups, usable


@dataclass(frozen=True)
class Corpus:
    """The pairs (ECG, report).

    Attributes:
        rows: [n] rows of the store.
        group: [n] number of each pair's report among the distinct ones.
        distinct: the distinct cleaned reports.
        measured: [n, L] True where the record has the lead.
        without_report: train records left out because their report is empty or under three words.
        store: [n] number of the store that each pair is of; all 0 where there is one.
        patients: [n] hash of each pair's patient; the record's own name for one whose patient is not known.
        shares: of each store, in the order of `rows`, where some are drawn more often than others; else empty.
    """

    rows: NDArray[np.int64]
    group: NDArray[np.int64]
    distinct: list[str]
    measured: NDArray[np.bool_]
    without_report: int
    store: NDArray[np.int64]
    shares: tuple[Share, ...] = ()
    patients: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def draws(self) -> int:
        """Pairs in one pass: each once, or as often as its store's weight says."""
        return sum(share.draws for share in self.shares) or len(self)

    def drawn(self, size: int, step: int, seed: int) -> NDArray[np.int64]:
        """The `size` pairs of step `step`."""
        if self.shares:
            return weighted_positions(self.shares, size, step, seed)
        return positions(len(self), size, step, seed)


def corpus_of(store: AnyStore, split: str = "train") -> Corpus:
    """Gather the pairs of a split. Raises StoreError when there are fewer than two."""
    rows = store.rows(split)
    every, number = report_groups(store.index["report"].iloc[rows].tolist())
    fit = np.array([usable(report) for report in every], dtype=bool)
    good = fit[number]
    if good.sum() < 2:
        raise StoreError(
            store.path,
            f"{int(good.sum())} of {len(rows)} records of split {split!r} have a report of three words or more",
            "pre-training needs pairs: prepare the store with reports",
        )
    kept = rows[good]
    distinct = list(compress(every, fit))
    group = (np.cumsum(fit) - 1)[number[good]]
    # Few sets of leads are absent from many records: each is looked at once.
    missing = [tuple(absent) for absent in store.index["missing_leads"].iloc[kept]]
    places = {absent: place for place, absent in enumerate(dict.fromkeys(missing))}
    patterns = np.array([[lead not in absent for lead in store.leads] for absent in places])
    measured = patterns[[places[absent] for absent in missing]]
    part = store.part[kept] if isinstance(store, JoinedStore) else np.zeros(len(kept), np.int64)
    patients = tuple(patient or f"record {row}" for row, patient in store.index["patient"].iloc[kept].items())
    return Corpus(kept, group, distinct, measured, int((~good).sum()), part, _shares(store, kept), patients)


def _shares(store: AnyStore, rows: NDArray[np.int64]) -> tuple[Share, ...]:
    """What each of several stores has part in; empty where all pairs are drawn equally often."""
    if not isinstance(store, JoinedStore) or set(store.weights) == {1.0}:
        return ()
    pairs = np.bincount(store.part[rows], minlength=len(store.parts))
    for place in np.flatnonzero(pairs == 0):
        raise StoreError(store.parts[place].path, "has no pair to draw, whatever its weight", "leave it out")
    return tuple(map(Share, pairs.tolist(), store.weights))
