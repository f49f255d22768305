"""From the shards' rows to the index: groups and splits settled, copies across splits left out, in one order always."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from cmelt.store.patients import patient_hash, split_of

#: Which split keeps a signal that several claim: the one that judges goes first.
_PROTECTED = {"test": 0, "validation": 1, "train": 2}

_DUPLICATE = "the same signal as a record of another patient in another split"
_DUPLICATE_REMEDY = "correct the patient column, or leave one of the two out"


def settle_groups(rows: Sequence[dict[str, Any]], source: str, patient_key: str) -> tuple[list[str], list[int]]:
    """Give every row its patient and split, in place. Returns warnings, and the positions of rows to leave out.

    A record without a patient joins the patient whose signal it shares; else its signal is its group, so that copies
    stay together. Where two patients of different splits share a signal, nobody is moved: the copy in the less
    protected split (test before validation before train) is left out. Splits that the source fixes are
    kept as they are, copies included, with a warning.
    """
    copies: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        copies[row["fingerprint"]].append(position)
    left_out: list[int] = []
    across_given = 0
    for fingerprint, positions in copies.items():
        known = [rows[position] for position in positions if rows[position]["patient"]]
        host = min(known, key=lambda row: (_PROTECTED[row["split"]], row["patient"]), default=None)
        for position in positions:
            row = rows[position]
            if not row["patient"]:
                row["patient"] = host["patient"] if host else patient_hash(patient_key, source, f"\0signal {fingerprint}")
            if not row["split"]:
                row["split"] = host["split"] if host else split_of(source, f"\0signal {fingerprint}")
        best = min(_PROTECTED[rows[position]["split"]] for position in positions)
        for position in positions:
            if _PROTECTED[rows[position]["split"]] > best:
                across_given += rows[position]["split_given"]
                if not rows[position]["split_given"]:
                    left_out.append(position)
    warnings = [f"{across_given} records have a copy in another split, as their source splits them"] if across_given else []
    splits: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        splits[row["patient"]].add(row["split"])
    torn = sum(len(found) > 1 for found in splits.values())
    if torn:
        warnings.append(f"{torn} patients have records in several splits, as their source splits them")
    return warnings, sorted(left_out)


def left_out_entry(row: dict[str, Any]) -> dict[str, str]:
    """The quarantine line of a row that `settle_groups` left out."""
    return {"record": row["record"], "path": row["origin"], "reason": _DUPLICATE, "remedy": _DUPLICATE_REMEDY}


def index_bytes(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows as parquet; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, texts, number = pa.string(), pa.list_(pa.string()), pa.float64()
    schema = pa.schema(
        [
            ("record", text), ("patient", text), ("report", text), ("labels", texts), ("age", number), ("sex", text),
            ("split", text), ("missing_leads", texts), ("flags", texts), ("fingerprint", text), ("source", text),
            ("origin", text), ("seconds", number), ("source_rate", number), ("samples", pa.int64()),
            ("shard", pa.int64()), ("shard_row", pa.int64()),
        ]
    )  # fmt: skip
    table = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()
