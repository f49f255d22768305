"""Canaries: what must not get out, made so that it can be found again wherever and in whatever coding it turns up.

Each patient has seven: a name, a number, a date of birth, an accession number, the physician's name, a word of the report, and
the name of the file. Words begin with "zq" and six consonants, numbers with 77, dates lie before 1931, so that one expression
finds all of a kind, and chance none. Names and words go on with an umlaut: whoever garbles or drops it is found out by the rest.
"""

from __future__ import annotations

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

NAME, PATIENT, BIRTH, ACCESSION, PHYSICIAN, REPORT, FILE = (
    "name", "patient number", "date of birth", "accession number", "physician", "report", "file name",
)  # fmt: skip
KINDS = (NAME, PATIENT, BIRTH, ACCESSION, PHYSICIAN, REPORT, FILE)

_LETTERS = "bcdfghjkmnprtvwx"
_FIRST_BIRTH, _DAYS = date(1901, 1, 1), 10_900
_FINDINGS = ("sinusrhythmus normales ekg", "vorhofflimmern", "linksschenkelblock", "inferior infarct, age undetermined")

_WORD = re.compile(rb"(?=(zq[a-z]{6}))", re.IGNORECASE)
_NUMBER = re.compile(rb"(?=(77[0-9]{8}))")
_DATE = re.compile(rb"(?<![0-9.])(19[0-3][0-9])([-/.]?)([01][0-9])\2([0-3][0-9])(?![0-9])")
_DATE_BACK = re.compile(rb"(?<![0-9])([0-3][0-9])([-/.])([01][0-9])\2(19[0-3][0-9])(?![0-9])")
_DATE_NAMED = re.compile(rb"(?<![0-9])([0-3][0-9])-([A-Z]{3})-(19[0-3][0-9])(?![0-9])", re.IGNORECASE)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{12,}")
_BASE64_URL = re.compile(rb"[A-Za-z0-9_-]{12,}")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_DEEPEST = 4
_MOST = 64 << 20


@dataclass(frozen=True)
class Person:
    """A patient with an ECG; every field but `finding` is a canary, or begins with one."""

    name: str
    patient: str
    born: date
    accession: str
    physician: str
    word: str
    file: str
    finding: str

    @property
    def report(self) -> str:
        """What the physician has written."""
        return f"{self.finding}, verlauf wie bei {self.word} beschrieben"

    def keys(self) -> dict[str, str]:
        """What is looked for → its kind."""
        words = {self.name: NAME, self.physician: PHYSICIAN, self.word: REPORT, self.file: FILE}
        numbers = {self.patient: PATIENT, self.accession: ACCESSION, f"{self.born:%Y%m%d}": BIRTH}
        return {word[:8].lower(): kind for word, kind in words.items()} | numbers


def people(count: int, seed: int = 7) -> list[Person]:
    """So many patients, no two of whom share anything but findings."""
    rng = np.random.default_rng(seed)
    cores = sorted({"zq" + "".join(rng.choice(list(_LETTERS), 6)) for _ in range(4 * count + 40)})
    words = [str(word) for word in rng.permutation(cores)]
    numbers = [f"77{number:08d}" for number in rng.choice(10**8, 2 * count, replace=False)]
    births = [_FIRST_BIRTH + timedelta(int(day)) for day in rng.choice(_DAYS, count, replace=False)]
    return [
        Person(
            name=f"{words.pop().capitalize()}öser, Jürgen",
            patient=numbers.pop(),
            born=births.pop(),
            accession=numbers.pop(),
            physician=f"{words.pop().capitalize()}äcker",
            word=f"{words.pop()}üngel",
            file=words.pop(),
            finding=_FINDINGS[number % len(_FINDINGS)],
        )
        for number in range(count)
    ]


def planted(whom: Iterable[Person]) -> dict[str, str]:
    """All canaries of these patients: what is looked for → its kind."""
    return {key: kind for person in whom for key, kind in person.keys().items()}


def found(content: bytes, canaries: Mapping[str, str]) -> set[str]:
    """The canaries in `content`: plain in any 8-bit coding or in UTF-16, in base64, and inside what is packed."""
    return {key for part in _renditions(content, 0) for key in _named(part) if key in canaries}


def _named(content: bytes) -> Iterator[str]:
    """Everything that looks like a canary."""
    yield from (match[1].decode("ascii").lower() for match in _WORD.finditer(content))
    yield from (match[1].decode("ascii") for match in _NUMBER.finditer(content))
    yield from ((match[1] + match[3] + match[4]).decode("ascii") for match in _DATE.finditer(content))
    yield from ((match[4] + match[3] + match[1]).decode("ascii") for match in _DATE_BACK.finditer(content))

    for match in _DATE_NAMED.finditer(content):
        day, month, year = (match[place].decode("ascii").upper() for place in (1, 2, 3))
        if month in MONTHS:
            yield f"{year}{MONTHS.index(month) + 1:02d}{day}"


def _renditions(content: bytes, depth: int) -> Iterator[bytes]:
    """The content, its other codings, and what is packed in it."""
    yield content
    if b"\0" in content:  # UTF-16 of either order, at either place
        yield from (content[place::step] for step in (2, 4) for place in range(step))  # … or NumPy's four bytes a letter
    yield from _from_base64(content)
    if depth < _DEEPEST:
        for part in _unpacked(content):
            yield from _renditions(part, depth + 1)


def _from_base64(content: bytes) -> Iterator[bytes]:
    """Runs of base64, decoded from each of the four places where a group may begin; joined, so that one search does."""
    for pattern, letters in ((_BASE64, None), (_BASE64_URL, b"-_")):
        decoded = []
        for run in pattern.findall(content):
            for start in range(4):
                piece = run[start:]  # its last group may be a short one: filled up
                decoded.append(base64.b64decode(piece + b"A" * (-len(piece) % 4), altchars=letters))
        yield b"\n".join(decoded)


def _unpacked(content: bytes) -> Iterator[bytes]:
    if content[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            yield stream.read(_MOST)
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield "\n".join(archive.namelist()).encode()
            yield from map(archive.read, archive.namelist())
    elif content[:4] == b"PAR1":
        yield _parquet_text(content)
    elif content[:6] == b"ARROW1":
        yield _arrow_text(content)
    else:
        for match in _ZLIB.finditer(content):  # streams in PDF, PNG, SCP …
            try:
                yield zlib.decompressobj().decompress(content[match.start() :], _MOST)
            except zlib.error:
                continue


def _parquet_text(content: bytes) -> bytes:
    import pyarrow.parquet as pq

    return _table_text(pq.read_table(io.BytesIO(content)))


def _arrow_text(content: bytes) -> bytes:
    import pyarrow as pa

    return _table_text(pa.ipc.open_file(io.BytesIO(content)).read_all())


def _table_text(table: object) -> bytes:
    """Texts and numbers of every column but those of vectors, and the schema with its metadata."""
    import pyarrow as pa

    assert isinstance(table, pa.Table)
    texts = [str(table.schema.to_string(show_schema_metadata=True, truncate_metadata=False))]
    for column in table.columns:
        if not pa.types.is_list(column.type) or pa.types.is_string(column.type.value_type):
            texts.append("\n".join(map(str, column.to_pylist())))
    return "\n".join(texts).encode("utf-8", "replace")
