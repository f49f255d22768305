"""Text tables taken apart: comments, a heading, rows of numbers; row and column named where a cell is no number."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.readers.limits import MOST_VALUES
from cmelt.records.readers.stated import KNOWN_NAMES, plain
from cmelt.records.readers.table_columns import kind_of

_LONGEST_LINE = 1 << 16
#: Lines before the first row of numbers, and rows looked at to tell how numbers are written.
_MOST_PREAMBLE = 300
_SAMPLE = 20
#: 70 minutes at 1000 Hz.
_MOST_ROWS = 1 << 22
#: Numbers take eight bytes here, beside their text.
_MOST_CELLS = MOST_VALUES // 2
_COMMENTS = ("#", "%", "//")
_DELIMITERS = ("\t", ";", ",", " ")
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--", "?"})
_POINT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.IGNORECASE)
#: Headings that messages may repeat; of others who knows what stands in the first line.
_PLAIN_HEADING = re.compile(r"(?:I{1,3}|aV[RLF]|V[1-6]|time)(?: \((?:m|u|µ|n)?[Vs]\))?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:e[+-]?[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a text table is written.

    Attributes:
        delimiter: between cells; a space stands for any run of blanks.
        headings: of the columns, or None.
        count: of the columns.
        facts: what lines before the rows state, by name.
        start: where the rows begin, in bytes.
        line: number of the line there; the first of the file is 1.
        decimal_comma: whether 0,5 is a half.
        encoding: of the text.
    """

    delimiter: str
    headings: tuple[str, ...] | None
    count: int
    facts: Mapping[str, str]
    start: int
    line: int
    decimal_comma: bool
    encoding: str


def find_layout(content: bytes) -> Layout | None:
    """How the table in `content` (or in the beginning of it) is written; None where it is none."""
    encoding = _encoding(content[: 1 << 16])
    if encoding is None:
        return None
    facts: dict[str, str] = {}
    lines = _first_lines(content, encoding)
    for position, (start, number, text) in enumerate(lines):
        if text.startswith(_COMMENTS):
            _note(text.lstrip("#%/ \t"), facts)
            continue
        following = [(place, line, row) for place, line, row in lines[position + 1 :] if not row.startswith(_COMMENTS)]
        for delimiter in _DELIMITERS:
            headings = tuple(cell.strip() for cell in _cells(text, delimiter))
            kinds = [kind_of(heading) for heading in headings]
            rows = [_cells(row, delimiter) for _, _, row in following[:_SAMPLE]]
            if any(kinds) and rows and _fit(rows[0], [place for place, kind in enumerate(kinds) if kind], len(headings)):
                place, line, _ = following[0]
                return Layout(delimiter, headings, len(headings), facts, place, line, _has_comma(rows), encoding)
            both = [_cells(text, delimiter), *rows]
            if len(both) > 1 and all(_fit(row, range(len(headings)), len(headings)) for row in both[:2]):
                return Layout(delimiter, None, len(headings), facts, start, number, _has_comma(both), encoding)
        _note(text, facts)
    return None


def parse_rows(content: bytes, layout: Layout, places: Sequence[int], where: str) -> NDArray[np.float64]:
    """The cells at `places` of every row, [columns, rows] float64; NaN where a cell is empty.

    Raises:
        RecordError: too many rows, one of another width, a cell that is no number, or a line without end.
    """
    rows = content.count(b"\n", layout.start) + 1
    if rows > _MOST_ROWS or rows * len(places) > _MOST_CELLS:
        raise RecordError(where, "holds more rows than an ECG has samples", "cut the record, or give it as WFDB or EDF")
    stream = io.BytesIO(content)
    stream.seek(layout.start)
    numbers = array("d")
    number = layout.line - 1
    while raw := stream.readline(_LONGEST_LINE + 1):
        number += 1
        if len(raw) > _LONGEST_LINE:
            raise RecordError(where, f"line {number} is longer than {_LONGEST_LINE} characters", "check what it is")
        text = raw.decode(layout.encoding, "replace").strip("\r\n \x00") if b"\0" not in raw else "\0"
        if not text or text.startswith(_COMMENTS):
            continue
        cells = _cells(text, layout.delimiter)
        if len(cells) == layout.count + 1 and not cells[-1].strip():
            cells.pop()
        if len(cells) != layout.count:
            fault = f"line {number} has {len(cells)} cells where others have {layout.count}"
            raise RecordError(where, fault, "it is truncated or mixed up: write the table again")
        row = None if layout.decimal_comma or "_" in text else _floats(cells, places)
        numbers.extend(row or [_number(cells[place], layout, number, place, where) for place in places])
    if not numbers:
        raise RecordError(where, "the table has no rows", "write a row for every sample")
    return np.frombuffer(numbers, dtype=np.float64).reshape(-1, len(places)).T


