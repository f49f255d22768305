"""An ECG as the page draws it: a JSON header, then int16 steps.

4 bytes, little-endian: the header's length; the header, UTF-8; then int16 little-endian [leads, samples], row by row. A sample
is `microvolts_per_step` times its number; `NOT_MEASURED` stands where nothing was.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.leads import lead_name
from cmelt.records.readers.limits import refuse_size
from cmelt.records.record import LEADS, Record
from cmelt.records.units import refuse_impossible_amplitude
from cmelt.serving.notice import NOTICE

MEDIA_TYPE = "application/vnd.cmelt.ecg"
FORMAT, VERSION = "cmelt-ecg", 1
NOT_MEASURED = -32768

#: So many bytes tell whether a file is of this form.
HEAD_BYTES = 64

_LARGEST = 32767
_LONGEST_HEADER = 1 << 20
_WHERE = "canonical ECG"


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is of this form: its header names it first."""
    return head[4:].startswith(b'{"format":') and f'"{FORMAT}"'.encode() in head


def canonical_ecg(record: Record, missing: tuple[str, ...], flags: tuple[str, ...], facts: dict[str, Any]) -> bytes:
    """`record` in this form: its standard leads in their order, then any others. One step is 1 µV unless that is too small.

    Args:
        missing: standard leads without a signal.
        flags: what is wrong with the recording.
        facts: what else there is to say; JSON.
    """
    standard = [record.leads.index(lead) for lead in LEADS if lead in record.leads]
    rows = [*standard, *(row for row, lead in enumerate(record.leads) if lead not in LEADS)]
    step = _step(record)
    measured = np.isfinite(record.signal)
    numbers = np.rint(np.where(measured, record.signal, 0.0) * (1000.0 / step))
    steps = np.where(measured, numbers, NOT_MEASURED).astype("<i2")[rows]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "leads": [record.leads[row] for row in rows],
        "rate": record.rate,
        "samples": record.signal.shape[1],
        "microvolts_per_step": step,
        "not_measured": NOT_MEASURED,
        "missing": list(missing),
        "flags": list(flags),
        "facts": facts,
        "notice": NOTICE,
    }
    head = json.dumps(header, ensure_ascii=False, allow_nan=False).encode()
    return struct.pack("<I", len(head)) + head + steps.tobytes()


def record_in(content: bytes) -> Record:
    """The record of bytes that `canonical_ecg` has made.

    Raises:
        RecordError: of another form, or cut off.
    """
    header, body = _parted(content)
    try:
        leads, samples = tuple(lead_name(str(lead)) for lead in header["leads"]), int(header["samples"])
        rate, step = float(header["rate"]), float(header["microvolts_per_step"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RecordError(_WHERE, "its header lacks leads, samples, rate or microvolts_per_step", "write all four") from error
    refuse_size(len(leads), samples, _WHERE)
    if len(body) != 2 * len(leads) * samples:
        raise RecordError(_WHERE, f"{len(body)} bytes of samples where {2 * len(leads) * samples} are announced", "send all")
    if not 0 < step < 1e6:
        raise RecordError(_WHERE, "its microvolts_per_step is no step", "give a positive number")
    steps = np.frombuffer(body, "<i2").reshape(len(leads), samples)
    signal = np.where(steps == NOT_MEASURED, np.nan, steps * (step / 1000.0)).astype(np.float32)
    refuse_impossible_amplitude(signal, _WHERE)
    return Record(signal, rate, leads, origin=_WHERE)


def _parted(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack_from("<I", content)[0] if len(content) >= 4 else 0
    if not 0 < length <= min(_LONGEST_HEADER, len(content) - 4):
        raise RecordError(_WHERE, "its header is cut off", "send the file whole")
    try:
        header = json.loads(content[4 : 4 + length])
    except (ValueError, RecursionError) as error:
        raise RecordError(_WHERE, "its header is not JSON", "write it as UTF-8 JSON") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT or header.get("version") != VERSION:
        raise RecordError(_WHERE, f"is not {FORMAT} of version {VERSION}", "see docs/serve.md")
    return header, content[4 + length :]


def _step(record: Record) -> float:
    """1 µV, or the smallest of 2, 5, 10, 20 … with which the largest sample fits."""
    with np.errstate(invalid="ignore"):
        largest = float(np.nanmax(np.abs(record.signal), initial=0.0)) * 1000.0
    step, factors = 1.0, (2.0, 2.5, 2.0)
    turn = 0
    while largest / step > _LARGEST:
        step *= factors[turn % 3]
        turn += 1
    return step
