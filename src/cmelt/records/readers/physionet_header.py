"""The WFDB header (`.hea`), parsed strictly: what it leaves out or contradicts is an error, not a default.

The reference reader fills gaps silently (a rate of −500 becomes 250, an absent gain 200 per mV); here amplitude and time
must be stated. Grammar: header(5) of the WFDB Applications Guide.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cmelt.errors import RecordError
from cmelt.records.readers.limits import gunzip, told

_RATE = re.compile(r"^([^/(]+)(?:/[^(]*)?(?:\([^)]*\))?$")
_FORMAT = re.compile(r"^(\d{1,4})(?:x(\d{1,6}))?(?::(\d{1,9}))?(?:\+(\d{1,15}))?$")
_GAIN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(([+-]?\d{1,12})\))?(?:/(\S+))?$")
_NUMBER = re.compile(r"^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$")
_INTEGER = re.compile(r"^[+-]?[0-9]{1,18}$")
_FILE_NAME = re.compile(r"^[^/\\\x00]+$")
#: Control characters but for tab, line ends and the end mark of old systems; UTF-16 has zeros and is refused with them.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_LINE_END = re.compile(r"\r\n|\n|\r")

MOST_LEADS = 128
#: A monitor that started anew every minute for half a day.
MOST_SEGMENTS = 1000
LONGEST_HEADER = 1 << 20

#: Names a stretch of a multi-segment record in which nothing was recorded, and the file of a layout's signals.
GAP = "~"


class SignalLine(NamedTuple):
    """One signal's line: where its samples lie and what one step is worth.

    Attributes:
        file: name of the signal file, which lies beside the header; `GAP` in a layout, which has none.
        format: number of the storage format.
        per_frame: samples of this signal in each frame; the header's rate counts frames.
        skew: frames by which its samples come late in the file.
        offset: bytes before the first sample (samples, in FLAC files).
        gain: steps a unit, None where the header does not say.
        baseline: the step that is 0 units.
        units: as written, None where the header does not say.
        initial: the value before the first difference (format 8).
        checksum: 16-bit sum of all its samples.
        description: the lead, as written; "" where the header does not say.
    """

    file: str
    format: int
    per_frame: int
    skew: int
    offset: int
    gain: float | None
    baseline: int
    units: str | None
    initial: int | None
    checksum: int | None
    description: str


@dataclass(frozen=True)
class Segment:
    """One part of a multi-segment record: the name of a record beside it, or `GAP`, and its number of frames."""

    name: str
    frames: int


@dataclass(frozen=True)
class Header:
    """A whole header: either `signals` or, of a multi-segment record, `segments`.

    Attributes:
        rate: frames a second; None where the header does not say.
        frames: 0 where the header leaves it to the signal file's size.
        count: number of signals.
    """

    name: str
    rate: float | None
    frames: int
    count: int
    signals: tuple[SignalLine, ...]
    segments: tuple[Segment, ...]
    comments: tuple[str, ...]


def read_header(path: Path) -> Header:
    """Parse the header at `path`, which may be packed by gzip.

    Raises:
        RecordError: anything missing, malformed or contradictory.
    """
    text = header_text(path)
    # Quick and exact: most headers have plain line feeds, and no header has form feeds that `splitlines` would split at.
    lines = [line.strip() for line in (text.split("\n") if "\r" not in text else _LINE_END.split(text))]
    comments = tuple(line[1:].strip() for line in lines if line.startswith("#"))
    body = [line for line in lines if line and not line.startswith("#")]
    if not body:
        raise RecordError(path, "the header is empty", "fetch it again")
    name, segments, count, rate, frames = _record_line(body[0], path)
    described = len(body) - 1
    if segments is not None:
        if described != segments:
            fault = f"announces {told(segments)} segments and lists {described}"
            raise RecordError(path, fault, "the header is incomplete or altered")
        return Header(name, rate, frames, count, (), tuple(_segment_line(line, path) for line in body[1:]), comments)
    if described != count:
        fault = f"announces {told(count)} signals and describes {described}"
        raise RecordError(path, fault, "the header is incomplete or altered")
    signals = tuple(_signal_line(line, path) for line in body[1:])
    if all((line.initial, line.checksum) == (0, 0) for line in signals):
        # Programs that do not compute them write zeros: nothing is stated then.
        signals = tuple(line._replace(checksum=None) for line in signals)
    return Header(name, rate, frames, count, signals, (), comments)


def header_text(path: Path) -> str:
    """The text of the header at `path`.

    Raises:
        RecordError: unreadable, no plain file, or larger than any header is.
    """
    try:
        with open(path, "rb", buffering=0, opener=_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RecordError(path, "is no plain file", "give the header itself")
            # No more is asked for than there is: room for the longest header costs more than reading one.
            content = stream.read(min(status.st_size, LONGEST_HEADER) + 1)
    except OSError as error:
        raise RecordError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    if content.startswith(b"\x1f\x8b"):
        content = gunzip(content, path, LONGEST_HEADER)
    if len(content) > LONGEST_HEADER:
        raise RecordError(path, "a header of more than a megabyte", "this is not a WFDB header")
    if _NO_TEXT.search(content):
        raise RecordError(path, "the header holds bytes that no text has: it is damaged, or no header", "fetch it again")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # units such as µV, written by older programs


def safe_name(name: str, path: Path) -> str:
    """A signal file or segment lies beside its header: any path in its name is refused, so that no header reads elsewhere."""
    if not _is_safe(name):
        raise RecordError(path, "names a signal file outside its own folder", "signal files lie beside their header")
    return name


def _without_waiting(path: str, flags: int) -> int:
    """Open without waiting for another end that a pipe may never get."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _record_line(line: str, path: Path) -> tuple[str, int | None, int, float | None, int]:
    fields = line.split()
    name, separator, parts = fields[0].partition("/")
    segments = _integer(parts, "number of segments", path) if separator else None
    if segments is not None and not 1 <= segments <= MOST_SEGMENTS:
        raise RecordError(path, f"{told(segments)} segments", f"records of 1 to {MOST_SEGMENTS} are read: give one segment")
    if len(fields) < 2:
        raise RecordError(path, "its first line states no number of signals", "fetch the header again")
    count = _integer(fields[1], "number of signals", path)
    if not 1 <= count <= MOST_LEADS:
        raise RecordError(path, f"{told(count)} signals", f"an ECG has 1 to {MOST_LEADS}")
    rate = _rate(fields[2], path) if len(fields) > 2 else None
    frames = _integer(fields[3], "number of samples", path) if len(fields) > 3 else 0
    if frames < 0:
        raise RecordError(path, "a negative number of samples", "correct the header")
    return name, segments, count, rate, frames


