"""Which phrases a batch's ECGs are asked for (statement-level alignment)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.batches.corpus import Corpus
from cmelt.config.settings import PhraseSettings
from cmelt.errors import CheckpointError, StoreError
from cmelt.publishing import published, verify
from cmelt.text.phrases import Phrases, mine_phrases

TEXTS, HELD, HOME = "texts.json", "held.npz", "home.npy"


@dataclass(frozen=True)
class PhraseBook:
    """The phrases of a corpus.

    Attributes:
        phrases: the P phrases, and which of the distinct reports hold each.
        home: [P] the store whose reports a phrase was found in. Archives word the same finding differently, so that another
            archive's report says nothing by not holding it.
    """

    phrases: Phrases
    home: NDArray[np.int64]

    def ask(
        self, groups: NDArray[np.int64], stores: NDArray[np.int64], drawn: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Up to `drawn` phrases, evenly drawn among those that at least one record of the batch has and one has not.

        Args:
            groups, stores: [B] number of each record's report, and the store it is of.
        Returns:
            Numbers of the K phrases, held [B, K] and counted [B, K] (False where record and phrase are of different stores).
        """
        reports = self.phrases.by_report[groups]
        record, phrase = np.repeat(np.arange(len(groups)), np.diff(reports.indptr)), reports.indices
        own = self.home[phrase] == stores[record]
        holders = np.bincount(phrase[own], minlength=len(self.home))
        told = (holders > 0) & (holders < np.bincount(stores, minlength=int(self.home.max()) + 1)[self.home])
        chosen = rng.permutation(np.flatnonzero(told) if told.any() else np.arange(len(told)))[:drawn]
        column = np.full(len(self.home), -1)
        column[chosen] = np.arange(len(chosen))
        asked = column[phrase] >= 0
        held = np.zeros((len(groups), len(chosen)), dtype=bool)
        held[record[asked], column[phrase[asked]]] = True
        return chosen, held, stores[:, None] == self.home[chosen]


def phrase_book(corpus: Corpus, settings: PhraseSettings) -> PhraseBook:
    """Mine the phrases of each store's own reports. Raises StoreError where no phrase recurs often enough."""
    from scipy.sparse import vstack

    found, home = [], []
    patients = np.unique(np.array(corpus.patients), return_inverse=True)[1] if corpus.patients else None
    for store in np.unique(corpus.store):
        mined = mine_phrases(
            corpus.distinct,
            corpus.group[corpus.store == store],
            None if patients is None else patients[corpus.store == store],
            longest=settings.longest,
            least=settings.least,
            share=settings.share,
            most=settings.most,
        )
        found.append(mined)
        home += [int(store)] * len(mined)
    texts = tuple(text for mined in found for text in mined.texts)
    if not texts:
        fault = f"no phrase occurs in {settings.least} records or more"
        raise StoreError("reports", fault, "lower objectives.phrase.least, or set objectives.phrases to 0")
    return PhraseBook(Phrases(texts, vstack([mined.held for mined in found], format="csr")), np.array(home))


def save_phrases(book: PhraseBook, folder: Path) -> None:
    """Publish the phrases as a folder."""
    from scipy.sparse import save_npz

    with published(folder) as staging:
        (staging / TEXTS).write_text(json.dumps(book.phrases.texts, ensure_ascii=False, indent=0), encoding="utf-8")
        save_npz(staging / HELD, book.phrases.held)
        np.save(staging / HOME, book.home, allow_pickle=False)


def load_phrases(folder: Path) -> PhraseBook:
    """Read what `save_phrases` wrote. Raises CheckpointError for an altered folder, or one that holds something else."""
    from scipy.sparse import load_npz

    verify(folder, CheckpointError)
    texts = tuple(json.loads((folder / TEXTS).read_text(encoding="utf-8")))
    try:
        held, home = load_npz(folder / HELD).tocsr(), np.load(folder / HOME, allow_pickle=False)
    except ValueError as error:
        raise CheckpointError(folder, f"{HELD} or {HOME} holds no numbers", "delete the folder; they are mined anew") from error
    return PhraseBook(Phrases(texts, held), home)
