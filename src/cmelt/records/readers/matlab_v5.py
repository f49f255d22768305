"""MATLAB's own file formats, v4 and v5 (to v7): the variables of a file as arrays, texts, lists and mappings.

Read here and not by scipy, which trusts the sizes that a file states: here every size is held against the bytes that are
there, what is packed is unpacked within a bound, and nothing that could run (objects, function handles) is touched.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers.limits import LARGEST_FILE, inflate

HEADER_BYTES = 128

_MATRIX, _COMPRESSED = 14, 15
#: Storage types of v5 → NumPy; texts (16–18) by their codec.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CODECS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)
#: Classes with something to run or to follow behind them, or not stored in full.
_REFUSED = {3: "an object", 5: "a sparse matrix", 16: "a function handle", 17: "an object"}
_COMPLEX = 0x0800

_MOST_VARIABLES = 20_000
_MOST_DEPTH = 8
_LONGEST_TEXT = 1 << 20

#: v4: precision digit → NumPy.
_V4_STORED = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}


def v5_variables(content: bytes, where: str) -> dict[str, Any]:
    """The variables of a v5 file by name: arrays, texts, lists (cells) and dicts (structs).

    Raises:
        RecordError: damaged, truncated, larger unpacked than an ECG is, or holding what is not data.
    """
    if len(content) < HEADER_BYTES or content[126:128] not in (b"IM", b"MI"):
        raise RecordError(where, "the MATLAB file's header is damaged", "fetch it again")
    order = "<" if content[126:128] == b"IM" else ">"
    walk = _Walk(where, order, LARGEST_FILE)
    variables: dict[str, Any] = {}
    elements = _Elements(content, HEADER_BYTES, len(content), order, where)
    while not elements.at_end():
        kind, start, end = elements.next()
        if kind == _COMPRESSED:
            unpacked = inflate(content[start:end], where, max(walk.budget, 0))
            walk.budget -= len(unpacked) + end - start
            inner = _Elements(unpacked, 0, len(unpacked), order, where)
            kind, first, last = inner.next()
            name, value = walk.matrix(unpacked, kind, first, last, 0)
        else:
            name, value = walk.matrix(content, kind, start, end, 0)
        if name in variables:
            raise RecordError(where, "holds a variable twice", "write it again")
        variables[name] = value
    return variables


def looks_like_v4(head: bytes) -> bool:
    """Whether `head` begins with a plausible v4 matrix: no magic number there, but five small numbers and a name."""
    if len(head) < 21:
        return False
    for order in ("<", ">"):
        kind, rows, columns, imaginary, length = struct.unpack_from(order + "5i", head)
        machine, rest = divmod(kind, 1000)
        reserved, precision, text = rest // 100, rest // 10 % 10, rest % 10
        if machine != (order == ">") or reserved or precision not in _V4_STORED or text > 2 or imaginary not in (0, 1):
            continue
        name = head[20 : 20 + length] if 2 <= length <= 64 else b""
        if rows > 0 and columns > 0 and name[-1:] == b"\0" and name[:-1].decode("latin-1").isidentifier():
            return True
    return False


def v4_variables(content: bytes, where: str) -> dict[str, Any]:
    """The variables of a v4 file by name: arrays and texts. Raises RecordError as `v5_variables`."""
    variables: dict[str, Any] = {}
    place = 0
    while place < len(content):
        if not looks_like_v4(content[place : place + 84]) or len(variables) >= _MOST_VARIABLES:
            raise RecordError(where, "the MATLAB file is damaged", "fetch it again")
        order = "<" if struct.unpack_from("<i", content, place)[0] in range(1000) else ">"
        kind, rows, columns, imaginary, length = struct.unpack_from(order + "5i", content, place)
        if imaginary or kind % 10 == 2:
            raise RecordError(where, "holds complex numbers or a sparse matrix", "write real numbers")
        stored = np.dtype(order + _V4_STORED[kind // 10 % 10])
        start = place + 20 + length
        place = start + rows * columns * stored.itemsize
        if place > len(content):
            raise RecordError(where, "is truncated: it announces more than it holds", "fetch it again")
        array = np.frombuffer(content, stored, rows * columns, start).reshape(columns, rows).T  # columns first in MATLAB
        name = content[start - length : start - 1].decode("latin-1")
        variables[name] = _v4_text(array, where) if kind % 10 == 1 else array
    return variables


def _v4_text(array: np.ndarray[Any, Any], where: str) -> str | list[str]:
    if array.size > _LONGEST_TEXT or not ((array >= 0) & (array < 0x110000)).all():
        raise RecordError(where, "holds a text that cannot be read", "write it again")
    lines = ["".join(chr(int(code)) for code in row).rstrip() for row in array]
    return lines[0] if len(lines) == 1 else lines


class _Elements:
    """The tagged elements between two places of `content`, none of which may reach beyond the end."""

    def __init__(self, content: bytes, place: int, end: int, order: str, where: str) -> None:
        self.content, self.place, self.end, self.order, self.where = content, place, end, order, where

    def at_end(self) -> bool:
        """Whether nothing is left; a few bytes that are no tag count as padding."""
        return self.end - self.place < 8

    def next(self) -> tuple[int, int, int]:
        """The next element: its type, and where its data begin and end."""
        if self.at_end():
            raise RecordError(self.where, "is truncated: an element of the MATLAB file is missing", "fetch it again")
        kind, size = struct.unpack_from(self.order + "2I", self.content, self.place)
        if kind >> 16:  # a small element: size and type in one word, the data in the next
            kind, size = kind & 0xFFFF, kind >> 16
            start, after = self.place + 4, self.place + 8
            if size > 4:
                raise RecordError(self.where, "the MATLAB file is damaged", "fetch it again")
        else:
            start = self.place + 8
            padded = size if kind == _COMPRESSED else -(-size // 8) * 8
            after = start + padded
        if start + size > self.end:
            raise RecordError(self.where, "is truncated: it announces more than it holds", "fetch it again")
        self.place = min(after, self.end)
        return kind, start, start + size

    def numbers(self) -> np.ndarray[Any, Any]:
        """The next element as an array of its stored type."""
        kind, start, end = self.next()
        if kind not in _STORED:
            raise RecordError(self.where, "the MATLAB file is damaged", "fetch it again")
        stored = np.dtype(self.order + _STORED[kind])
        return np.frombuffer(self.content, stored, (end - start) // stored.itemsize, start)

    def integers(self) -> list[int]:
        """The next element as whole numbers, of which flags, sizes and widths have a few."""
        numbers = self.numbers()
        if numbers.dtype.kind not in "iu" or numbers.size > 32:
            raise RecordError(self.where, "the MATLAB file is damaged", "fetch it again")
        return [int(number) for number in numbers]


@dataclass
class _Walk:
    """One walk through a file's matrices, with what it may still take."""

    where: str
    order: str
    budget: int
    count: int = 0

    def matrix(self, content: bytes, kind: int, start: int, end: int, depth: int) -> tuple[str, Any]:
        """Name and value of one matrix element."""
        self.count += 1
        if kind != _MATRIX or self.count > _MOST_VARIABLES or depth > _MOST_DEPTH:
            fault = "the MATLAB file is damaged" if kind != _MATRIX else "holds more structures than an ECG does"
            raise RecordError(self.where, fault, "fetch it again, or write one record a file")
        if start == end:  # how MATLAB writes []
            return "", np.empty((0, 0))
        parts = _Elements(content, start, end, self.order, self.where)
        flags = next(iter(parts.integers()), 0)
        kind_of = flags & 0xFF
        if kind_of in _REFUSED:
            raise RecordError(self.where, f"holds {_REFUSED[kind_of]}, which is not read", "save plain arrays and structs")
        shape = tuple(parts.integers())
        _, first, last = parts.next()
        name = content[first:last].decode("latin-1")
        if not 2 <= len(shape) <= 8 or min(shape) < 0:
            raise RecordError(self.where, "the MATLAB file is damaged", "fetch it again")
        if kind_of in _NUMERIC:
            if flags & _COMPLEX:
                raise RecordError(self.where, "holds complex numbers", "write real numbers")
            return name, self._array(parts.numbers(), shape)
        if kind_of == _CHAR:
            return name, self._text(parts, shape)
        if kind_of == _CELL:
            return name, [self._child(parts, depth) for _ in range(self._children(shape))]
        if kind_of == _STRUCT:
            return name, self._struct(parts, shape, depth)
        raise RecordError(self.where, "the MATLAB file is damaged", "fetch it again")

    def _array(self, numbers: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Kept in the stored type: MATLAB packs doubles that are whole numbers as small integers."""
        if numbers.size != math.prod(shape):
            raise RecordError(self.where, "is truncated: it announces more than it holds", "fetch it again")
        return numbers.reshape(shape[::-1]).T  # columns first in MATLAB

    def _text(self, parts: _Elements, shape: tuple[int, ...]) -> str | list[str]:
        kind, start, end = parts.next()
        if kind not in _CODECS or end - start > _LONGEST_TEXT or len(shape) != 2:
            raise RecordError(self.where, "holds a text that cannot be read", "write it again")
        text = parts.content[start:end].decode(_codec(kind, self.order), "replace")
        rows, columns = shape
        if rows <= 1:
            return text.rstrip("\0")
        if len(text) != rows * columns:
            raise RecordError(self.where, "holds a text that cannot be read", "write it again")
        return [text[row::rows].strip() for row in range(rows)]

    def _struct(self, parts: _Elements, shape: tuple[int, ...], depth: int) -> dict[str, Any]:
        width = next(iter(parts.integers()), 0)
        _, start, end = parts.next()
        if not 1 <= width <= 1024 or (end - start) % width:
            raise RecordError(self.where, "the MATLAB file is damaged", "fetch it again")
        if math.prod(shape) != 1:
            raise RecordError(self.where, "holds an array of structs", "write one record a file")
        fields = parts.content[start:end]
        names = [fields[place : place + width].split(b"\0")[0].decode("latin-1") for place in range(0, len(fields), width)]
        if len(names) > 1024:
            raise RecordError(self.where, "holds more structures than an ECG does", "write one record a file")
        return {name: self._child(parts, depth) for name in names}

    def _children(self, shape: tuple[int, ...]) -> int:
        if math.prod(shape) > _MOST_VARIABLES:
            raise RecordError(self.where, "holds more structures than an ECG does", "write one record a file")
        return math.prod(shape)

    def _child(self, parts: _Elements, depth: int) -> Any:
        kind, start, end = parts.next()
        return self.matrix(parts.content, kind, start, end, depth + 1)[1]


def _codec(kind: int, order: str) -> str:
    name = _CODECS[kind]
    return name + ("-le" if order == "<" else "-be") if name in ("utf-16", "utf-32") else name