def _floats(cells: Sequence[str], places: Sequence[int]) -> list[float] | None:
    """The numbers at `places`, None where one is none: apart, so that no error of ours has one that quotes the cell behind it."""
    try:
        return [float(cells[place]) for place in places]
    except ValueError:
        return None


def _number(cell: str, layout: Layout, line: int, place: int, where: str) -> float:
    text = cell.strip().strip('"').replace("\u2212", "-")
    if text.lower() in _MISSING:
        return float("nan")
    if layout.decimal_comma and "." not in text and _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    elif (layout.decimal_comma and "." in text) or not _POINT.fullmatch(text):
        heading = layout.headings[place].strip() if layout.headings else ""
        column = heading if _PLAIN_HEADING.fullmatch(heading) else place + 1
        fault = f"line {line}, column {column}: not a number"
        raise RecordError(where, fault, "write a number, or nothing where none was measured")
    return float(text)


def _encoding(head: bytes) -> str | None:
    """UTF-8 where it is, else the Windows code page in which older programs write µV; None for what is no text."""
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", head) or head.lstrip()[:1] in (b"<", b"{", b"["):
        return None
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # A character cut in two by the end of what was looked at is no fault.
        return "utf-8-sig" if error.start >= len(head) - 3 else "cp1252"
    return "utf-8-sig"


def _first_lines(content: bytes, encoding: str) -> list[tuple[int, int, str]]:
    """The first lines that are not empty: where each begins, its number, its text."""
    stream = io.BytesIO(content)
    lines: list[tuple[int, int, str]] = []
    number = 0
    while len(lines) < _MOST_PREAMBLE and number < 10 * _MOST_PREAMBLE:
        start = stream.tell()
        raw = stream.readline(_LONGEST_LINE + 1)
        number += 1
        if not raw or len(raw) > _LONGEST_LINE:
            break
        if text := raw.decode(encoding, "replace").strip("\r\n "):
            lines.append((start, number, text))
    return lines


def _note(text: str, facts: dict[str, str]) -> None:
    """A line such as "rate: 500" or "Sample Rate,512 hertz", kept where its name is known."""
    matched = re.fullmatch(r"\s*([^:=,;\t]{1,40}?)\s*[:=,;\t]\s*(.+?)[\s,;]*", text)
    if matched and (plain(matched[1]) in KNOWN_NAMES or plain(matched[1]) in _APPLE):
        facts[_APPLE.get(plain(matched[1]), matched[1])] = matched[2].strip().strip('"')


#: Lines of a watch's export that stand for what others call otherwise.
_APPLE: Mapping[str, str] = {"name": "patient", "classification": "report"}


def _cells(text: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return text.replace('"', "").split()
    if '"' in text:
        try:
            return next(csv.reader([text], delimiter=delimiter), [])
        except csv.Error:
            return [text]
    return text.split(delimiter)


def _fit(cells: Sequence[str], places: Sequence[int], count: int) -> bool:
    """Whether a row has `count` cells, with a number or nothing at `places`, and a number somewhere."""
    if len(cells) == count + 1 and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != count:
        return False
    texts = [cells[place].strip().strip('"').replace("\u2212", "-") for place in places]
    numbers = [bool(_POINT.fullmatch(text) or _COMMA.fullmatch(text)) for text in texts]
    return any(numbers) and all(found or text.lower() in _MISSING for found, text in zip(numbers, texts, strict=True))


def _has_comma(rows: Sequence[Sequence[str]]) -> bool:
    """Whether most broken numbers of `rows` are written with a comma."""
    cells = [cell.strip() for row in rows for cell in row]
    commas = sum(bool(_COMMA.fullmatch(cell)) for cell in cells)
    return commas > sum("." in cell and bool(_POINT.fullmatch(cell)) for cell in cells)
