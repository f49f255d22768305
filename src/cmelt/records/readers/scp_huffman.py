"""The Huffman code of SCP-ECG: section 2, and streams of samples that are encoded with its tables.

A code is a prefix and, behind it, further bits that are added to its base value as a signed number; a code may also switch to
another table. Prefixes are found for all places of a stream at once; only the walk from code to code goes one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError

#: The number of tables that section 2 states where it means the standard's own table.
DEFAULT_TABLE = 19999
LONGEST_PREFIX = 16
_MOST_TABLES, _MOST_CODES = 64, 1024


@dataclass(frozen=True)
class Table:
    """One table: for each of 65,536 windows of 16 bits the code that it begins with (−1: none), and what each code means."""

    code_of_window: NDArray[np.int16]
    prefix_bits: NDArray[np.int64]
    more_bits: NDArray[np.int64]
    base: NDArray[np.int64]
    switch_to: NDArray[np.int64]  # number of a table from 0, or −1


def default_table() -> Table:
    """Annex C's table: 0 is "0", ±n (n up to 8) is n ones, a zero and the sign; ten bits announce a number of 8 or 16 bits."""
    codes = [(1, 0, 0b0, 0, -1)]
    for size in range(1, 9):
        ones = ((1 << size) - 1) << 2
        codes += [(size + 2, 0, ones, size, -1), (size + 2, 0, ones | 1, -size, -1)]
    codes += [(10, 8, 0b1111111110, 0, -1), (10, 16, 0b1111111111, 0, -1)]
    return _table(codes)


def read_tables(body: bytes, path: Path) -> list[Table]:
    """The tables that section 2 announces.

    Raises:
        RecordError: truncated, or codes that no stream can be read with.
    """
    try:
        (count,) = struct.unpack_from("<H", body)
        if count == DEFAULT_TABLE:
            return [default_table()]
        if not 1 <= count <= _MOST_TABLES:
            raise RecordError(path, f"announces {count} Huffman tables", "the file is damaged: fetch it again")
        place, tables = 2, []
        for _ in range(count):
            (size,) = struct.unpack_from("<H", body, place)
            if not 1 <= size <= _MOST_CODES:
                raise RecordError(path, f"a Huffman table of {size} codes", "the file is damaged: fetch it again")
            tables.append(_table([_code(body, place + 2 + 9 * number, count, path) for number in range(size)]))
            place += 2 + 9 * size
    except struct.error as error:
        raise RecordError(path, "its Huffman tables are truncated", "the file is damaged: fetch it again") from error
    return tables


def _code(body: bytes, place: int, tables: int, path: Path) -> tuple[int, int, int, int, int]:
    """(prefix bits, further bits, prefix, base value, table to switch to) of one code."""
    prefix, total, mode, base, stored = struct.unpack_from("<BBBhI", body, place)
    if not 1 <= prefix <= LONGEST_PREFIX or not prefix <= total <= prefix + LONGEST_PREFIX:
        raise RecordError(path, f"a Huffman code of {prefix} bits and {total} in all", "the file is damaged: fetch it again")
    if mode == 0 and not 1 <= base <= tables:
        raise RecordError(path, "a Huffman code that leads to a table that is not there", "the file is damaged: fetch it again")
    bits = int(f"{stored & ((1 << prefix) - 1):0{prefix}b}"[::-1], 2)  # stored with the first bit lowest
    return prefix, total - prefix, bits, base, base - 1 if mode == 0 else -1


def _table(codes: Sequence[tuple[int, int, int, int, int]]) -> Table:
    windows = np.full(1 << LONGEST_PREFIX, -1, dtype=np.int16)
    for number, (prefix, _, bits, _, _) in enumerate(codes):
        first = bits << (LONGEST_PREFIX - prefix)
        windows[first : first + (1 << (LONGEST_PREFIX - prefix))] = number
    columns = np.array(codes, dtype=np.int64).T
    return Table(windows, columns[0], columns[1], columns[3], columns[4])


def decode(stream: bytes, count: int, tables: Sequence[Table], path: Path) -> tuple[NDArray[np.int64], int]:
    """The first `count` values of `stream`, [count], and how many bits are left over behind them.

    Raises:
        RecordError: the stream ends before, or holds a code that its table has not.
    """
    windows = _windows(stream)
    bits = 8 * len(stream)
    codes = [table.code_of_window[windows[:bits]] for table in tables]
    steps = [_steps(table, code) for table, code in zip(tables, codes, strict=True)]
    places: list[int] = []
    # Stretches of one table: (table, number of the first value in it).
    stretches = [(0, 0)]
    place, current = 0, steps[0]
    while len(places) < count:
        if len(stretches) > count + 1:
            raise RecordError(path, "its Huffman tables lead in circles", "the file is damaged: fetch it again")
        step = current[place] if place < bits else 0
        if step > 0:
            places.append(place)
            place += step
        elif step < 0:  # a switch to another table
            at = stretches[-1][0]
            code = codes[at][place]
            place -= step
            stretches.append((int(tables[at].switch_to[code]), len(places)))
            current = steps[stretches[-1][0]]
        else:
            raise RecordError(
                path, f"its Huffman code breaks off after {len(places)} of {count} samples", "the file is damaged: fetch it again"
            )
    if place > bits:
        raise RecordError(path, "its Huffman code breaks off within the last sample", "the file is damaged: fetch it again")
    starts = np.array(places, dtype=np.int64)
    values = np.empty(count, dtype=np.int64)
    numbers, firsts = np.array(stretches, dtype=np.int64).T
    table_of_value = np.repeat(numbers, np.diff(np.append(firsts, count)))
    for number, table in enumerate(tables):
        here = table_of_value == number
        values[here] = _values(table, codes[number], windows, starts[here])
    return values, bits - place


def _windows(stream: bytes) -> NDArray[np.int64]:
    """The 16 bits that begin at each bit of `stream`, and at each of the 32 behind it (zeros)."""
    octets = np.frombuffer(stream + bytes(7), dtype=np.uint8).astype(np.int64)
    three = octets[:-2] << 16 | octets[1:-1] << 8 | octets[2:]
    shifts = 8 - np.arange(8)
    return ((three[:, None] >> shifts) & 0xFFFF).ravel()


def _steps(table: Table, codes: NDArray[np.int16]) -> list[int]:
    """For each bit how many bits the code there takes: 0 where there is none, negative where it switches tables."""
    taken = table.prefix_bits + table.more_bits
    signed = np.where(table.switch_to >= 0, -taken, taken)
    steps: list[int] = np.where(codes >= 0, signed[codes], 0).tolist()
    return steps


def _values(table: Table, codes: NDArray[np.int16], windows: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values of the codes that begin at the bits `at`."""
    code = codes[at]
    more = table.more_bits[code]
    raw = windows[at + table.prefix_bits[code]] >> (16 - more)
    signed = raw - ((raw >> np.maximum(more - 1, 0)) & 1) * (1 << more)
    return table.base[code] + np.where(more > 0, signed, 0)
