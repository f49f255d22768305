"""Preparing a store: shards in parallel, finished ones kept over a kill, published whole or not at all."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmelt.errors import StoreError
from cmelt.publishing import MANIFEST, rename, sha256, sync
from cmelt.records.record import LEADS
from cmelt.sources.source import Listing, Source
from cmelt.store.index import index_bytes, left_out_entry, settle_groups
from cmelt.store.layout import (
    FORMAT,
    INDEX,
    MICROVOLTS_PER_STEP,
    QUARANTINE,
    VERSION,
    canonical_json,
    manifest_sha256,
    shard_file,
    write_synced,
)
from cmelt.store.patients import patient_hash
from cmelt.store.shard import ShardSettings, ShardTask, is_done
from cmelt.store.workers import run_shards

#: Called with (records done, records in all) after each shard.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """What came of a preparation.

    Attributes:
        path: the store.
        sha256: its identity.
        records, quarantined, missing_files: counts.
        reasons: how many records were left out, by reason.
        shards_kept: shards that an earlier, interrupted run had finished.
        warnings: what to look at.
    """

    path: str
    sha256: str
    records: int
    quarantined: int
    missing_files: int
    reasons: dict[str, int]
    shards: int
    shards_kept: int
    warnings: tuple[str, ...]


def prepare_store(
    source: Source,
    out: str | Path,
    settings: ShardSettings,
    *,
    workers: int = 1,
    shard_records: int = 512,
    force: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Write a store of everything in `source` at `out`.

    Work goes on in a hidden folder beside `out`; killed and started again it keeps the finished shards. The result is
    the same, byte for byte, whatever the number of workers and however often it was interrupted.

    Raises:
        StoreError: `out` exists (without `force`), is no store, or another preparation is writing it.
        SourceError: the source's tables are not as expected, or nothing of it can be used.
    """
    target = Path(out).absolute()
    _check_target(target, force)
    _check_settings(settings, workers, shard_records)
    listing = source.entries()
    staging = target.with_name(f".{target.name}.preparing")
    with _only_one(staging):
        tasks = [
            ShardTask(number, tuple(listing.entries[start : start + shard_records]), settings, source, str(staging))
            for number, start in enumerate(range(0, len(listing.entries), shard_records))
        ]
        kept = [task for task in tasks if is_done(task)]
        _run(tasks, kept, workers, progress)
        receipts = [json.loads(task.receipt_path.read_bytes()) for task in tasks]
        rows, quarantine, warnings = _settle(receipts, source.name, settings.patient_key)
        if not rows:
            reasons = "; ".join(
                f"{count} × {reason}" for reason, count in Counter(q["reason"] for q in quarantine).most_common(3)
            )
            raise StoreError(target, f"none of {len(listing.entries)} records can be used: {reasons}", "correct the source")
        manifest = _write_tables(staging / "store", rows, quarantine, receipts)
        warnings = [*listing.warnings, *warnings]
        manifest |= _description(source, listing, settings, warnings)
        manifest["sha256"] = manifest_sha256(manifest)
        write_synced(staging / "store" / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
        _drop_strays(staging / "store", manifest["files"])
        rename(staging / "store", target, replace=True)
    reasons_count = dict(Counter(line["reason"] for line in quarantine).most_common())
    counts = (len(rows), len(quarantine), listing.missing_files)
    return Prepared(str(out), manifest["sha256"], *counts, reasons_count, len(tasks), len(kept), tuple(warnings))


def _check_target(target: Path, force: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not force:
        raise StoreError(target, "exists already", "give another --out, or --force to replace it once the new one is complete")
    if not (target / MANIFEST).exists():
        raise StoreError(target, "is not a store, so it will not be replaced", "give another --out")


def _check_settings(settings: ShardSettings, workers: int, shard_records: int) -> None:
    checks = (("rate", 20 <= settings.rate <= 5000), ("seconds", 1 <= settings.seconds <= 600))
    for name, holds in (*checks, ("workers", workers >= 1), ("shard-records", 1 <= shard_records <= 100_000)):
        if not holds:
            raise StoreError(
                f"--{name}", "is out of range", "rates 20 to 5000 Hz, 1 to 600 s, at least one worker, 1 to 100,000 a shard"
            )


@contextmanager
def _only_one(staging: Path) -> Iterator[None]:
    """Hold the staging folder for this process alone, and remove it when the work is published."""
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(staging.parent, f"cannot be written: {error.strerror}", "choose another place") from error
    with (staging / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(staging, "another preparation is writing this store", "wait for it, or end it") from error
        yield
        shutil.rmtree(staging)


def _run(tasks: Sequence[ShardTask], kept: Sequence[ShardTask], workers: int, progress: Progress | None) -> None:
    total = sum(len(task.entries) for task in tasks)
    done = sum(len(task.entries) for task in kept)
    finished = {task.number for task in kept}
    if progress:
        progress(done, total)
    for task in run_shards([task for task in tasks if task.number not in finished], workers):
        done += len(task.entries)
        if progress:
            progress(done, total)


def _settle(
    receipts: Sequence[dict[str, Any]], source: str, patient_key: str
) -> tuple[list[dict[str, Any]], list[dict[str, str]], list[str]]:
    """All rows with their place in the shards, groups settled; the quarantine; warnings."""
    rows = [
        row | {"shard": number, "shard_row": position}
        for number, receipt in enumerate(receipts)
        for position, row in enumerate(receipt["rows"])
    ]
    quarantine = [line for receipt in receipts for line in receipt["quarantine"]]
    warnings, left_out = settle_groups(rows, source, patient_key)
    quarantine += [left_out_entry(rows[position]) for position in left_out]
    out = set(left_out)
    return [row for position, row in enumerate(rows) if position not in out], quarantine, warnings


def _write_tables(
    folder: Path, rows: Sequence[dict[str, Any]], quarantine: Sequence[dict[str, str]], receipts: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Index and quarantine beside the shards; returns the manifest's account of all files."""
    write_synced(folder / INDEX, index_bytes(rows))
    write_synced(folder / QUARANTINE, b"".join(canonical_json(line) + b"\n" for line in quarantine))
    files = {
        shard_file(number): {"bytes": receipt["bytes"], "sha256": receipt["sha256"], "records": len(receipt["rows"])}
        for number, receipt in enumerate(receipts)
    }
    for name in (INDEX, QUARANTINE):
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    splits = Counter(row["split"] for row in rows)
    return {
        "records": len(rows),
        "patients": len({row["patient"] for row in rows}),
        "splits": {split: splits[split] for split in ("train", "validation", "test")},
        "quarantined": len(quarantine),
        "files": files,
    }


def _description(source: Source, listing: Listing, settings: ShardSettings, warnings: Sequence[str]) -> dict[str, Any]:
    facts = {"missing_files": listing.missing_files, "notes": dict(listing.notes)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": {"name": source.name, "settings": dict(source.settings), **facts},
        "rate": settings.rate,
        "seconds": settings.seconds,
        "samples": round(settings.rate * settings.seconds),
        "crop": settings.crop,
        "leads": list(LEADS),
        "microvolts_per_step": MICROVOLTS_PER_STEP,
        # Tells stores hashed with one key from others, without giving it away.
        "patient_key_check": patient_hash(settings.patient_key, "cmelt", "key check"),
        "warnings": list(warnings),
    }


def _drop_strays(folder: Path, files: dict[str, Any]) -> None:
    """Remove what an interrupted run with other settings may have left among the shards."""
    for path in (folder / "shards").iterdir():
        if f"shards/{path.name}" not in files:
            path.unlink()
    sync(folder / "shards")
