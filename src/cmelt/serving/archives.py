"""What is embedded in bulk: a prepared store, shard by shard, or a folder of ECG files of any format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import CMeltError, RecordError, SourceError, StoreError
from cmelt.publishing import MANIFEST, sha256
from cmelt.records.readers import ReadOptions
from cmelt.sources.folder import Folder
from cmelt.sources.source import Entry
from cmelt.sources.tables import file_stamp
from cmelt.store.layout import FORMAT, canonical_json, shard_file
from cmelt.store.opened import Store, open_store

if TYPE_CHECKING:
    from cmelt.serving.processor import CMeltProcessor, Facts

#: Records that are in memory at once, and go through the model together.
RECORDS_AT_ONCE = 16


@dataclass(frozen=True)
class Chunk:
    """Some records as a model takes them.

    Attributes:
        records: n names.
        ecg: [w, L, T] float32 millivolts: the windows of all of them, leads in the order of the model's channels.
        owner: [w] which record each window is of.
        facts: what there is to say of each record.
        left_out: those that could not be read, each with `record`, `path`, `reason`, `remedy`.
    """

    records: tuple[str, ...]
    ecg: NDArray[np.float32]
    owner: NDArray[np.int64]
    facts: tuple[Facts, ...]
    left_out: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Shards:
    """The entries of each shard, made when they are asked for: a long listing's are never all in memory. `records` in all."""

    count: int
    records: int
    parts: Iterator[Sequence[Any]]


class Archive(Protocol):
    """ECGs in shards. It can be pickled: workers read through their own copy."""

    @property
    def says_facts(self) -> bool:
        """Whether results without probabilities say them, too, since nothing else does: an index has those of a store."""

    def description(self) -> dict[str, Any]:
        """What tells it from other archives; no paths of this machine."""

    def shards(self) -> Shards:
        """The entries of each shard."""

    def stamp(self, entry: Any) -> str:
        """Changes when the files behind `entry` do."""

    def fingerprint(self, entries: Sequence[Any]) -> str:
        """Changes with the content of these entries."""

    def chunks(self, number: int, entries: Sequence[Any], processor: CMeltProcessor) -> Iterator[Chunk]:
        """The records of a shard, in order, some at a time."""


@dataclass(frozen=True)
class StoreArchive:
    """A store: a shard of results for each of its own; entries are names of records."""

    path: str
    sha256: str
    says_facts: bool = False

    def description(self) -> dict[str, Any]:
        """The store's identity."""
        return {"kind": "store", "sha256": self.sha256}

    def shards(self) -> Shards:
        """The records' names by shard, in the order in which they lie there."""
        index = open_store(self.path).index
        number, names = index["shard"].to_numpy(np.int64), index["record"]
        order = np.lexsort((index["shard_row"].to_numpy(np.int64), number))
        parts = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
        return Shards(len(parts), len(order), (tuple(names.iloc[rows].tolist()) for rows in parts))

    def stamp(self, _entry: str) -> str:
        """Of the store's manifest, whatever the entry."""
        return file_stamp(Path(self.path) / MANIFEST)

    def fingerprint(self, entries: Sequence[str]) -> str:
        """The store's identity, and which of its records."""
        return hashlib.sha256(canonical_json([self.sha256, *entries])).hexdigest()

    def chunks(self, number: int, entries: Sequence[str], processor: CMeltProcessor) -> Iterator[Chunk]:
        """The records of a shard, whose hash is checked before. Raises StoreError for an altered one, or another store."""
        from cmelt.model.lead_order import in_model_order

        store = _opened(self.path)
        if store.sha256 != self.sha256:
            raise StoreError(self.path, "is not the store that this began with", "begin anew, with another --out")
        path = store.path / shard_file(number)
        if sha256(path) != store.manifest["files"][shard_file(number)]["sha256"]:
            raise StoreError(path, "does not match its SHA-256", "the store is altered: prepare it again")
        shard = store.shard(number)
        if len(shard) != len(entries):
            raise StoreError(path, f"{len(shard)} signals of {len(entries)} records", "the store is altered: prepare it again")
        facts = _facts_of(store, number, entries)
        for first in range(0, len(entries), RECORDS_AT_ONCE):
            some = slice(first, first + RECORDS_AT_ONCE)
            ecg = shard[some].astype(np.float32) * np.float32(store.microvolts_per_step / 1000)
            ecg = in_model_order(ecg, processor.settings.ecg)
            yield Chunk(tuple(entries[some]), ecg, np.arange(len(ecg)), facts[some])


