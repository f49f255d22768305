"""The header of EDF, EDF+, BDF and BDF+ files, parsed strictly: what contradicts the file's size or itself is an error.

Fields are ASCII of fixed width; samples follow in records of equal length, two bytes each (three in BDF), one signal after the
other. Some writers fill fields up with zero bytes where spaces are due. https://www.edfplus.info/specs
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from cmelt.errors import RecordError

EDF_MARK, BDF_MARK = b"0       ", b"\xffBIOSEMI"
_FIXED = 256
_WIDTHS = (
    16,
    80,
    8,
    8,
    8,
    8,
    8,
    80,
    8,
    32,
)  # label, transducer, dimension, physical and digital range, filters, samples, reserved
#: Half a thousand signals are more than any recorder has; each has 256 bytes of header.
MOST_SIGNALS = 512
_NUMBER = re.compile(r"^[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?$")
_INTEGER = re.compile(r"^[+-]?\d{1,8}$")


@dataclass(frozen=True)
class Signal:
    """One signal: its label and unit as they stand, what its numbers are worth, and how many of them a record has."""

    label: str
    dimension: str
    offset: float
    per_step: float
    samples: int
    first: int  # place of its first sample within a record, in samples


@dataclass(frozen=True)
class Header:
    """A whole header. `records` of `seconds` each; `width` bytes a sample."""

    patient: str
    recording: str
    start_date: str
    kind: str
    bytes_before: int
    records: int
    seconds: float
    signals: tuple[Signal, ...]
    width: int

    @property
    def samples_a_record(self) -> int:
        """Samples of all signals together in one record."""
        return sum(signal.samples for signal in self.signals)


def looks_like_edf(head: bytes) -> bool:
    """Whether a file that begins with `head` is EDF or BDF: its mark, and a header as long as its signals need."""
    if head[:8] not in (EDF_MARK, BDF_MARK) or len(head) < _FIXED:
        return False
    stated, signals = head[184:192].strip(), head[252:256].strip()
    return stated.isdigit() and signals.isdigit() and int(stated) == _FIXED * (int(signals) + 1)


def read_header(path: Path) -> Header:
    """Parse the header of the file at `path` and hold it against the file's size.

    Raises:
        RecordError: not EDF, truncated, or numbers that contradict one another.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            content = stream.read(_FIXED * (MOST_SIGNALS + 1))
    except OSError as error:
        raise RecordError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    if not looks_like_edf(content):
        raise RecordError(path, "is not an EDF or BDF file", "check what it is")
    count = int(content[252:256])
    if not 1 <= count <= MOST_SIGNALS:
        raise RecordError(path, f"announces {count} signals", f"1 to {MOST_SIGNALS} are read")
    before = _FIXED * (count + 1)
    if len(content) < before:
        raise RecordError(path, "the header is truncated", "fetch it again")
    width = 3 if content[:8] == BDF_MARK else 2
    text = content[:before].decode("latin-1")
    signals = _signals(text, count, path)
    records = _records(text[236:244].strip(" \x00"), size - before, width * sum(signal.samples for signal in signals), path)
    seconds = _number(text[244:252], "duration of a record", path)
    if seconds <= 0:
        raise RecordError(path, "records without a duration: the sampling rate is unknown", "correct the header")
    return Header(
        text[8:88].strip(" \x00"),
        text[88:168].strip(" \x00"),
        text[168:176],
        text[192:197].strip(" \x00"),
        before,
        records,
        seconds,
        signals,
        width,
    )


def _records(stated: str, size: int, record: int, path: Path) -> int:
    """The number of records that the header states and the file has."""
    if not _INTEGER.match(stated):
        raise RecordError(path, "a number of records that is none", "correct the header")
    records = int(stated)
    if records == -1 and record and size % record == 0:  # a recorder that was not shut down leaves −1
        records = size // record
    if records < 1 or not record:
        raise RecordError(path, "the record has no samples", "leave it out")
    if records * record != size:
        fault = f"{size} bytes of samples where the header announces {records * record}"
        raise RecordError(path, fault, "the file is truncated or the header altered: fetch it again")
    return records


def _signals(text: str, count: int, path: Path) -> tuple[Signal, ...]:
    columns = []
    place = _FIXED
    for width in _WIDTHS:
        columns.append([text[place + width * row : place + width * (row + 1)].strip(" \x00") for row in range(count)])
        place += width * count
    labels, _, dimensions, low, high, least, greatest, _, samples, _ = columns
    signals = []
    first = 0
    for row in range(count):
        if not _INTEGER.match(samples[row]) or int(samples[row]) < 0:
            raise RecordError(path, "a signal without its number of samples", "correct the header")
        offset, per_step = 0.0, 1.0
        if not is_annotation(labels[row]):
            offset, per_step = _scale(low[row], high[row], least[row], greatest[row], path)
        signals.append(Signal(labels[row], dimensions[row], offset, per_step, int(samples[row]), first))
        first += int(samples[row])
    return tuple(signals)


def is_annotation(label: str) -> bool:
    """Whether a signal's samples are annotations' text."""
    return label in ("EDF Annotations", "BDF Annotations")


def _scale(low: str, high: str, least: str, greatest: str, path: Path) -> tuple[float, float]:
    """What digital 0 and one digital step are in physical units; NaN where the header does not say it.

    A signal that is not read may say nothing; one that is read is refused then.
    """
    if not all(_NUMBER.match(text) for text in (low, high, least, greatest)):
        return math.nan, math.nan
    bottom, top = _number(low, "physical range", path), _number(high, "physical range", path)
    lowest, highest = _number(least, "digital range", path), _number(greatest, "digital range", path)
    if highest <= lowest or top == bottom:
        return math.nan, math.nan
    per_step = (top - bottom) / (highest - lowest)
    return bottom - lowest * per_step, per_step


def _number(text: str, what: str, path: Path) -> float:
    """A number; some writers use a decimal comma."""
    stripped = text.strip(" \x00")
    if not _NUMBER.match(stripped):
        raise RecordError(path, f"a {what} that is no number", "correct the header")
    number = float(stripped.replace(",", "."))
    if not math.isfinite(number):
        raise RecordError(path, f"a {what} that is no number", "correct the header")
    return number
