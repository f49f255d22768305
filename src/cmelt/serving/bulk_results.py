"""Results of a whole archive on disk: one parquet file, or a folder with one a shard; sealed, and never half there.

OUT/manifest.json        model, archive, precision, what was asked, SHA-256 of every other file; written last
OUT/shards/00000.parquet a row a record: `record`, then `vector` or a column a class and more (`bulk_tables.py`)
OUT/quarantine.jsonl     what could not be read, why, and what to do about it
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt.errors import StoreError
from cmelt.publishing import MANIFEST, rename, seal, verify
from cmelt.serving.bulk_tasks import Receipt, read_receipt, result_path
from cmelt.store.layout import QUARANTINE, canonical_json, synced, write_synced

if TYPE_CHECKING:
    import pyarrow as pa

#: Under this key a parquet file's metadata, and a folder's manifest, say what the results are of.
ABOUT = "cmelt"


@dataclass(frozen=True)
class Results:
    """What came of it.

    Attributes:
        path: the file or folder.
        records, quarantined: counts.
        reasons: how many records were left out, by reason.
        shards, shards_kept: how many there are, and how many of them an earlier run had finished.
        calibrated: the classes that have probabilities beside their scores.
    """

    path: str
    records: int
    quarantined: int
    reasons: dict[str, int]
    shards: int
    shards_kept: int
    calibrated: tuple[str, ...] = ()


def staging_of(target: Path) -> Path:
    """The hidden folder beside `target` in which the work goes on."""
    return target.with_name(f".{target.name}.embedding")


def kept_results(target: Path, said: dict[str, Any], *, unchanging: bool, force: bool) -> Results | None:
    """The very results that are asked for, where they lie there already; None where the work is to be done.

    Args:
        unchanging: whether the archive's description says all of its content; a folder's does not.
        force: whether whatever lies there gives way.
    Raises:
        StoreError: something else lies there.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return None
    about = _about(target)
    if about is None:
        raise StoreError(target, "exists, and holds no results of this command", "give another --out")
    if force:
        return None
    if not unchanging or {key: about.get(key) for key in said} != said:
        raise StoreError(target, "exists already", "give another --out, or --force to replace it once the new one is complete")
    shards = int(about["shards"])
    counts = about["records"], about["quarantined"], about["reasons"], shards, shards
    return Results(str(target), *counts, calibrated=tuple(said.get("calibrated", ())))


def publish(staging: Path, target: Path, said: dict[str, Any], shards: int, kept: int) -> Results:
    """Put the finished shards at `target`, with what they are."""
    receipts = [read_receipt(staging, number) for number in range(shards)]
    left_out = [line for receipt in receipts for line in receipt.quarantine]
    reasons = dict(Counter(line["reason"] for line in left_out).most_common())
    records = sum(one.records for one in receipts)
    if not records:
        told = "; ".join(f"{count} × {reason}" for reason, count in list(reasons.items())[:3])
        raise StoreError(target, f"none of {len(left_out)} records can be read: {told}", "correct the archive")
    about = {**said, "records": records, "quarantined": len(left_out), "reasons": reasons, "shards": shards}
    lines = b"".join(canonical_json(line) + b"\n" for line in left_out)
    if target.suffix == ".parquet":
        _publish_file(staging, target, about, receipts, lines)
    else:
        _publish_folder(staging / "result", target, about, shards, lines)
    return Results(str(target), records, len(left_out), reasons, shards, kept, tuple(said.get("calibrated", ())))


def _publish_folder(result: Path, target: Path, about: dict[str, Any], shards: int, left_out: bytes) -> None:
    known = {f"{number:05d}.parquet" for number in range(shards)}
    for stray in (path for path in (result / "shards").iterdir() if path.name not in known):
        stray.unlink()
    write_synced(result / QUARANTINE, left_out)
    seal(result, {ABOUT: about})
    rename(result, target, replace=True)


def _publish_file(staging: Path, target: Path, about: dict[str, Any], receipts: list[Receipt], left_out: bytes) -> None:
    """All shards in one file; what was left out, where anything was, in a file beside it."""
    import pyarrow.parquet as pq

    beside = target.with_suffix(f".{QUARANTINE}")
    if left_out:
        write_synced(beside, left_out)
    else:
        beside.unlink(missing_ok=True)
    tables = _tables(staging, len(receipts))
    first = next(tables)
    schema = first.schema.with_metadata({ABOUT: canonical_json(about).decode()})
    with synced(target) as stream, pq.ParquetWriter(stream, schema, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _tables(staging: Path, shards: int) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    for number in range(shards):
        yield pq.read_table(result_path(staging, number))


def _about(target: Path) -> dict[str, Any] | None:
    """What the results at `target` are of; None where they are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if target.is_dir():
            about: dict[str, Any] = verify(target, StoreError)[ABOUT] if (target / MANIFEST).exists() else {}
        else:
            about = json.loads(pq.read_schema(target).metadata[ABOUT.encode()])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid):
        return None
    return about or None
