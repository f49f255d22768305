"""Random archives with every trouble of patients and copies, prepared by the real code and held against an obvious reference.

A corpus is drawn: patients with many records, records without a patient, exact copies under other names and of other patients,
splits that the source gives for all, some or none. What the code makes of it is a store; the reference knows nothing of
fingerprints, hashes or columns: it goes through the rows with sets, and reads the signals as bytes from the shards.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from cmelt.records.record import LEADS, Record
from cmelt.sources.about import About
from cmelt.sources.source import SPLITS, Entry, Listing
from cmelt.store import AnyStore, ShardSettings, Store
from cmelt.store.patients import split_of
from ecg_files import heart, write_wfdb

SETTINGS = ShardSettings(100.0, 10.0, "first", "cmelt")
#: Seconds and leads of a signal; the last three are too little for a fingerprint.
KINDS = ((10.0, LEADS), (10.0, LEADS), (7.0, LEADS), (10.0, ("I", "II", "V1")), (3.0, LEADS), (1.5, LEADS), (10.0, ("I",)))


@dataclass(frozen=True)
class Row:
    """One record: whose it is ("" where nobody knows), which of the signals it has, and the split that the source gives or ""."""

    record: str
    patient: str
    signal: int
    given: str = ""


@dataclass(frozen=True)
class Corpus:
    """A source of such records, which reads them out of the air."""

    rows: tuple[Row, ...]
    name: str = "corpus"
    rate: float = 100.0
    about: ClassVar[About] = About(title="Drawn", licence="computed here", access="computed")

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def entries(self) -> Listing:
        return Listing(tuple(Entry(row.record, str(row.signal), row.given or None, row.patient or None) for row in self.rows))

    def read(self, entry: Entry) -> Record:
        signal, leads = signal_of(int(entry.place))
        return Record(signal, self.rate, leads, entry.record, patient=entry.patient, origin=entry.place)

    def stamp(self, entry: Entry) -> str:
        return ""


@lru_cache(maxsize=400)
def signal_of(number: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Signal `number` in mV, [leads, samples] at 100 Hz, and its leads."""
    seconds, leads = KINDS[number % len(KINDS)]
    return heart(number, seconds=seconds)[[LEADS.index(lead) for lead in leads]], leads


def has_fingerprint(signal: int) -> bool:
    """Whether there is enough of it."""
    return signal % len(KINDS) < 4


def draw(rng: np.random.Generator, name: str = "corpus", records: int = 60, signals: Sequence[int] | None = None) -> Corpus:
    """An archive of up to so many records, of these signals where some are named."""
    count = int(rng.choice([1, 2, int(rng.integers(3, 12)), int(rng.integers(10, records + 1))]))
    distinct = max(1, round(count * rng.choice([0.05, 0.5, 0.8, 1.0])))
    pool = np.array(signals) if signals is not None else rng.choice(300, distinct, replace=False)
    people = max(1, round(count * rng.choice([0.02, 0.3, 0.7])))
    nameless, fixed = rng.choice([0.0, 0.2, 0.6, 1.0]), rng.choice([0.0, 0.0, 0.3, 1.0])
    by_patient, shares = bool(rng.integers(2)), rng.dirichlet([1.0, 0.5, 0.5])
    folds = [str(rng.choice(SPLITS, p=shares)) for _ in range(people)]
    rows = []
    for number in rng.permutation(10 * count)[:count].tolist():  # names in no order
        person = int(people * rng.random() ** 2)  # few have many
        given = folds[person] if by_patient else str(rng.choice(SPLITS, p=shares))
        patient = "" if rng.random() < nameless else f"p{person}"
        rows.append(Row(f"r{number}", patient, int(rng.choice(pool)), given if rng.random() < fixed else ""))
    return Corpus(tuple(rows), name)


def write_files(corpus: Corpus, folder: Path) -> tuple[Path, Path]:
    """The same as an archive of WFDB files with a table, for the command; returns both places."""
    for row in corpus.rows:
        signal, leads = signal_of(row.signal)
        write_wfdb(folder / "tree" / row.record, signal, leads=leads)
    lines = [f"{row.record},{row.patient},{row.given}" for row in corpus.rows]
    (folder / "table.csv").write_text("\n".join(["record,patient,split", *lines]) + "\n")
    return folder / "tree", folder / "table.csv"


