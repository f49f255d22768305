"""SCP-ECG (EN 1064, ISO 11073-91064): the rhythm, the device's measurements and statements, age and sex.

`scp_sections` finds and checks the sections, `scp_rhythm` decodes the signal.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmelt.records.leads import derive_limb_leads
from cmelt.records.readers import scp_sections as sections
from cmelt.records.readers.demographics import age_at, age_in_years
from cmelt.records.readers.lead_codes import LEAD_NUMBERS
from cmelt.records.readers.limits import read_whole
from cmelt.records.readers.measurements import plausible
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions, settle_leads, settle_rate
from cmelt.records.readers.scp_rhythm import read_rhythm
from cmelt.records.record import Record
from cmelt.records.units import refuse_impossible_amplitude

NAME = "SCP-ECG"

NANOVOLTS_PER_MILLIVOLT = 1e6
#: "Not computed" of section 7; that of axes (999, 29,999) is beyond what is plausible for one.
_UNDEFINED = (29_999, 65_535)
_AGE_UNITS: Mapping[int, str] = {1: "years", 2: "months", 3: "weeks", 4: "days", 5: "hours"}
_PATIENT, _AGE, _BORN, _SEX, _DEVICE, _RECORDED = 2, 4, 5, 8, 14, 25
_LANGUAGE_BYTE = 16  # of the device's description
#: Language support code → how Python calls the character set (annex A); all others are written in Latin-1 or ASCII.
_CHARACTER_SETS: Mapping[int, str] = {
    0x03: "iso8859_2", 0x0B: "iso8859_4", 0x13: "iso8859_5", 0x1B: "iso8859_6", 0x23: "iso8859_7", 0x2B: "iso8859_8",
    0x33: "iso8859_11", 0x3B: "iso8859_15", 0x0F: "shift_jis", 0x17: "euc_jp", 0x1F: "euc_jp", 0x27: "gb2312",
    0x2F: "cp949", 0x37: "utf-8",
}  # fmt: skip


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (by content alone)
    """Section 0 at its place, marked or pointing to itself."""
    return sections.looks_like_scp(head)


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the record at `path`.

    The four limb leads that the usual eight determine are computed (`Record.derived`).

    Raises:
        RecordError: truncated, altered (checksums), contradictory, amplitude or time not stated.
    """
    parts = sections.read_sections(read_whole(path), path)
    rhythm = read_rhythm(parts)
    signal = (rhythm.signal / NANOVOLTS_PER_MILLIVOLT).astype(np.float32)
    refuse_impossible_amplitude(signal, str(path))
    tags = _tags(parts.optional(sections.PATIENT))
    characters = _character_set(tags)
    named = any(lead in LEAD_NUMBERS.values() for lead in rhythm.leads)  # single-lead recorders leave theirs unspecified
    stated = rhythm.leads if named else None
    record = Record(
        signal,
        settle_rate(rhythm.rate, options, str(path)),
        settle_leads(stated, options, len(rhythm.leads), str(path)),
        path.stem,
        report=_report(parts, characters),
        patient=(_text(tags.get(_PATIENT, b""), characters) or None) if options.identity else None,
        age=_age(tags),
        sex={1: "male", 2: "female"}.get(tags.get(_SEX, b"\x00")[0]),
        origin=str(path),
        measurements=_measurements(parts.optional(sections.MEASUREMENTS)),
    )
    complete, derived = derive_limb_leads(record)
    return replace(complete, derived=derived)


def _tags(body: bytes) -> dict[int, bytes]:
    """Section 1: the first value of every tag; empty values are left out."""
    tags: dict[int, bytes] = {}
    place = 0
    while place + 3 <= len(body):
        tag, size = struct.unpack_from("<BH", body, place)
        value = body[place + 3 : place + 3 + size]
        if tag == 255 or len(value) < size:
            break
        if value:
            tags.setdefault(tag, value)
        place += 3 + size
    return tags


def _character_set(tags: Mapping[int, bytes]) -> str:
    device = tags.get(_DEVICE, b"")
    return _CHARACTER_SETS.get(device[_LANGUAGE_BYTE], "latin-1") if len(device) > _LANGUAGE_BYTE else "latin-1"


def _text(value: bytes, characters: str) -> str:
    """Text up to its zero byte."""
    return value.split(b"\x00", 1)[0].decode(characters, "replace").strip()


def _age(tags: Mapping[int, bytes]) -> float | None:
    """Years, from the stated age, else from the dates of birth and recording."""
    if len(tags.get(_AGE, b"")) >= 3:
        number, unit = struct.unpack_from("<HB", tags[_AGE])
        stated = age_in_years(float(number), _AGE_UNITS.get(unit, "")) if number else None
        if stated is not None:
            return stated
    return age_at(_date(tags.get(_BORN, b"")), _date(tags.get(_RECORDED, b"")))


def _date(value: bytes) -> str:
    return "{:04d}{:02d}{:02d}".format(*struct.unpack_from("<HBB", value)) if len(value) >= 4 else ""


def _measurements(body: bytes) -> Mapping[str, float]:
    """Section 7: intervals from the onsets and ends of the first (the global) block, axes, rate, corrected QT."""
    if len(body) < 6:
        return plausible({})
    blocks, spikes, rr = struct.unpack_from("<BBH", body)
    found: dict[str, float | None] = {}
    if blocks and len(body) >= 22:
        p_on, p_end, qrs_on, qrs_end, t_end, *axes = struct.unpack_from("<5H3h", body, 6)
        found = {
            "p_ms": _interval(p_on, p_end),
            "pr_ms": _interval(p_on, qrs_on),
            "qrs_ms": _interval(qrs_on, qrs_end),
            "qt_ms": _interval(qrs_on, t_end),
        }
        found |= dict(zip(("p_axis_deg", "qrs_axis_deg", "t_axis_deg"), axes, strict=True))
    place = 6 + 16 * blocks + 10 * spikes  # then a type for every beat, then rates and corrected QT
    if place + 2 <= len(body):
        place += 2 + struct.unpack_from("<H", body, place)[0]
    if place + 6 <= len(body):
        ventricular, _, corrected = struct.unpack_from("<3H", body, place)
        found |= {"heart_rate_bpm": ventricular, "qtc_ms": None if corrected in _UNDEFINED else corrected}
    if not found.get("heart_rate_bpm") and rr and rr not in _UNDEFINED:
        found["heart_rate_bpm"] = round(60_000 / rr, 1)  # a device that states the mean RR interval alone
    return plausible(found)


def _interval(begin: int, end: int) -> float | None:
    return None if begin in _UNDEFINED or end in _UNDEFINED else float(end - begin)


def _report(parts: sections.Sections, characters: str) -> str | None:
    """The statements of section 8, one a line; where there are none, the texts and codes of section 11."""
    for number, leading in ((sections.STATEMENTS, 0), (sections.STATEMENT_CODES, 1)):
        lines = _statements(parts.optional(number), leading, characters)
        if lines:
            return "\n".join(lines)
    return None


def _statements(body: bytes, leading: int, characters: str) -> list[str]:
    """Statements of a section, of whose values the first `leading` bytes are no text."""
    lines = []
    place = 9  # behind kind, date, time and number of statements
    for _ in range(body[8] if len(body) > 8 else 0):
        if place + 3 > len(body):
            break
        (size,) = struct.unpack_from("<H", body, place + 1)
        value = body[place + 3 + leading : place + 3 + size]
        words = [part.decode(characters, "replace").strip() for part in value.split(b"\x00")]
        line = " ".join(word for word in words if word)
        if line:
            lines.append(line)
        place += 3 + size
    return lines