def _rate(field: str, path: Path) -> float:
    """Frames a second out of "500", "62.4725/999.56", "250/24000(12)": what follows counts other clocks."""
    stated = _RATE.match(field)
    if stated is None or not _NUMBER.match(stated[1]):
        raise RecordError(path, "its sampling rate is not a positive number", "correct the header")
    rate = float(stated[1])
    if not 0 < rate < 1e6:
        raise RecordError(path, f"sampling rate {rate:g} Hz", "it must be a positive number")
    return rate


def _segment_line(line: str, path: Path) -> Segment:
    fields = line.split()
    if len(fields) < 2:
        raise RecordError(path, "a segment without a length", "the header is incomplete")
    frames = _integer(fields[1], "length of a segment", path)
    if frames < 0:
        raise RecordError(path, "a segment of negative length", "correct the header")
    return Segment(fields[0] if fields[0] == GAP else safe_name(fields[0], path), frames)


def _signal_line(line: str, path: Path) -> SignalLine:
    fields = line.split(maxsplit=8)
    if len(fields) < 2:
        raise RecordError(path, "a signal line without a format", "the header is incomplete")
    layout = _layout(fields[1])
    scale = _scale(fields[2]) if len(fields) > 2 else (None, None, None)
    if layout is None or scale is None:
        raise RecordError(path, "a signal line whose format or gain cannot be read", "correct the header")
    number, per_frame, skew, offset = layout
    gain, baseline, units = scale
    if per_frame < 1:
        raise RecordError(path, "a signal without samples in its frames", "correct the header")
    zero = _integer(fields[4], "ADC zero", path) if len(fields) > 4 else None
    initial = _integer(fields[5], "initial value", path) if len(fields) > 5 else None
    checksum = _integer(fields[6], "checksum", path) if len(fields) > 6 else None
    file = GAP if number == 0 and fields[0] == GAP else safe_name(fields[0], path)
    if baseline is None:
        baseline = zero or 0
    description = fields[8] if len(fields) > 8 else ""
    # In the order of its fields: named arguments would take a quarter of this function's time.
    return SignalLine(file, number, per_frame, skew, offset, gain, baseline, units, initial, checksum, description)


# The lines of a header, and the headers of an archive, repeat themselves: what was taken apart once is kept.


@lru_cache(maxsize=256)
def _layout(field: str) -> tuple[int, int, int, int] | None:
    """Format, samples a frame, skew, offset out of "16x4:2+24"; None where it is none."""
    found = _FORMAT.match(field)
    return None if found is None else (int(found[1]), int(found[2] or 1), int(found[3] or 0), int(found[4] or 0))


@lru_cache(maxsize=1024)
def _scale(field: str) -> tuple[float, int | None, str | None] | None:
    """Gain, baseline, units out of "200(-5)/mV"; None where it is none."""
    found = _GAIN.match(field)
    return None if found is None else (float(found[1]), int(found[2]) if found[2] is not None else None, found[3])


@lru_cache(maxsize=256)
def _is_safe(name: str) -> bool:
    return name not in ("-", GAP, ".", "..") and _FILE_NAME.match(name) is not None


def _integer(text: str, what: str, path: Path) -> int:
    if _INTEGER.match(text) is None:
        raise RecordError(path, f"a {what} that is not a whole number", "correct the header")
    return int(text)
