"""One shard: an idempotent task from a list of entries to an int16 array, its rows and what was left out."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt import __version__
from cmelt.errors import CMeltError
from cmelt.publishing import sha256
from cmelt.records.leads import lead_name
from cmelt.records.record import LEADS, Record
from cmelt.records.standard import Crop, StandardRecord, standardise
from cmelt.sources.source import Entry, Source
from cmelt.store.layout import MICROVOLTS_PER_STEP, VERSION, canonical_json, write_synced
from cmelt.store.patients import patient_hash, split_of

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
    patient_key: str


@dataclass(frozen=True)
class ShardTask:
    """Shard `number` of a store under construction in `folder`."""

    number: int
    entries: tuple[Entry, ...]
    settings: ShardSettings
    source: Source
    folder: str

    @property
    def shard_path(self) -> Path:
        """The array, inside the store to be."""
        return Path(self.folder) / "store" / "shards" / f"{self.number:05d}.npy"

    @property
    def receipt_path(self) -> Path:
        """Rows, quarantine and hashes, beside the store to be: written last, so that its presence means done."""
        return Path(self.folder) / "receipts" / f"{self.number:05d}.json"

    def fingerprint(self) -> str:
        """Changes with the settings, the entries, or the files behind them."""
        digest = hashlib.sha256(
            canonical_json([VERSION, __version__, asdict(self.settings), self.source.name, dict(self.source.settings)])
        )
        for entry in self.entries:
            digest.update(canonical_json([asdict(entry), self.source.stamp(entry)]))
        return digest.hexdigest()


def is_done(task: ShardTask) -> bool:
    """Whether an earlier run, perhaps killed, has finished this very shard."""
    try:
        receipt = json.loads(task.receipt_path.read_bytes())
        return receipt["fingerprint"] == task.fingerprint() and sha256(task.shard_path) == receipt["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def make_shard(task: ShardTask) -> int:
    """Read, standardise and write the entries of `task`; returns how many records it holds.

    Whatever is wrong with a record is written down, and the others go on.
    """
    fingerprint = task.fingerprint()
    samples = round(task.settings.rate * task.settings.seconds)
    signals = np.zeros((len(task.entries), len(LEADS), samples), dtype=np.int16)
    rows: list[dict[str, Any]] = []
    quarantine: list[dict[str, str]] = []
    for entry in task.entries:
        try:
            record = task.source.read(entry)
            standard = standardise(record, task.settings.rate, task.settings.seconds, crop=task.settings.crop)
        except CMeltError as error:
            quarantine.append({"record": entry.record, "path": entry.place, "reason": error.fault, "remedy": error.remedy})
            continue
        signals[len(rows)], beyond = to_steps(standard)
        rows.append(_row(record, standard, entry, task, beyond))
    content = io.BytesIO()
    np.save(content, signals[: len(rows)], allow_pickle=False)
    task.shard_path.parent.mkdir(parents=True, exist_ok=True)
    task.receipt_path.parent.mkdir(parents=True, exist_ok=True)
    write_synced(task.shard_path, content.getvalue())
    receipt = {
        "fingerprint": fingerprint,
        "sha256": hashlib.sha256(content.getbuffer()).hexdigest(),
        "bytes": len(content.getbuffer()),
        "rows": rows,
        "quarantine": quarantine,
    }
    write_synced(task.receipt_path, canonical_json(receipt))
    return len(rows)


def to_steps(standard: StandardRecord) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """The signal as int16 steps [12, samples], and "beyond-range:LEAD" for each lead that int16 could not hold whole."""
    steps = np.rint(standard.signal * (1000 / MICROVOLTS_PER_STEP))
    beyond = np.abs(steps).max(axis=1) > _STEPS
    flags = tuple(f"beyond-range:{lead}" for lead, out in zip(LEADS, beyond, strict=True) if out)
    return np.clip(steps, -_STEPS, _STEPS).astype(np.int16), flags


def signal_fingerprint(record: Record) -> str:
    """A hash of what was measured, to the microvolt: the same for copies of one signal, at whatever rate a store is made."""
    digest = hashlib.sha256(f"{record.rate:g}".encode())
    for row in sorted(range(len(record.leads)), key=lambda row: lead_name(record.leads[row])):
        microvolts = np.nan_to_num(np.rint(record.signal[row].astype(np.float64) * 1000), nan=2**31 - 1)
        digest.update(lead_name(record.leads[row]).encode() + b"\0" + microvolts.astype("<i4").tobytes())
    return digest.hexdigest()[:32]


def _row(record: Record, standard: StandardRecord, entry: Entry, task: ShardTask, beyond: tuple[str, ...]) -> dict[str, Any]:
    """The index row of one record; no raw patient key gets in."""
    name = task.source.name
    return {
        "record": entry.record,
        "patient": patient_hash(task.settings.patient_key, name, record.patient) if record.patient else "",
        "report": record.report or "",
        "labels": sorted(record.labels),
        "age": record.age,
        "sex": record.sex or "",
        "split": entry.split or (split_of(name, record.patient) if record.patient else ""),
        "split_given": entry.split is not None,
        "missing_leads": list(standard.missing),
        "flags": sorted(standard.flags + beyond),
        "fingerprint": signal_fingerprint(record),
        "source": name,
        "origin": record.origin,
        "seconds": round(record.seconds, 6),
        "source_rate": float(record.rate),
        "samples": standard.samples,
    }
