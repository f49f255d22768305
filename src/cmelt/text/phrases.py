"""Phrases that reports share: short runs of words, the unit of statement-level alignment.

A report names several findings, and many of the reports that matter here are written without full stops ("sinusrhythmus
überdrehter linkstyp, linksanteriorer hemiblock"). Short runs of words that recur in many reports are findings without a parser.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmelt.text.augment import statements

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix, csr_matrix

_WORD = re.compile(r"[^\s.,;:()\[\]\"]+")

#: What these begin is denied: "no acute st changes" does not hold "acute st changes". English, German.
_DENIALS = frozenset(
    [
        "no",
        "not",
        "without",
        "neither",
        "nor",
        "absent",
        "denies",
        "kein",
        "keine",
        "keinen",
        "keinem",
        "keiner",
        "keines",
        "ohne",
        "nicht",
    ]
)


@dataclass(frozen=True)
class Phrases:
    """The phrases of a set of reports.

    Attributes:
        texts: the P phrases.
        held: [P, R] sparse, 1 where report r holds phrase p.
    """

    texts: tuple[str, ...]
    held: csr_matrix

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def by_report(self) -> csr_matrix:
        """[R, P] the same by report: to look one up costs what it holds, not what all of them hold."""
        return self.held.T.tocsr()

    def in_reports(self, reports: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[B] numbers of reports → [P, B] which phrase each of them holds."""
        return np.asarray(self.by_report[reports].toarray(), dtype=bool).T


def phrases_of(report: str, longest: int = 4) -> list[str]:
    """Every run of up to `longest` words inside a statement of a cleaned report, in order, each once.

    Words after a denial count only together with it: of "sinus rhythm, no st changes" the run "no st changes" is a phrase,
    "st changes" is none.
    """
    found: dict[str, None] = {}
    for statement in statements(report):
        words = _WORD.findall(statement)
        denied = next((place for place, word in enumerate(words) if word in _DENIALS), len(words))
        for first in range(min(denied + 1, len(words))):
            for end in range(first + 1, min(len(words), first + longest) + 1):
                if words[first:end] != words[denied : denied + 1]:  # a bare "no" says nothing
                    found[" ".join(words[first:end])] = None
    return list(found)


def mine_phrases(
    reports: Sequence[str],
    group: NDArray[np.int64],
    patients: NDArray[np.int64] | None = None,
    *,
    longest: int = 4,
    least: int = 8,
    share: float = 0.9,
    most: int = 8192,
) -> Phrases:
    """The phrases that recur in a corpus.

    Args:
        reports: the R distinct cleaned reports.
        group: [n] the report of each of n records: a phrase is counted by records, as repeats are evidence too.
        patients: [n] number of each record's patient: a phrase that one patient's reports alone hold is left out, since it may
            name the patient, and tells nothing of others.
        longest: words of a phrase, at most.
        least, share: a phrase is kept where at least `least` records and at most `share` of them hold it: of fewer
            nothing is learned, of more nothing is told apart.
        most: how many are kept, the most frequent first.
    Returns:
        The phrases; of several that the very same reports hold the longest alone, for it says the most.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counts = np.bincount(group, minlength=len(reports))
    vectorizer = CountVectorizer(analyzer=lambda report: phrases_of(report, longest), binary=True, dtype=np.int32)
    held = vectorizer.fit_transform(reports)  # [R, all phrases]
    texts = np.array(vectorizer.get_feature_names_out(), dtype=object)
    records = np.asarray(held.T @ counts)
    frequent = np.flatnonzero((records >= least) & (records <= share * len(group)))
    columns = held.tocsc()[:, frequent]
    if patients is not None:
        several = _of_several(columns, group, patients)
        frequent, columns = frequent[several], columns[:, several]
    chosen: dict[bytes, int] = {}
    for column in np.argsort([-len(text) for text in texts[frequent]], kind="stable"):
        rows = columns.indices[columns.indptr[column] : columns.indptr[column + 1]]
        chosen.setdefault(np.sort(rows).tobytes(), int(column))
    kept = sorted(chosen.values(), key=lambda column: (-records[frequent[column]], texts[frequent[column]]))[:most]
    return Phrases(tuple(texts[frequent[kept]]), columns[:, kept].T.tocsr())


def _of_several(held: csc_matrix, group: NDArray[np.int64], patients: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[P] whether more than one patient has a phrase: held [R, P], no column empty; group, patients [n]."""
    first, last = np.full(held.shape[0], patients.max(initial=0) + 1), np.full(held.shape[0], -1)
    np.minimum.at(first, group, patients)
    np.maximum.at(last, group, patients)
    begins = held.indptr[:-1]
    return np.asarray(np.minimum.reduceat(first[held.indices], begins) < np.maximum.reduceat(last[held.indices], begins))
