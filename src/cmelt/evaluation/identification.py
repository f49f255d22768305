"""Is it the same heart? Records of patients with several: one is known, the others are to be told to belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cmelt
from cmelt.errors import StoreError
from cmelt.evaluation.contamination import copies_of, rows_to_evaluate
from cmelt.evaluation.embedder import Embedder, EvaluationStore, Rows, check_fit
from cmelt.evaluation.protocol import HELD_OUT, Protocol, Report, embed_both
from cmelt.evaluation.ranks import Ranks, first_hits
from cmelt.evaluation.results import NOT_WRITTEN
from cmelt.evaluation.search import SearchResult, compare_search, rank_arrays

DEPTHS = (1, 5)


@dataclass(frozen=True)
class IdentificationResults:
    """Patient identification.

    Attributes:
        store, model, control: SHA-256 of the store and of the weights, the random control with its seed.
        patients: those with two records or more, one gallery record each; `probes` are their other records.
        copies: records that were left out because they are the gallery's signal once more.
        accuracy: the probes searched in the gallery by cosine; `within` holds top-1 and top-5 accuracy.
        per_record: arrays over the probes, for paired comparisons: `rows`, `patients`, and for both models the expected rank and
            the probability of a hit within each k (`rank_arrays`; the control's begin with "random_").
    """

    store: str
    model: str
    control: str
    splits: tuple[str, ...]
    patients: int
    probes: int
    copies: int
    accuracy: SearchResult
    bootstrap: int
    seed: int
    version: str
    notes: tuple[str, ...] = ()
    per_record: Mapping[str, NDArray[Any]] = field(default_factory=dict, compare=False, repr=False, metadata=NOT_WRITTEN)


@dataclass(frozen=True)
class _Lineup:
    """Gallery rows [P], probe rows [Q], and the place in the gallery of each probe's patient [Q]."""

    gallery: Rows
    probes: Rows
    patients: NDArray[np.int64]
    copies: int


def evaluate_identification(
    embedder: Embedder,
    control: Embedder,
    store: EvaluationStore,
    protocol: Protocol,
    progress: Report | None = None,
) -> IdentificationResults:
    """Find the patient of each probe by the nearest record of the gallery.

    No label and no text is used, so any split may be asked, the training split too where the model has not been trained on it:
    what it has seen is refused, or left out where the protocol says so.

    Args:
        embedder, control: the model, and the same architecture with random weights.
        protocol: its splits are asked, validation and test where it names none.

    Raises:
        StoreError: the store does not fit the model, has records that training has seen, or fewer than two patients with two
            records.
    """
    check_fit(embedder, store)
    chosen = protocol.splits or HELD_OUT
    kept, notes = rows_to_evaluate(store, chosen, embedder.seen, protocol.leave_out_known)
    if "train" in chosen and not embedder.seen:
        notes += ("the model has no list of what it was trained on: whether it knows these records cannot be told",)
    lineup = _lineup(store, kept)
    needed = np.union1d(lineup.gallery, lineup.probes)
    ranks: dict[str, Ranks] = {}
    for word, vectors in embed_both(embedder, control, store, needed, progress).items():
        gallery, probes = (vectors[np.searchsorted(needed, rows)] for rows in (lineup.gallery, lineup.probes))
        ranks[word] = first_hits(probes, gallery, lineup.patients, np.arange(len(gallery), dtype=np.int64))
    return IdentificationResults(
        store=store.sha256,
        model=embedder.identity,
        control=control.identity,
        splits=chosen,
        patients=len(lineup.gallery),
        probes=len(lineup.probes),
        copies=lineup.copies,
        accuracy=compare_search(ranks["model"], ranks["random"], lineup.patients, DEPTHS, protocol.bootstrap, protocol.seed),
        bootstrap=protocol.bootstrap,
        seed=protocol.seed,
        version=cmelt.__version__,
        notes=notes,
        per_record={"rows": lineup.probes, "patients": lineup.patients}
        | rank_arrays(ranks["model"], DEPTHS)
        | rank_arrays(ranks["random"], DEPTHS, "random_"),
    )


def _lineup(store: EvaluationStore, rows: Rows) -> _Lineup:
    """The first record of each patient in the store's order is the gallery's, as one who comes again is compared with before.

    A probe with the signal of a gallery record is the same tracing filed twice, which any model would find.
    """
    names = store.index["patient"].fillna("").to_numpy(dtype=object)
    first: dict[str, int] = {}
    later: dict[int, int] = {}
    for row in rows.tolist():
        if names[row] and first.setdefault(names[row], row) != row:
            later[row] = first[names[row]]
    gallery, probes = np.array(sorted(set(later.values())), dtype=np.int64), np.array(list(later), dtype=np.int64)
    copied = copies_of(store, gallery, store, probes)
    probes = np.setdiff1d(probes, copied)
    gallery = np.unique(np.array([later[row] for row in probes.tolist()], dtype=np.int64))
    if len(gallery) < 2:
        fault = f"{len(gallery)} patients with two different records among {len(rows)}"
        raise StoreError("store", fault, "evaluate more splits, or a store with patients who came again")
    places = np.searchsorted(gallery, [later[row] for row in probes.tolist()])
    return _Lineup(gallery, probes, places.astype(np.int64), len(copied))
