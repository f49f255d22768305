"""Reading a prepared store: verified when opened, then by memory map."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmelt.errors import StoreError
from cmelt.publishing import MANIFEST, sha256
from cmelt.sources.source import SPLITS
from cmelt.store.index import read_index
from cmelt.store.layout import FORMAT, INDEX, QUARANTINE, VERSION, manifest_sha256, shard_file
from cmelt.store.patients import people_of

if TYPE_CHECKING:
    import pandas as pd

Verify = Literal["sizes", "full"]

_REMEDY = "the store is altered or incomplete: prepare it again"
#: What a manifest must say of its store, and as what; hashes tell damage, not a manifest that was written wrongly.
_FACTS: dict[str, type | tuple[type, ...]] = {
    "records": int, "source": dict, "rate": (int, float), "samples": int, "crop": str, "leads": list,
    "microvolts_per_step": (int, float), "patient_key_check": str,
}  # fmt: skip


@dataclass(frozen=True)
class StoredRecord:
    """One row of a store. `signal` [12, samples] float32 mV; the rest as in the index."""

    signal: NDArray[np.float32]
    rate: float
    record: str
    patient: str
    report: str
    labels: tuple[str, ...]
    split: str
    missing_leads: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """A prepared dataset. Rows are numbered as in `index`.

    Attributes:
        path: its folder.
        manifest: what `manifest.json` says.
    """

    path: Path
    manifest: dict[str, Any]
    _shards: dict[int, NDArray[np.int16]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def rate(self) -> float:
        """Hz."""
        return float(self.manifest["rate"])

    @property
    def leads(self) -> tuple[str, ...]:
        """The names of the 12 rows of every signal."""
        return tuple(self.manifest["leads"])

    @property
    def samples(self) -> int:
        """Samples of every record."""
        return int(self.manifest["samples"])

    @property
    def microvolts_per_step(self) -> float:
        """What one step of the int16 signals is worth."""
        return float(self.manifest["microvolts_per_step"])

    @property
    def sha256(self) -> str:
        """The identity of the store: the same for the same content."""
        return str(self.manifest["sha256"])

    def __len__(self) -> int:
        return int(self.manifest["records"])

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row a record, its columns as docs/prepare.md says; texts lie in arrow, rows with equal lists share one list."""
        try:
            table = read_index(self.path / INDEX)
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(self.path / INDEX, f"cannot be read ({type(error).__name__})", _REMEDY) from error
        if len(table) != len(self):
            raise StoreError(self.path / INDEX, f"{len(table)} rows where the manifest says {len(self)}", _REMEDY)
        return table

    @cached_property
    def quarantine(self) -> tuple[dict[str, str], ...]:
        """What was left out, with `record`, `path`, `reason`, `remedy`."""
        lines = (self.path / QUARANTINE).read_text(encoding="utf-8").splitlines()
        return tuple(json.loads(line) for line in lines)

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Shard and row within it, for each row of the index."""
        return self.index["shard"].to_numpy(np.int64), self.index["shard_row"].to_numpy(np.int64)

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """The rows of these splits, in order; of all splits where none is named."""
        return rows_of(self.index, splits)

    def people(self, rows: ArrayLike) -> list[str]:
        """The patients of `rows` [n], by names that they have in every store of one patient key and source; "" where unknown."""
        patients = self.index["patient"].iloc[checked_rows(rows, len(self), self.path)]
        return people_of(str(self.manifest["patient_key_check"]), patients.tolist())

    def signals(self, rows: ArrayLike, out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
        """The signals of `rows` [n] as int16 steps, [n, 12, samples]; into `out`, where one is given, which costs no memory."""
        return self.stretches(rows, 0, self.samples, out)

    def stretches(
        self, rows: ArrayLike, begin: ArrayLike, samples: int, out: NDArray[np.int16] | None = None
    ) -> NDArray[np.int16]:
        """As `signals`, but of each record only `samples` samples from `begin` [n] (or one for all) on; no others are read.

        What lies outside a record is zero: from -50 on, a record is shown 50 samples later than it is.
        """
        wanted = checked_rows(rows, len(self), self.path)
        found = received(out, (wanted.size, len(self.leads), samples))
        self.fill(found, np.arange(wanted.size), wanted, np.broadcast_to(np.asarray(begin, dtype=np.int64), wanted.shape))
        return found

    def fill(
        self, found: NDArray[np.int16], positions: NDArray[np.int64], rows: NDArray[np.int64], begin: NDArray[np.int64]
    ) -> None:
        """Put the stretches of `rows` [n] from `begin` [n] on at `positions` [n] of `found`, in the order of the disk.

        One record at a time, which is as fast as copying memory; numpy's fancy indices take half as long again.
        """
        shards, places = (column[rows] for column in self._places)
        turns = np.lexsort((places, shards))
        columns = (positions[turns], shards[turns], places[turns], begin[turns])
        width = found.shape[2]
        for position, shard, place, first in zip(*(column.tolist() for column in columns), strict=True):
            record = self.shard(shard)[place]
            if 0 <= first <= record.shape[1] - width:
                found[position] = record[:, first : first + width]
            else:
                low, high = min(max(first, 0), record.shape[1]), min(max(first + width, 0), record.shape[1])
                found[position] = 0
                found[position, :, low - first : high - first] = record[:, low:high]

    def millivolts(self, rows: ArrayLike) -> NDArray[np.float32]:
        """The signals of `rows` [n] in millivolts, float32 [n, 12, samples]."""
        return self.signals(rows).astype(np.float32) * np.float32(self.microvolts_per_step / 1000)

    def record(self, row: int) -> StoredRecord:
        """One record with what the index says of it."""
        facts = self.index.iloc[int(checked_rows([row], len(self), self.path)[0])]
        return StoredRecord(
            signal=self.millivolts([row])[0],
            rate=self.rate,
            record=str(facts["record"]),
            patient=str(facts["patient"]),
            report=str(facts["report"]),
            labels=tuple(facts["labels"]),
            split=str(facts["split"]),
            missing_leads=tuple(facts["missing_leads"]),
            flags=tuple(facts["flags"]),
        )

    def shard(self, number: int) -> NDArray[np.int16]:
        """The signals of one shard, int16 steps [n, 12, samples], mapped into memory from the disk. Raises StoreError."""
        if number not in self._shards:
            path = self.path / shard_file(number)
            try:
                shard = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise StoreError(path, f"cannot be read ({type(error).__name__})", _REMEDY) from error
            shape = (self.manifest["files"][shard_file(number)]["records"], len(self.leads), self.samples)
            if shard.dtype != np.int16 or shard.shape != shape:
                raise StoreError(path, f"holds {shard.dtype} {shard.shape} where int16 {shape} belongs", _REMEDY)
            self._shards[number] = np.asarray(shard)  # the map itself makes every record it hands out a map, at twice the cost
        return self._shards[number]


def rows_of(index: pd.DataFrame, splits: tuple[str, ...]) -> NDArray[np.int64]:
    """The rows of these splits, in order; of all splits where none is named. Raises StoreError for another name."""
    for split in splits:
        if split not in SPLITS:
            raise StoreError(split, "is not a split", f"choose of {', '.join(SPLITS)}")
    if not splits:
        return np.arange(len(index), dtype=np.int64)
    return np.flatnonzero(index["split"].isin(splits).to_numpy()).astype(np.int64)


def checked_rows(rows: ArrayLike, count: int, where: str | Path) -> NDArray[np.int64]:
    """`rows` as int64 [n]. Raises StoreError for one that is not among `count`."""
    wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
    if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
        wrong = int(wanted.min()) if wanted.min() < 0 else int(wanted.max())
        raise StoreError(where, f"row {wrong} of {count}", "rows count from 0")
    return wanted


def received(out: NDArray[np.int16] | None, shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """`out`, which must be int16 of this shape; a new array where there is none. Raises StoreError."""
    if out is None:
        return np.empty(shape, dtype=np.int16)
    if out.dtype != np.int16 or out.shape != shape:
        raise StoreError("out", f"is {out.dtype} {out.shape}", f"give int16 {shape}")
    return out


def open_store(path: str | Path, verify: Verify = "sizes") -> Store:
    """Open the store at `path`.

    Args:
        verify: "sizes" checks that the manifest is whole and every file has its size; "full" hashes every file too.

    Raises:
        StoreError: no store there, another version, or a file that is missing, truncated or altered; it is named.
    """
    folder = Path(path)
    manifest = _read_manifest(folder)
    for name, facts in manifest["files"].items():
        file = folder / name
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise StoreError(folder / MANIFEST, "names a file outside its folder", _REMEDY)
        if not file.is_file():
            raise StoreError(file, "is missing", _REMEDY)
        if file.stat().st_size != facts["bytes"]:
            raise StoreError(file, f"has {file.stat().st_size} bytes where the manifest says {facts['bytes']}", _REMEDY)
        if verify == "full" and sha256(file) != facts["sha256"]:
            raise StoreError(file, "does not match its SHA-256", _REMEDY)
    return Store(folder, manifest)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(folder, "is not a prepared store: it has no manifest.json", "make one with `cmelt prepare`") from error
    except ValueError as error:
        raise StoreError(path, "is not JSON", _REMEDY) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(path, "is not the manifest of a store", "make one with `cmelt prepare`")
    if manifest.get("version") != VERSION:
        raise StoreError(path, f"store version {manifest.get('version')}, this program reads {VERSION}", "prepare it again")
    if manifest.get("sha256") != manifest_sha256(manifest):
        raise StoreError(path, "does not match its own SHA-256", _REMEDY)
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(
        isinstance(facts, dict) and {"bytes", "sha256"} <= facts.keys() for facts in files.values()
    ):
        raise StoreError(path, "does not say which files the store has", _REMEDY)
    unsaid = [name for name, kind in _FACTS.items() if not isinstance(manifest.get(name), kind)]
    if unsaid:
        raise StoreError(path, f"does not say, or not rightly, its {', '.join(unsaid)}", _REMEDY)
    return manifest
