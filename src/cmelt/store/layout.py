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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmelt.errors import StoreError
from cmelt.publishing import sync

INDEX = "index.parquet"
QUARANTINE = "quarantine.jsonl"
FORMAT = "cmelt-store"
VERSION = 1

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


def write_synced(path: Path, content: bytes) -> None:
    """Write `content` to `path` at once: a reader, or a kill, sees the whole file or none."""
    staged = path.with_name(path.name + ".part")
    try:
        with staged.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StoreError(path, f"cannot be written: {error.strerror}", "make room, or choose another place") from error
