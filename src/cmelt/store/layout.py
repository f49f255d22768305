"""What a store looks like on disk, and how one of its files is written so that it is never half there.

STORE/manifest.json      settings, counts, SHA-256 of every other file; written last
STORE/index.parquet      one row a record
STORE/quarantine.jsonl   what was left out, why, and what to do about it
STORE/shards/00000.npy   int16 [records, 12, samples], in steps of `microvolts_per_step`
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from cmelt.errors import StoreError
from cmelt.publishing import sync

INDEX = "index.parquet"
QUARANTINE = "quarantine.jsonl"
FORMAT = "cmelt-store"
#: How the names of half-written files end.
DRAFT = ".part"
#: 2: measurements, and fingerprints that survive resampling and rescaling.
VERSION = 2

#: PTB-XL resolves 1 µV, MIMIC-IV-ECG 4.88: 1 µV loses nothing, and int16 then reaches ±32.767 mV, six times the tallest R wave.
MICROVOLTS_PER_STEP = 1.0


def shard_file(number: int) -> str:
    """The path of shard `number` below the store."""
    return f"shards/{number:05d}.npy"


def canonical_json(value: Any) -> bytes:
    """One spelling for one value: what hashes are taken of."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def manifest_sha256(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the manifest without its own field `sha256`: the identity of the store."""
    return hashlib.sha256(canonical_json({key: value for key, value in manifest.items() if key != "sha256"})).hexdigest()


def write_synced(path: Path, *content: bytes | memoryview) -> None:
    """Write the pieces of `content` to `path` at once: a reader, or a kill, sees the whole file or none."""
    with synced(path) as stream:
        for piece in content:
            stream.write(piece)


@contextmanager
def synced(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content is `path` when the block ends well, and nothing when it does not.

    The draft's name is one of its own: on a cluster a worker taken for dead may still be writing the same file.

    Raises:
        StoreError: the disk is full, or the place cannot be written.
    """
    staged = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{DRAFT}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(path)
        sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        raise StoreError(path, f"cannot be written: {error.strerror or error}", "make room, or choose another place") from error
