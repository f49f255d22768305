"""The index: written from the shards' rows a stretch at a time, read into a lean table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.records.record import MEASUREMENTS
from cmelt.store.grouping import HELD_BACK, NO_SPLIT, PATIENT, PROTECTED, Claims, Settled
from cmelt.store.layout import synced
from cmelt.store.rows import LISTS, index_schema
from cmelt.store.shard import rows_path

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Rows that are in memory at once while the index is written, and a row group of it.
_ROW_GROUP = 32_768
#: Stands between the texts of a list while lists are compared.
_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class ShardRows:
    """What all shards' rows say that groups are settled by, and what the index needs to know beforehand.

    Attributes:
        shard: [n] the shard of each row, ascending.
        shard_row: [n] its place there.
        seconds: [n] length of the recordings.
        samples: [n] how many of the stored ones are measured.
        measurements: the device's that any record has.
    """

    claims: Claims
    shard: NDArray[np.int64]
    shard_row: NDArray[np.int64]
    seconds: NDArray[np.float64]
    samples: NDArray[np.int64]
    measurements: tuple[str, ...]


def gather_rows(folder: Path, shards: int) -> ShardRows:
    """Read what `ShardRows` holds from the receipts of all `shards`."""
    columns = ("patient", "split", "split_given", "fingerprint", "exact_name", "seconds", "samples", *MEASUREMENTS)
    patients, splits, given, shard, seconds, samples = ([] for _ in range(6))
    signal: list[str] = []
    measured: set[str] = set()
    codes = {name: code for code, name in enumerate(PROTECTED)} | {"": NO_SPLIT}
    for number in range(shards):
        table = _read_rows(folder, number, columns)
        patients.append(np.array(table["patient"].to_pylist(), dtype=PATIENT))
        splits.append(np.array([codes[split] for split in table["split"].to_pylist()], dtype=np.int8))
        given.append(table["split_given"].to_numpy())
        shard.append(np.full(table.num_rows, number))
        seconds.append(table["seconds"].to_numpy())
        samples.append(table["samples"].to_numpy())
        names = zip(table["fingerprint"].to_pylist(), table["exact_name"].to_pylist(), strict=True)
        signal += [fingerprint or f"exactly {name}" for fingerprint, name in names]
        measured |= {name for name in MEASUREMENTS if table[name].null_count < table.num_rows}
    claims = Claims(_joined(patients, PATIENT), _joined(splits, np.int8), _joined(given, np.bool_), signal)
    place = [np.arange(part.size) for part in shard]
    return ShardRows(
        claims, _joined(shard, np.int64), _joined(place, np.int64), _joined(seconds, np.float64), _joined(samples, np.int64),
        tuple(name for name in MEASUREMENTS if name in measured),
    )  # fmt: skip


def write_index(path: Path, folder: Path, rows: ShardRows, settled: Settled) -> None:
    """Write all rows to `path`, in their order; those that are held back without a split, and with a flag that says so."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = index_schema(rows.measurements)
    shards = int(rows.shard[-1]) + 1 if rows.shard.size else 0
    with synced(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for number in range(shards):
            start, stop = np.searchsorted(rows.shard, [number, number + 1])
            table = _settled_rows(_read_rows(folder, number), rows, settled, int(start), int(stop))
            waiting.append(table.select(schema.names))
            if sum(part.num_rows for part in waiting) >= _ROW_GROUP or number == shards - 1:
                group = pa.concat_tables(waiting).combine_chunks()
                writer.write_table(group, row_group_size=max(group.num_rows, 1))
                waiting = []


def read_index(path: Path) -> pd.DataFrame:
    """The index as a table: texts as pandas' arrow-backed strings, lists as Python lists. Rows with equal lists share one."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path, use_threads=False)
    names, lists = table.column_names, {name: _shared_lists(table.column(name)) for name in LISTS}
    kinds = {pa.string(): pd.StringDtype("pyarrow", na_value=np.nan)}
    frame = table.drop_columns(list(LISTS)).to_pandas(types_mapper=kinds.get, self_destruct=True, split_blocks=True)
    for name in LISTS:
        frame.insert(names.index(name), name, lists[name])
    return frame


def _settled_rows(table: pa.Table, rows: ShardRows, settled: Settled, start: int, stop: int) -> pa.Table:
    """The rows of one shard with patient, split and place as they came to be."""
    import pyarrow as pa

    splits = np.array([*PROTECTED, ""], dtype=object)[settled.split[start:stop]]  # NO_SPLIT is the last
    new = {
        "patient": pa.array([name.decode() for name in settled.patient[start:stop].tolist()], pa.string()),
        "split": pa.array(splits, pa.string()),
    }
    for name, column in new.items():
        table = table.set_column(table.column_names.index(name), name, column)
    held_back = settled.held_back[start:stop]
    if held_back.any():
        flags = table["flags"].to_pylist()
        flags = [sorted([*own, HELD_BACK]) if held else own for own, held in zip(flags, held_back.tolist(), strict=True)]
        place = table.column_names.index("flags")
        table = table.set_column(place, "flags", pa.array(flags, table.schema.field(place).type))
    for name, numbers in (("shard", rows.shard), ("shard_row", rows.shard_row)):
        table = table.append_column(name, pa.array(numbers[start:stop], pa.int64()))
    return table


def _read_rows(folder: Path, number: int, columns: Sequence[str] | None = None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = rows_path(folder, number)
    try:
        return pq.read_table(path, columns=None if columns is None else list(columns), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(path, f"cannot be read ({type(error).__name__})", "run it again: finished shards are kept") from error


def _joined(parts: Sequence[NDArray[Any]], kind: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=kind), *parts]).astype(kind, copy=False)


def _shared_lists(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """Each list of the column, made once for all rows that have it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pc.any(pc.match_substring(array.flatten(), _SEPARATOR)).as_py():  # a text that could be taken for two
        shared: dict[tuple[str, ...], list[str]] = {}
        for place, texts in enumerate(lists := array.to_pylist()):
            lists[place] = shared.setdefault(tuple(texts), texts)
        return np.fromiter(lists, dtype=object, count=len(lists))
    codes = pc.binary_join(array, _SEPARATOR).dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False).astype(np.int64)
    # The length tells a list of nothing from a list of one empty text.
    _, first, inverse = np.unique(codes * (int(lengths.max(initial=0)) + 1) + lengths, return_index=True, return_inverse=True)
    distinct = np.empty(first.size, dtype=object)
    for place, texts in enumerate(array.take(pa.array(first)).to_pylist()):
        distinct[place] = texts
    return np.asarray(distinct[inverse])
