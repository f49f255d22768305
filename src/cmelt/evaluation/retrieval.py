"""Retrieval both ways: which report belongs to this ECG, and which ECG to this report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cmelt
from cmelt.errors import StoreError
from cmelt.evaluation.comparison import exchange
from cmelt.evaluation.contamination import rows_to_evaluate
from cmelt.evaluation.embedder import Embedder, EvaluationStore, Rows, Vectors, check_aligned, check_fit, patients_of
from cmelt.evaluation.protocol import HELD_OUT, Protocol, Report, embed_both
from cmelt.evaluation.ranks import Ranks, first_hits
from cmelt.evaluation.results import NOT_WRITTEN
from cmelt.evaluation.search import SearchResult, compare_search, rank_arrays

DEPTHS = (1, 5, 10)
#: Of the shuffled control: each is a whole search in both directions.
PERMUTATIONS = 20


@dataclass(frozen=True)
class RetrievalResults:
    """Retrieval among the evaluated records that have a report.

    Attributes:
        store, model, control: SHA-256 of the store and of the weights, the random control with its seed.
        records, patients, distinct_reports: what was searched; `without_report` records could not be asked.
        ecg_to_report: every record's ECG searched among the distinct reports; its own report is the hit.
        report_to_ecg: every record's report searched among all ECGs; each ECG whose report is word for word the same is a hit.
        per_record: arrays over the evaluated records, for paired comparisons: `rows`, `patients`, and for both directions and
            both models the expected rank and the probability of a hit within each k (`rank_arrays`; names begin with
            "ecg_to_report_" or "report_to_ecg_", the control's with "random_" before that).
    """

    store: str
    model: str
    control: str
    splits: tuple[str, ...]
    records: int
    patients: int
    distinct_reports: int
    without_report: int
    ecg_to_report: SearchResult
    report_to_ecg: SearchResult
    bootstrap: int
    seed: int
    version: str
    notes: tuple[str, ...] = ()
    per_record: Mapping[str, NDArray[Any]] = field(default_factory=dict, compare=False, repr=False, metadata=NOT_WRITTEN)

    @property
    def directions(self) -> dict[str, SearchResult]:
        """Both, by how they are called in tables."""
        return {"ECG → report": self.ecg_to_report, "report → ECG": self.report_to_ecg}


@dataclass(frozen=True)
class _Pairs:
    """The evaluated records: rows and patients [N], which of the M distinct reports each has [N], and these reports."""

    rows: Rows
    patients: NDArray[np.int64]
    group: NDArray[np.int64]
    reports: list[str]


def evaluate_retrieval(
    embedder: Embedder,
    control: Embedder,
    store: EvaluationStore,
    protocol: Protocol,
    progress: Report | None = None,
) -> RetrievalResults:
    """Search reports by ECG and ECGs by report; identical reports count as one, equal similarities as in random order.

    Args:
        embedder, control: the model, and the same architecture with random weights.
        protocol: its splits are asked, validation and test where it names none.

    Raises:
        ConfigError: the model has never learned to compare ECGs with texts.
        StoreError: the store does not fit the model, has records that training has seen (unless the protocol leaves them out),
            or fewer than two different reports.
    """
    check_aligned(embedder, "retrieval")
    check_fit(embedder, store)
    chosen = protocol.splits or HELD_OUT
    pairs, notes, without = _pairs(embedder, store, protocol, chosen)
    ecgs = embed_both(embedder, control, store, pairs.rows, progress)
    texts = {word: side.embed_texts(pairs.reports) for word, side in (("model", embedder), ("random", control))}
    ranks = {word: _both_ways(ecgs[word], texts[word], pairs.group) for word in ecgs}
    rng = np.random.default_rng([protocol.seed, 13])
    orders = [exchange(pairs.patients, rng) for _ in range(PERMUTATIONS)]
    shuffled = [_both_ways(ecgs["model"][order], texts["model"], pairs.group) for order in orders]
    results = [
        compare_search(
            ranks["model"][way],
            ranks["random"][way],
            pairs.patients,
            DEPTHS,
            protocol.bootstrap,
            protocol.seed,
            [trial[way] for trial in shuffled],
        )
        for way in (0, 1)
    ]
    return RetrievalResults(
        store=store.sha256,
        model=embedder.identity,
        control=control.identity,
        splits=chosen,
        records=len(pairs.rows),
        patients=len(np.unique(pairs.patients)),
        distinct_reports=len(pairs.reports),
        without_report=without,
        ecg_to_report=results[0],
        report_to_ecg=results[1],
        bootstrap=protocol.bootstrap,
        seed=protocol.seed,
        version=cmelt.__version__,
        notes=notes,
        per_record=_per_record(pairs, ranks),
    )


def _pairs(
    embedder: Embedder, store: EvaluationStore, protocol: Protocol, splits: tuple[str, ...]
) -> tuple[_Pairs, tuple[str, ...], int]:
    """The records to search, notes on them, and how many of the splits' records have no report that says anything."""
    from cmelt.text.cleaning import usable
    from cmelt.text.groups import report_groups

    kept, notes = rows_to_evaluate(store, splits, embedder.seen, protocol.leave_out_known)
    texts = store.index["report"].fillna("").to_numpy(dtype=object)
    reports, group = report_groups(texts[kept].tolist())
    says = np.array([usable(report) for report in reports])[group]
    reports, group = report_groups(texts[kept[says]].tolist())
    if len(reports) < 2:
        raise StoreError("store", f"{len(reports)} different reports among {len(kept)} records", "evaluate records with reports")
    rows = kept[says]
    return _Pairs(rows, patients_of(store.index, rows), group, reports), notes, int((~says).sum())


def _both_ways(ecgs: Vectors, texts: Vectors, group: NDArray[np.int64]) -> tuple[Ranks, Ranks]:
    """ECG → report and report → ECG; ecgs [N, D], texts [M, D], group [N]. Both have one query a record."""
    reports = np.arange(len(texts), dtype=np.int64)
    return first_hits(ecgs, texts, group, reports), first_hits(texts, ecgs, reports, group).take(group)


def _per_record(pairs: _Pairs, ranks: dict[str, tuple[Ranks, Ranks]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"rows": pairs.rows, "patients": pairs.patients}
    for prefix, sides in (("", ranks["model"]), ("random_", ranks["random"])):
        for way, found in zip(("ecg_to_report", "report_to_ecg"), sides, strict=True):
            arrays |= rank_arrays(found, DEPTHS, f"{prefix}{way}_")
    return arrays
