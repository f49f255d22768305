"""Preparing a store: shards in parallel, finished ones kept over a kill, published whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cmelt.errors import StoreError
from cmelt.publishing import MANIFEST, rename, sync
from cmelt.records.record import LEADS
from cmelt.sources.source import Listing, Source
from cmelt.store.layout import FORMAT, MICROVOLTS_PER_STEP, VERSION, manifest_sha256, write_synced
from cmelt.store.patients import patient_hash
from cmelt.store.shard import Finished, ShardSettings, ShardTask
from cmelt.store.staging import Progress, only_one, remove_published, say_sealed, see_finished
from cmelt.store.tables import Tables, write_tables
from cmelt.store.unchanged import check_unchanged
from cmelt.store.workers import run_shards

#: A worker holds the shard it makes: with this its memory stays below 1 GiB.
LARGEST_SHARD = 512 * 2**20


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
    dask: str | None = None,
) -> Prepared:
    """Write a store of everything in `source` at `out`.

    Work goes on in a hidden folder beside `out`; killed and started again it keeps the finished shards. The result is
    the same, byte for byte, whatever `workers` and `dask` are and however often it was interrupted: the source as it was at
    one moment.

    Args:
        workers: processes, of this machine.
        force: replace an existing store, at one instant, once the new one is complete.
        dask: the address of a Dask scheduler whose workers do it instead, or "local" for a cluster of `workers` processes here.

    Raises:
        SourceError: the source is not laid out as it should be.
        StoreError: `out` exists, cannot be written, is being prepared by another process; the source's files or its list
            changed meanwhile; no record can be used; a worker died, or does not see the files.
    """
    target = Path(out).absolute()
    staging = target.with_name(f".{target.name}.preparing")
    remove_published(staging, target)
    _check_target(target, force)
    _check_settings(settings, workers, shard_records)
    listing = source.entries()
    shards = -(-len(listing.entries) // shard_records)
    with only_one(staging):
        _check_target(target, force)  # another preparation may have ended meanwhile
        tasks = partial(_tasks, listing, shard_records, settings, source, staging)
        kept = see_finished(_run(tasks(), min(workers, max(shards, 1)), dask), len(listing.entries), staging, progress)
        since = check_unchanged(source, listing, tasks())
        tables = write_tables(staging, shards, source.name, settings)
        if not tables.records:
            reasons = "; ".join(f"{count} × {reason}" for reason, count in tables.reasons.most_common(3))
            raise StoreError(target, f"none of {len(listing.entries)} records can be used: {reasons}", "correct the source")
        warnings = (*listing.warnings, *tables.warnings)
        sha256 = _write_manifest(staging / "store", tables, source, listing, settings)
        say_sealed(staging, sha256)
        _put_in_place(staging / "store", target)
    counts = (tables.records, tables.quarantined, listing.missing_files)
    return Prepared(str(out), sha256, *counts, dict(tables.reasons.most_common()), shards, kept, (*warnings, *since))


def _tasks(listing: Listing, shard_records: int, settings: ShardSettings, source: Source, staging: Path) -> Iterator[ShardTask]:
    """One task a shard, made when it is asked for: a long listing's entries are never all in memory as objects."""
    for number, start in enumerate(range(0, len(listing.entries), shard_records)):
        yield ShardTask(number, tuple(listing.entries[start : start + shard_records]), settings, source, str(staging))


def _run(tasks: Iterator[ShardTask], workers: int, dask: str | None) -> Iterator[Finished]:
    if dask is None:
        return run_shards(tasks, workers)
    from cmelt.store.cluster import run_on_dask

    return run_on_dask(tasks, dask, workers)


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
    fits = LARGEST_SHARD // (len(LEADS) * settings.samples * 2)  # 7 at least, at the highest rate and length
    if shard_records > fits:
        fault = f"{shard_records} records make shards of more than {LARGEST_SHARD // 2**20} MiB, which every worker holds"
        raise StoreError("--shard-records", fault, f"give at most {fits}")


def _put_in_place(folder: Path, target: Path) -> None:
    try:
        rename(folder, target, replace=True)
    except OSError as error:
        fault = f"the store cannot be put there: {error.strerror}"
        raise StoreError(
            target, fault, "make room, or mend the permissions, and run it again: finished shards are kept"
        ) from error


def _write_manifest(folder: Path, tables: Tables, source: Source, listing: Listing, settings: ShardSettings) -> str:
    """The manifest, over all files of the store to be; returns the store's identity."""
    manifest = tables.facts | _description(source, listing, settings, (*listing.warnings, *tables.warnings))
    manifest["sha256"] = manifest_sha256(manifest)
    write_synced(folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
    _drop_strays(folder, manifest["files"])
    return str(manifest["sha256"])


def _description(source: Source, listing: Listing, settings: ShardSettings, warnings: tuple[str, ...]) -> dict[str, Any]:
    facts = {"missing_files": listing.missing_files, "notes": dict(listing.notes)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": {"name": source.name, "settings": dict(source.settings), **facts},
        "rate": settings.rate,
        "seconds": settings.seconds,
        "samples": settings.samples,
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
