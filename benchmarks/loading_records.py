"""Made-up pairs for `loading.py`: noise with reports of a few findings, as a store; and the same records as files, one each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cmelt.records.record import LEADS, Record
from cmelt.sources.about import About
from cmelt.sources.source import Entry, Listing

if TYPE_CHECKING:
    from cmelt.batches.assemble import Batches
    from cmelt.config import Recipe
    from cmelt.store import Store

SECONDS = 10.0

FINDINGS = (
    "sinus rhythm", "sinus bradycardia", "atrial fibrillation with rapid ventricular response", "left axis deviation",
    "left bundle branch block", "incomplete right bundle branch block", "first degree av block", "left ventricular hypertrophy",
    "non-specific st depression in v5 and v6", "t wave inversion in i, avl", "inferior myocardial infarction, age undetermined",
    "prolonged qt interval", "low voltage in the limb leads", "ventricular premature complexes", "early repolarisation",
    "abnormal r wave progression", "normal ecg", "borderline ecg", "poor quality tracing", "left atrial enlargement",
)  # fmt: skip


@dataclass(frozen=True)
class Noise:
    """`records` records of noise at `rate` Hz, each with three to seven findings for a report."""

    records: int
    rate: float
    name: str = "noise"
    about: ClassVar[About] = About(title="Noise", licence="computed here", access="computed")

    @property
    def settings(self) -> Mapping[str, str]:
        """How many, and at what rate."""
        return {"records": str(self.records), "rate": f"{self.rate:g}"}

    def entries(self) -> Listing:
        """All of them, in train."""
        return Listing(tuple(Entry(str(n), str(n), "train", report=_report(n)) for n in range(self.records)))

    def read(self, entry: Entry) -> Record:
        """A record that follows from its number."""
        rng = np.random.default_rng(int(entry.place))
        signal = rng.standard_normal((12, round(self.rate * SECONDS)), dtype=np.float32)
        return Record(signal, self.rate, LEADS, entry.record, report=entry.report or "", origin=entry.place)

    def stamp(self, entry: Entry) -> str:  # noqa: ARG002 (nothing lies on disk)
        """Nothing changes."""
        return ""


def _report(number: int) -> str:
    rng = np.random.default_rng([number, 1])
    return ". ".join(FINDINGS[place] for place in rng.permutation(len(FINDINGS))[: rng.integers(3, 8)])


def store_of(folder: Path, records: int, rate: float) -> Store:
    """A prepared store of noise."""
    from cmelt.store import ShardSettings, open_store, prepare_store

    prepare_store(Noise(records, rate), folder, ShardSettings(rate, SECONDS, "first", "key"), workers=2)
    return open_store(folder)


def batches_of(store: Store, recipe: Recipe) -> Batches:
    """What training makes its batches with; negatives are drawn evenly, as the table costs the same to look up in."""
    from cmelt.batches.assemble import Batches
    from cmelt.batches.corpus import corpus_of
    from cmelt.batches.phrases import phrase_book
    from cmelt.negatives import NegativeTable
    from cmelt.text import train_tokenizer

    corpus = corpus_of(store)
    drawn = np.random.default_rng(0).integers(0, len(corpus.distinct), (len(corpus.distinct), 64)).astype(np.int32)
    table = NegativeTable(drawn, "random", None, 0) if recipe.objectives.weights.keys() & {"etm", "ets"} else None
    book = phrase_book(corpus, recipe.objectives.phrase) if recipe.objectives.phrases else None
    return Batches(store, corpus, train_tokenizer(corpus.distinct, 2000), table, recipe, phrases=book)


def write_mat(folder: Path, store: Store, count: int) -> list[Path]:
    """Records in the layout that the authors' release trains from: one MATLAB file each, float32, with its report."""
    from scipy.io import savemat

    folder.mkdir()
    paths = [folder / f"{row}.mat" for row in range(count)]
    for row, path in enumerate(paths):
        report = str(store.index["report"].iloc[row])
        savemat(path, {"feats": store.millivolts([row])[0], "curr_sample_rate": int(store.rate), "text": report})
    return paths


def write_wfdb(folder: Path, store: Store, count: int) -> list[Path]:
    """Records as WFDB, format 16, as the archives publish them. Raises ImportError where the wfdb package is not installed."""
    import wfdb

    folder.mkdir()
    for row in range(count):
        signal = store.millivolts([row])[0].T.astype(np.float64)
        wfdb.wrsamp(
            str(row), fs=store.rate, units=["mV"] * 12, sig_name=list(store.leads), p_signal=signal, fmt=["16"] * 12,
            write_dir=str(folder),
        )  # fmt: skip
    return [folder / str(row) for row in range(count)]
