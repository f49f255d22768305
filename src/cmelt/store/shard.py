"""One shard: an idempotent task from a list of entries to an int16 array, its rows and what was left out."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt import __version__
from cmelt.errors import CMeltError, StoreError
from cmelt.publishing import sha256
from cmelt.records.record import LEADS
from cmelt.records.standard import Crop, StandardRecord, standardise
from cmelt.sources.source import Entry, Source
from cmelt.store.layout import MICROVOLTS_PER_STEP, VERSION, canonical_json, write_synced
from cmelt.store.rows import row_of, rows_bytes

_STEPS = 32767


@dataclass(frozen=True)
class ShardSettings:
    """What decides the content of a shard, beside its entries.

    Attributes:
        rate: Hz of the store.
        seconds: length of every record.
        crop: which stretch of a longer record.
        patient_key: key of the patients' hashes.
    """

    rate: float
    seconds: float
    crop: Crop
    patient_key: str = field(repr=False)

    @property
    def samples(self) -> int:
        """Of every record."""
        return round(self.rate * self.seconds)


@dataclass(frozen=True)
class ShardTask:
    """Shard `number` of a store under construction in `folder`."""

    number: int
    entries: tuple[Entry, ...] = field(repr=False)  # a scheduler's log shows what it could not do
    settings: ShardSettings
    source: Source
    folder: str

    def fingerprint(self) -> str:
        """Changes with the settings, the entries, or the files behind them."""
        digest = hashlib.sha256(
            canonical_json([VERSION, __version__, asdict(self.settings), self.source.name, dict(self.source.settings)])
        )
        names = [one.name for one in fields(Entry)]
        for entry in self.entries:
            # Not by asdict, which copies all that it meets, at five times the cost.
            known = {name: getattr(entry, name) for name in names}
            digest.update(canonical_json([known, self.source.stamp(entry)]))
        return digest.hexdigest()


@dataclass(frozen=True)
class Receipt:
    """What a finished shard is: read from the file that was written last, so that its presence means done.

    Attributes:
        fingerprint: of the task.
        sha256, bytes: of the array.
        rows_sha256: of the table of its rows.
        records: how many it holds.
        quarantine: what was left out, each with `record`, `path`, `reason`, `remedy`.
    """

    fingerprint: str
    sha256: str
    bytes: int
    rows_sha256: str
    records: int
    quarantine: list[dict[str, str]]


@dataclass(frozen=True)
class Finished:
    """News of a shard: its number, how many entries it was made of, and whether it lay there already."""

    number: int
    entries: int
    kept: bool


def shard_path(folder: str | Path, number: int) -> Path:
    """The array, inside the store to be."""
    return Path(folder) / "store" / "shards" / f"{number:05d}.npy"


def rows_path(folder: str | Path, number: int) -> Path:
    """What is known of its records, beside the store to be."""
    return Path(folder) / "receipts" / f"{number:05d}.parquet"


def receipt_path(folder: str | Path, number: int) -> Path:
    """The receipt, beside its rows."""
    return Path(folder) / "receipts" / f"{number:05d}.json"


def read_receipt(folder: str | Path, number: int) -> Receipt:
    """The receipt of a finished shard.

    Raises:
        StoreError: it is not there, or altered.
    """
    path = receipt_path(folder, number)
    try:
        return Receipt(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(path, f"cannot be read ({type(error).__name__})", "run it again: finished shards are kept") from error


def finish_shard(task: ShardTask) -> Finished:
    """Make the shard, unless an earlier run, perhaps killed, has finished this very one.

    The hashes of what lies there are taken here and not in the main process, so that many workers share them.
    """
    known_as = task.fingerprint()
    kept = _is_done(task, known_as)
    if not kept:
        from threadpoolctl import threadpool_limits

        # One thread a worker: products as small as these gain nothing from more, and workers would fight over the cores.
        with threadpool_limits(1):
            _make_shard(task, known_as)
    return Finished(task.number, len(task.entries), kept)


def _is_done(task: ShardTask, known_as: str) -> bool:
    try:
        receipt = read_receipt(task.folder, task.number)
        if receipt.fingerprint != known_as or sha256(rows_path(task.folder, task.number)) != receipt.rows_sha256:
            return False
        return sha256(shard_path(task.folder, task.number)) == receipt.sha256
    except (OSError, StoreError):
        return False


def _make_shard(task: ShardTask, known_as: str) -> None:
    """Read, standardise and write the entries of `task`. Whatever is wrong with a record is written down; the others go on."""
    signals = np.zeros((len(task.entries), len(LEADS), task.settings.samples), dtype=np.int16)
    rows: list[dict[str, Any]] = []
    quarantine: list[dict[str, str]] = []
    for entry in task.entries:
        try:
            signals[len(rows)], row = _prepared(task, entry)
        except CMeltError as error:
            quarantine.append(_left_out(entry, error.fault, error.remedy))
        except MemoryError:
            raise
        except Exception as error:  # whatever a library makes of a broken file: one of a million must not end the work
            quarantine.append(_left_out(entry, f"its reader failed ({type(error).__name__})", "leave it out, and report it"))
        else:
            rows.append(row)
    if quarantine and task.fingerprint() != known_as:
        fault = "files changed, or went away, while they were read"
        raise StoreError(task.source.name, fault, "see that the source is there, then run it again: finished shards are kept")
    array, table = _npy(signals[: len(rows)]), rows_bytes(rows)
    digest = hashlib.sha256(array[0])
    digest.update(array[1])
    write_synced(shard_path(task.folder, task.number), *array)
    write_synced(rows_path(task.folder, task.number), table)
    size = sum(len(piece) for piece in array)
    receipt = Receipt(known_as, digest.hexdigest(), size, hashlib.sha256(table).hexdigest(), len(rows), quarantine)
    write_synced(receipt_path(task.folder, task.number), canonical_json(asdict(receipt)))


def _left_out(entry: Entry, reason: str, remedy: str) -> dict[str, str]:
    """A quarantine line."""
    place = entry.place if entry.origin is None else entry.origin
    return {"record": entry.record, "path": place, "reason": reason, "remedy": remedy}


def _prepared(task: ShardTask, entry: Entry) -> tuple[NDArray[np.int16], dict[str, Any]]:
    """The signal of `entry` as steps [12, samples], and its row."""
    record = task.source.read(entry)
    standard = standardise(record, task.settings.rate, task.settings.seconds, crop=task.settings.crop)
    steps, beyond = to_steps(standard)
    return steps, row_of(record, standard, entry, task.source.name, task.settings.patient_key, standard.flags + beyond)


def _npy(array: NDArray[np.int16]) -> tuple[bytes, memoryview]:
    """The two parts of a .npy file, without copying the array."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue(), array.reshape(-1).view(np.uint8).data


def to_steps(standard: StandardRecord) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """The signal as int16 steps [12, samples], and "beyond-range:LEAD" for each lead that int16 could not hold whole."""
    steps = standard.signal * np.float32(1000 / MICROVOLTS_PER_STEP)
    np.rint(steps, out=steps)
    if steps.min() >= -_STEPS and steps.max() <= _STEPS:
        return steps.astype(np.int16), ()
    beyond = np.abs(steps).max(axis=1) > _STEPS
    flags = tuple(f"beyond-range:{lead}" for lead, out in zip(LEADS, beyond, strict=True) if out)
    return np.clip(steps, -_STEPS, _STEPS).astype(np.int16), flags
