"""The WFDB header (`.hea`), parsed strictly: what it leaves out or contradicts is an error, not a default.

The reference reader fills gaps silently (a rate of −500 becomes 250, an absent gain 200 per mV); here amplitude and time
must be stated. Grammar: header(5) of the WFDB Applications Guide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cmelt.errors import RecordError

_FORMAT = re.compile(r"^(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?$")
_GAIN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(([+-]?\d+)\))?(?:/(\S+))?$")
_NUMBER = re.compile(r"^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$")
_INTEGER = re.compile(r"^[+-]?[0-9]{1,18}$")
_FILE_NAME = re.compile(r"^[^/\\\x00]+$")

MOST_LEADS = 128
LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class SignalLine:
    """One lead's line: where its samples lie and what one step is worth."""

    file: str
    format: int
    offset: int
    gain: float
    baseline: int
    units: str
    checksum: int | None
    description: str


@dataclass(frozen=True)
class Header:
    """A whole header. `samples` is 0 where the file leaves it to the signal file's size."""

    name: str
    rate: float
    samples: int
    signals: tuple[SignalLine, ...]
    comments: tuple[str, ...]


def read_header(path: Path) -> Header:
    """Parse the header at `path`.

    Raises:
        RecordError: anything missing, malformed or contradictory.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LONGEST_HEADER else b""
    except OSError as error:
        raise RecordError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    if size > LONGEST_HEADER:
        raise RecordError(path, "a header of more than a megabyte", "this is not a WFDB header")
    text = content.decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    comments = tuple(line.lstrip("#").strip() for line in lines if line.startswith("#"))
    body = [line for line in lines if line and not line.startswith("#")]
    if not body:
        raise RecordError(path, "the header is empty", "fetch it again")
    name, count, rate, samples = _record_line(body[0], path)
    if len(body) - 1 != count:
        raise RecordError(path, f"announces {count} signals and describes {len(body) - 1}", "the header is incomplete or altered")
    return Header(name, rate, samples, tuple(_signal_line(line, path) for line in body[1:]), comments)


def _record_line(line: str, path: Path) -> tuple[str, int, float, int]:
    fields = line.split()
    if "/" in fields[0]:
        raise RecordError(path, "a record of several segments", "give one segment, or join them first")
    if len(fields) < 3:
        raise RecordError(path, "its first line states no number of signals or no sampling rate", "the rate must be stated")
    count = _integer(fields[1], "number of signals", path)
    if not 1 <= count <= MOST_LEADS:
        raise RecordError(path, f"{count} signals", f"an ECG has 1 to {MOST_LEADS}")
    stated = fields[2].split("/")[0]
    if not _NUMBER.match(stated):
        raise RecordError(path, f"sampling rate {stated[:20]!r} is not a positive number", "correct the header")
    rate = float(stated)
    if not 0 < rate < 1e6:
        raise RecordError(path, f"sampling rate {rate:g} Hz", "it must be a positive number")
    samples = _integer(fields[3], "number of samples", path) if len(fields) > 3 else 0
    if samples < 0:
        raise RecordError(path, f"{samples} samples", "correct the header")
    return fields[0], count, rate, samples


def _signal_line(line: str, path: Path) -> SignalLine:
    fields = line.split(maxsplit=8)
    if len(fields) < 3:
        raise RecordError(
            path, "a signal without a gain: its amplitude is unknown", "state the gain (steps per mV) in the header"
        )
    layout = _FORMAT.match(fields[1])
    scale = _GAIN.match(fields[2])
    if layout is None or scale is None:
        raise RecordError(path, "a signal line whose format or gain cannot be read", "correct the header")
    if layout[2] not in (None, "1"):
        raise RecordError(path, "signals at several rates in one record", "resample them to one rate first")
    if layout[3] not in (None, "0"):
        raise RecordError(path, "a signal that is skewed in time against the others", "align the signals first")
    gain = float(scale[1])
    if gain == 0:
        raise RecordError(path, "a gain of 0, which means uncalibrated: the amplitude is unknown", "state the gain")
    if not 0 < gain < 1e9:
        raise RecordError(path, f"a gain of {gain:g}", "it must be a positive number of steps per unit")
    zero = _integer(fields[4], "ADC zero", path) if len(fields) > 4 else 0
    return SignalLine(
        file=_safe_name(fields[0], path),
        format=int(layout[1]),
        offset=int(layout[4] or 0),
        gain=gain,
        baseline=int(scale[2]) if scale[2] is not None else zero,
        units=scale[3] or "mV",
        checksum=_integer(fields[6], "checksum", path) if len(fields) > 6 else None,
        description=fields[8] if len(fields) > 8 else "",
    )


def _safe_name(name: str, path: Path) -> str:
    """A signal file lies beside its header: any path in its name is refused, so that no header reads elsewhere."""
    if name in ("-", "~", ".", "..") or not _FILE_NAME.match(name):
        raise RecordError(path, "names a signal file outside its own folder", "signal files lie beside their header")
    return name


def _integer(text: str, what: str, path: Path) -> int:
    if not _INTEGER.match(text):
        raise RecordError(path, f"{what} {text[:20]!r} is not a whole number", "correct the header")
    return int(text)