@dataclass(frozen=True)
class FolderArchive:
    """A tree of ECG files, so many records a shard; entries are as its source lists them."""

    source: Folder
    shard_records: int
    says_facts: bool = True

    def description(self) -> dict[str, Any]:
        """A name for the place, and what was said of its files."""
        place = hashlib.sha256(self.source.folder.encode()).hexdigest()[:16]
        return {"kind": "folder", "place": place, "settings": dict(self.source.settings), "shard_records": self.shard_records}

    def shards(self) -> Shards:
        """Stretches of the listing. Raises SourceError where there is no ECG."""
        entries = self.source.entries().entries
        firsts = range(0, len(entries), self.shard_records)
        return Shards(len(firsts), len(entries), (tuple(entries[first : first + self.shard_records]) for first in firsts))

    def stamp(self, entry: Entry) -> str:
        """Of the entry's files."""
        return self.source.stamp(entry)

    def fingerprint(self, entries: Sequence[Entry]) -> str:
        """Changes with the entries, or the files behind them."""
        return hashlib.sha256(canonical_json([[one.record, one.place, self.stamp(one)] for one in entries])).hexdigest()

    def chunks(self, _number: int, entries: Sequence[Entry], processor: CMeltProcessor) -> Iterator[Chunk]:
        """The records of a shard; what cannot be read is written down, the others go on."""
        for first in range(0, len(entries), RECORDS_AT_ONCE):
            yield self._read(entries[first : first + RECORDS_AT_ONCE], processor)

    def _read(self, entries: Sequence[Entry], processor: CMeltProcessor) -> Chunk:
        read, left_out = [], []
        for entry in entries:
            try:
                read.append((entry.record, processor.record(self.source.read(entry))))
            except CMeltError as error:
                left_out.append(_left_out(entry, error.fault, error.remedy))
            except MemoryError:
                raise
            except Exception as error:  # whatever a library makes of a broken file: one of a million must not end the work
                left_out.append(_left_out(entry, f"its reader failed ({type(error).__name__})", "leave it out, and report it"))
        ecg = [one.ecg for _, one in read]
        settings = processor.settings.ecg
        none = np.zeros((0, settings.leads, settings.samples), np.float32)
        owner = np.repeat(np.arange(len(ecg)), [len(one) for one in ecg])
        names, facts = tuple(name for name, _ in read), tuple(one.facts for _, one in read)
        return Chunk(names, np.concatenate([none, *ecg]), owner, facts, tuple(left_out))


def archive_at(path: str | Path, reading: ReadOptions, shard_records: int) -> Archive:
    """The archive that lies there: a store, or any other folder.

    Raises StoreError for a damaged store, SourceError for what is no folder.
    """
    place = Path(path).absolute()
    if not place.is_dir():
        raise SourceError(place, "is no folder", "give a prepared store, or a folder of ECG files")
    if _is_store(place):
        return StoreArchive(str(place), open_store(place).sha256)
    if not 1 <= shard_records <= 100_000:
        raise RecordError("shard-records", f"{shard_records} is out of range", "1 to 100,000 records a shard")
    folder = Folder(str(place), file_rate=reading.rate, file_unit=reading.unit, file_leads=reading.leads)
    return FolderArchive(folder, shard_records)


def _is_store(place: Path) -> bool:
    try:
        return bool(json.loads((place / MANIFEST).read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _facts_of(store: Store, number: int, entries: Sequence[str]) -> tuple[Facts, ...]:
    """What was found of the records of a shard when they were prepared, as recorded: the stored samples say less."""
    from cmelt.serving.processor import Facts

    index = store.index
    rows = np.flatnonzero(index["shard"].to_numpy(np.int64) == number)
    rows = rows[np.argsort(index["shard_row"].to_numpy(np.int64)[rows])]
    missing, flags = (index[name].to_numpy()[rows] for name in ("missing_leads", "flags"))
    return tuple(Facts(name, 1, 0, tuple(none), tuple(wrong)) for name, none, wrong in zip(entries, missing, flags, strict=True))


@lru_cache(maxsize=1)
def _opened(path: str) -> Store:
    return open_store(path)


def _left_out(entry: Entry, reason: str, remedy: str) -> dict[str, str]:
    return {"record": entry.record, "path": entry.place, "reason": reason, "remedy": remedy}
