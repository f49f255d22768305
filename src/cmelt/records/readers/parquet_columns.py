"""The columns of a parquet table that may be leads or times, checked against what its metadata announce before any is read.

Runs in the child process of `apart`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers.limits import LARGEST_FILE, refuse_size
from cmelt.records.readers.stated import KNOWN_NAMES, plain
from cmelt.records.readers.table_columns import kind_of

_MOST_COLUMNS = 1000
_ROWS_AT_ONCE = 65_536


def columns(path: Path, announce: Callable[[int], None]) -> dict[str, Any]:
    """Headings, units, facts and arrays of the table at `path`: the columns called after leads, times or a signal.

    `announce` is told how many bytes they have before they are read.

    Raises:
        RecordError: none such, more than an ECG holds, or columns that are not numbers.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    pa.set_memory_pool(pa.system_memory_pool())  # the others reserve more address space than the process may have
    where = str(path)
    if path.stat().st_size > LARGEST_FILE:
        raise RecordError(where, f"is larger than {LARGEST_FILE >> 20} MiB", "an ECG of this format is smaller: check what it is")
    with pq.ParquetFile(path, memory_map=False) as file:
        if file.metadata.num_columns > _MOST_COLUMNS:
            raise RecordError(where, f"has more than {_MOST_COLUMNS} columns", "write one column a lead")
        schema = file.schema_arrow
        chosen = [entry for entry in schema if kind_of(entry.name)]
        if not chosen:
            raise RecordError(where, "has no columns of leads", "name the columns I, II, …, V6 and time (s)")
        if any(not (pa.types.is_integer(entry.type) or pa.types.is_floating(entry.type)) for entry in chosen):
            raise RecordError(where, "has columns of leads that are not numbers", "write a row a sample, a number a cell")
        refuse_size(len(chosen), file.metadata.num_rows, where)
        size = len(chosen) * file.metadata.num_rows * 8
        if size > LARGEST_FILE:
            raise RecordError(where, "holds more rows than an ECG has samples", "cut the record, or give it as WFDB or EDF")
        _refuse_unpacked(file.metadata, {entry.name for entry in chosen}, where)
        announce(size)
        arrays = _read(file, [entry.name for entry in chosen], where)
        facts = {**_texts(schema.metadata)}
        units = [
            next((text for name, text in _texts(entry.metadata).items() if plain(name) in ("unit", "units")), None)
            for entry in chosen
        ]
    return {"headings": [entry.name for entry in chosen], "units": units, "facts": facts, "arrays": arrays}


def _read(file: Any, names: list[str], where: str) -> list[np.ndarray[Any, Any]]:
    """The named columns, batch by batch, so that a page that holds more rows than announced is noticed."""
    announced = file.metadata.num_rows
    arrays = [np.empty(announced, dtype=np.float64) for _ in names]
    place = 0
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names, use_threads=False):
        if place + batch.num_rows > announced:
            raise RecordError(where, "holds more rows than it announces", "write it again")
        for name, numbers in zip(names, arrays, strict=True):
            numbers[place : place + batch.num_rows] = batch.column(name).to_numpy(zero_copy_only=False)
        place += batch.num_rows
    if place != announced:
        raise RecordError(where, "holds fewer rows than it announces", "it is damaged: write it again")
    return arrays


def _refuse_unpacked(metadata: Any, names: set[str], where: str) -> None:
    size = 0
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            size += column.total_uncompressed_size if column.path_in_schema in names else 0
    if not 0 <= size <= LARGEST_FILE + (1 << 20):  # what is beside the values takes room, too
        raise RecordError(where, f"unpacks to more than {LARGEST_FILE >> 20} MiB", "no ECG does: check where it comes from")


def _texts(metadata: Any) -> dict[str, str]:
    """Known entries of a schema's or a column's metadata."""
    named = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in (metadata or {}).items()}
    return {name: text for name, text in named.items() if plain(name) in KNOWN_NAMES and len(text) < 65_536}
