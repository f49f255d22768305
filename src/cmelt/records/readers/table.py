"""Tables with one column a lead: text (CSV, TSV, semicolons, spaces) and parquet.

Rate and unit come from the table itself (a time column, units in the headings, lines such as "# rate: 500") or from the caller.
Text has no mark of its own, so this reader is asked last and takes only what has a column of a lead or of times, or bare numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.readers.apart import contents_apart
from cmelt.records.readers.bare_arrays import record_from
from cmelt.records.readers.limits import read_whole
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.readers.stated import as_names, facts_of, unit_name
from cmelt.records.readers.table_columns import Columns, choose_columns, rate_of_times
from cmelt.records.readers.table_text import find_layout, parse_rows
from cmelt.records.record import Record

NAME = "table"

_PARQUET = b"PAR1"
_HEAD = 4096


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (the content says it)
    """Parquet by its magic; text by a heading of leads or times above numbers, or by bare numbers in columns."""
    if head.startswith(_PARQUET):
        return True
    return find_layout(head[: head.rfind(b"\n") + 1] if len(head) >= _HEAD else head) is not None


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the table at `path`.

    Raises:
        RecordError: no columns of leads, a cell that is no number (which row and column), times that are not equidistant,
            or something unsaid.
    """
    content = read_whole(path)
    if content.startswith(_PARQUET):
        del content
        return _read_parquet(path, options)
    layout = find_layout(content)
    if layout is None:
        raise RecordError(path, "has no columns of leads", "name the columns I, II, …, V6 in the first line")
    said = facts_of(layout.facts, str(path)).leads or options.leads
    columns = choose_columns(layout.headings, layout.count, said, str(path))
    numbers = parse_rows(content, layout, columns.places, str(path))
    return _record(numbers, columns, layout.facts, options, path)


def _read_parquet(path: Path, options: ReadOptions) -> Record:
    table = contents_apart("parquet", path)
    columns = choose_columns(table["headings"], len(table["headings"]), options.leads, str(path))
    units = {unit_name(unit) for unit in (table["units"][place] for place in columns.leads) if unit}
    if len(units | ({columns.unit} - {None})) > 1:
        raise RecordError(path, "has leads in different units", "write all of them in mV")
    if units and columns.unit is None:
        columns = replace(columns, unit=units.pop())
    numbers = np.stack([table["arrays"][place] for place in columns.places])
    return _record(numbers, columns, table["facts"], options, path)


def _record(
    numbers: NDArray[np.float64], columns: Columns, facts: Mapping[str, object], options: ReadOptions, path: Path
) -> Record:
    """`numbers` [columns used, rows], the times first where there are any."""
    where = str(path)
    stated = facts_of(facts, where)
    if columns.unit is not None:
        if stated.unit not in (None, columns.unit):
            raise RecordError(where, "states two values for its unit", "keep the right one")
        stated = replace(stated, unit=columns.unit)
    if columns.names is not None:
        stated = replace(stated, leads=as_names(columns.names, where))
    if columns.time is not None:
        rate = rate_of_times(numbers[0], columns.seconds, stated.rate or options.rate, where)
        if stated.rate is not None and abs(stated.rate - rate) > 1e-6 * rate:
            raise RecordError(where, "states a rate that its times contradict", "correct the one or the other")
        stated = replace(stated, rate=rate)
        numbers = numbers[1:]
    return record_from(numbers, stated, options, path, is_upright=True)
