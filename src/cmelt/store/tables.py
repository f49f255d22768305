"""From finished shards to index and quarantine: copies found and confirmed, groups settled, everything a stretch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmelt.publishing import sha256
from cmelt.store.copies import copy_groups
from cmelt.store.grouping import PROTECTED, Settled, doubtful_rows, settle_groups
from cmelt.store.index import ShardRows, gather_rows, write_index
from cmelt.store.layout import INDEX, QUARANTINE, canonical_json, shard_file, synced
from cmelt.store.same_signal import Steps, beginnings, confirm_groups
from cmelt.store.shard import ShardSettings, read_receipt, shard_path

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Tables:
    """What came of all shards together.

    Attributes:
        records, quarantined: counts.
        reasons: how many records were left out, by reason.
        warnings: what to look at.
        facts: counts and files, for the manifest.
    """

    records: int
    quarantined: int
    reasons: Counter[str]
    warnings: tuple[str, ...]
    facts: dict[str, Any]


def write_tables(staging: Path, shards: int, source: str, settings: ShardSettings) -> Tables:
    """Write index and quarantine of the store to be in `staging`, whose shards 0 … `shards` − 1 are finished."""
    rows = gather_rows(staging, shards)
    groups = copy_groups(rows.claims.signal)
    signal_of = StagedSignals(staging, rows)
    begin = beginnings(rows.seconds, settings.rate, settings.samples, settings.crop)
    groups = confirm_groups(groups, doubtful_rows(rows.claims, groups), signal_of, begin, settings.rate)
    settled = settle_groups(rows.claims, groups, source, settings.patient_key)
    store = staging / "store"
    write_index(store / INDEX, staging, rows, settled)
    reasons = _write_quarantine(store / QUARANTINE, _quarantined(staging, shards))
    facts = _counts(settled) | {"quarantined": reasons.total(), "files": _files(staging, shards)}
    return Tables(facts["records"], reasons.total(), reasons, settled.warnings, facts)


class StagedSignals:
    """The measured part [leads, samples] of a row's signal, read from its shard when it is asked for."""

    def __init__(self, staging: Path, rows: ShardRows) -> None:
        self._staging, self._rows = staging, rows

    def __call__(self, row: int) -> Steps:
        shard = np.load(shard_path(self._staging, int(self._rows.shard[row])), mmap_mode="r", allow_pickle=False)
        return np.array(shard[self._rows.shard_row[row], :, : self._rows.samples[row]])


def _quarantined(staging: Path, shards: int) -> Iterator[dict[str, str]]:
    for number in range(shards):
        yield from read_receipt(staging, number).quarantine


def _write_quarantine(path: Path, lines: Iterator[dict[str, str]]) -> Counter[str]:
    reasons: Counter[str] = Counter()
    with synced(path) as stream:
        for line in lines:
            stream.write(canonical_json(line) + b"\n")
            reasons[line["reason"]] += 1
    return reasons


def _counts(settled: Settled) -> dict[str, Any]:
    splits = {name: int((settled.split == PROTECTED.index(name)).sum()) for name in _SPLITS}
    counts = {"records": int(settled.split.size), "patients": int(np.unique(settled.patient).size)}
    return counts | {"splits": splits, "held_back": int(settled.held_back.sum())}


def _files(staging: Path, shards: int) -> dict[str, Any]:
    """Size and SHA-256 of every file of the store to be."""
    files: dict[str, Any] = {}
    for number in range(shards):
        receipt = read_receipt(staging, number)
        files[shard_file(number)] = {"bytes": receipt.bytes, "sha256": receipt.sha256, "records": receipt.records}
    for name in (INDEX, QUARANTINE):
        path = staging / "store" / name
        files[name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    return files