def faults_of(corpus: Corpus, store: Store, source: str = "corpus") -> list[str]:
    """What is wrong with a store of the corpus, by sets of rows alone; [] where nothing is."""
    index = store.index
    if index["record"].tolist() != [row.record for row in corpus.rows]:
        return ["the store does not hold the records in their order"]
    came = list(zip(corpus.rows, index["split"].tolist(), index["patient"].tolist(), strict=True))
    faults = [f"{row.record} was given {row.given} and is in {split!r}" for row, split, _ in came if row.given not in ("", split)]
    faults += _torn("signal", [(row.signal, row.given, split) for row, split, _ in came])
    faults += _torn("patient", [(row.patient, row.given, split) for row, split, _ in came if row.patient])
    faults += _torn("stored patient", [(patient, row.given, split) for row, split, patient in came])
    faults += _torn("stored signal", list(zip(digests(store), (row.given for row in corpus.rows), index["split"], strict=True)))
    return faults + _misnamed(came) + _moved(came, source)


def _torn(what: str, rows: Iterable[tuple[object, str, str]]) -> list[str]:
    """Things that are in two splits, unless the source alone, by the splits that it gives, has put them there."""
    splits, given = defaultdict(set), defaultdict(set)
    for name, fixed, split in rows:
        splits[name] |= {split} - {""}
        given[name] |= {fixed} - {""}
    return [f"{what} {name} is in {sorted(found)}" for name, found in splits.items() if len(found) > 1 and found != given[name]]


def _misnamed(came: Sequence[tuple[Row, str, str]]) -> list[str]:
    """One name a patient, and no other's; copies that nobody claims have one name; every signal is in some split."""
    names, owners, alone, kept = defaultdict(set), defaultdict(set), defaultdict(set), defaultdict(set)
    claimed = {row.signal for row, _, _ in came if row.patient}
    for row, split, patient in came:
        if row.patient:
            names[row.patient].add(patient)
            owners[patient].add(row.patient)
        elif row.signal not in claimed:
            alone[row.signal].add(patient)
        kept[row.signal].add(split)
    faults = [f"patient {name} has {len(found)} names" for name, found in (names | alone).items() if len(found) > 1]
    faults += [f"{len(found)} patients have one name" for found in owners.values() if len(found) > 1]
    return faults + [f"signal {name} is in no split at all" for name, found in kept.items() if found == {""}]


def _moved(came: Sequence[tuple[Row, str, str]], source: str) -> list[str]:
    """Who is neither where the patient's hash says nor held back for a copy elsewhere, though no split of theirs is given."""
    fixed = {name for row, _, patient in came if row.given for name in (row.patient, patient)}
    splits = defaultdict(set)
    for row, split, _ in came:
        splits[row.signal] |= {split} - {""}
    faults = []
    for row, split, patient in came:
        own = split_of(source, row.patient) if row.patient and not {row.patient, patient} & fixed else split
        if split != own and (split or not splits[row.signal] - {own}):
            faults.append(f"{row.record} of {row.patient} was moved to {split!r} from {own}")
    return faults


def digests(store: AnyStore) -> list[str]:
    """A hash of the stored signal of each row, as it lies in its shard."""
    return [hashlib.sha256(store.signals([row])[0].tobytes()).hexdigest() for row in range(len(store))]


def faults_between(stores: Sequence[Store], joined: AnyStore) -> list[str]:
    """What is wrong with several stores as one: a signal in two splits that no single store has in both; records lost."""
    own = [set(zip(_named(store), store.index["split"], strict=True)) for store in stores]
    splits = defaultdict(set)
    for name, split in zip(_named(joined), joined.index["split"], strict=True):
        splits[name] |= {split} - {""}
    faults = []
    for name, found in splits.items():
        within = [{split for other, split in rows if other == name} for rows in own]
        if name and len(found) > 1 and not any(found <= one for one in within):
            faults.append(f"a signal is in {sorted(found)} of the stores together")
    lost = set().union(*(set(_named(store)) for store in stores)) - set(_named(joined))
    return faults + ([f"{len(lost)} signals are in none"] if lost else [])


def _named(store: AnyStore) -> list[str]:
    """Signals with a fingerprint; "" for those without, which stores are not compared by."""
    return [digest if print_ else "" for digest, print_ in zip(digests(store), store.index["fingerprint"].tolist(), strict=True)]
