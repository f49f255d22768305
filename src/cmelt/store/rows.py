"""What is known of each record of a shard, in columns: what the receipts keep and the index is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cmelt.records.fingerprint import exact_name, fingerprint
from cmelt.records.record import MEASUREMENTS, Record
from cmelt.records.standard import StandardRecord
from cmelt.sources.source import Entry
from cmelt.store.patients import patient_hash, split_of

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns of the index that hold texts, lists of texts, and numbers; the device's measurements follow, where there are any.
TEXTS = ("record", "patient", "report", "sex", "split", "fingerprint", "source", "origin")
LISTS = ("labels", "missing_leads", "flags")
_BEFORE_MEASUREMENTS = (
    "record", "patient", "report", "labels", "age", "sex", "split", "missing_leads", "flags", "fingerprint", "source",
    "origin", "seconds", "source_rate", "samples",
)  # fmt: skip
_PLACE = ("shard", "shard_row")


def row_of(
    record: Record, standard: StandardRecord, entry: Entry, source: str, patient_key: str, flags: Sequence[str]
) -> dict[str, Any]:
    """One record's row, its place in the shards apart; no raw patient number gets in."""
    known = {name: value for name, value in record.measurements.items() if name in MEASUREMENTS}
    signal = fingerprint(record)
    return {
        "record": entry.record,
        "patient": patient_hash(patient_key, source, record.patient) if record.patient else "",
        "report": record.report or "",
        "labels": sorted(record.labels),
        "age": record.age,
        "sex": record.sex or "",
        "split": entry.split or (split_of(source, record.patient) if record.patient else ""),
        "split_given": entry.split is not None,
        "missing_leads": list(standard.missing),
        "flags": sorted(flags),
        "fingerprint": signal,
        "exact_name": "" if signal else exact_name(record),
        "source": source,
        "origin": record.origin,
        "seconds": round(record.seconds, 6),
        "source_rate": float(record.rate),
        "samples": standard.samples,
    } | known


def row_schema() -> pa.Schema:
    """The columns of a shard's rows: every measurement, whether the source gave the split, and what names a signal that has no
    fingerprint."""
    import pyarrow as pa

    names = (*_BEFORE_MEASUREMENTS, *MEASUREMENTS)
    return pa.schema([*((name, _kind(name)) for name in names), ("split_given", pa.bool_()), ("exact_name", pa.string())])


def index_schema(measurements: Sequence[str]) -> pa.Schema:
    """The columns of the index, with those of the device's `measurements` that any record has."""
    import pyarrow as pa

    measured = tuple(name for name in MEASUREMENTS if name in measurements)
    return pa.schema([(name, _kind(name)) for name in (*_BEFORE_MEASUREMENTS, *measured, *_PLACE)])


def rows_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows as parquet; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=row_schema()), content, compression="zstd")
    return bytes(content.getvalue())


def _kind(name: str) -> pa.DataType:
    import pyarrow as pa

    if name in TEXTS:
        return pa.string()
    if name in LISTS:
        return pa.list_(pa.string())
    return pa.int64() if name in ("samples", *_PLACE) else pa.float64()
