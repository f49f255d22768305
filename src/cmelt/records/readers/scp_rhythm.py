"""The rhythm of an SCP-ECG file: sections 3 to 6 undone in the reverse of their order of making.

Made so: an averaged beat is subtracted at every beat, outside protected zones around the QRS the rest is averaged down to a
lower rate (bimodal compression), differences are taken, and Huffman-coded. Each step is optional. EN 1064, chapters 5.6 to 5.9,
annex C.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.readers import scp_sections as sections
from cmelt.records.readers.lead_codes import LEAD_NUMBERS
from cmelt.records.readers.limits import refuse_size
from cmelt.records.readers.scp_huffman import Table, decode, read_tables

#: Samples that are decoded one by one. A lead's code has at most 65,535 bytes, some 150,000 samples: twelve leads stay below it.
MOST_CODED = 1 << 21
#: A lead's bytes are counted in 16 bits: longer leads that are not compressed are cut there by those who write them.
FULLEST = 65_534
#: Bits that may be left over behind a lead's last sample: writers fill up to bytes or words.
_FILLING = 32
_MOST_FACTOR = 8


@dataclass(frozen=True)
class Rhythm:
    """signal [leads, samples] float64 in nanovolts, NaN before a lead begins and after it ends; rate in Hz."""

    signal: NDArray[np.float64]
    rate: float
    leads: tuple[str, ...]


@dataclass(frozen=True)
class _Lead:
    name: str
    first: int
    last: int

    @property
    def samples(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class _Coded:
    """Section 5 or 6: nanovolts a step, microseconds a sample, order of differences, the sixth byte, one stream a lead."""

    nanovolts: int
    microseconds: int
    differences: int
    flag: int
    streams: tuple[bytes, ...]


@dataclass(frozen=True)
class _Beats:
    """Section 4. Numbers of samples from 1; `beats` as (type, first, fiducial, last), `protected` as (first, last)."""

    milliseconds: int
    fiducial: int
    beats: tuple[tuple[int, int, int, int], ...]
    protected: tuple[tuple[int, int], ...]


def read_rhythm(parts: sections.Sections) -> Rhythm:
    """Decode the rhythm.

    Raises:
        RecordError: a section missing, altered or contradicting another, amplitude or time not stated.
    """
    path = parts.path
    try:
        leads, subtracted = _leads(parts.needed(sections.LEADS, "leads"), path)
        tables = None
        if sections.HUFFMAN in parts.bodies:
            tables = read_tables(parts.needed(sections.HUFFMAN, "Huffman tables"), path)
        rhythm = _coded(parts.needed(sections.RHYTHM, "rhythm"), len(leads), "rhythm", path)
        bimodal = bool(rhythm.flag)
        if not subtracted and not bimodal:
            rows = [_amplitudes(rhythm, row, lead, tables, path) for row, lead in enumerate(leads)]
            return _laid_out(rows, leads, rhythm.nanovolts, rhythm.microseconds)
        return _from_residuals(parts, leads, rhythm, tables, subtracted)
    except struct.error as error:
        raise RecordError(path, "a section is shorter than what it announces", "the file is damaged: fetch it again") from error


def _leads(body: bytes, path: Path) -> tuple[list[_Lead], bool]:
    """Section 3: the leads, and whether an averaged beat was subtracted."""
    count, flags = struct.unpack_from("<BB", body)
    leads = []
    for row in range(count):
        first, last, number = struct.unpack_from("<IIB", body, 2 + 9 * row)
        if first > last:
            raise RecordError(path, "a lead that ends before it begins", "the file is damaged: fetch it again")
        # Places are counted from 1. Who counts from 0 states the place behind the last sample as the last one.
        leads.append(_Lead(LEAD_NUMBERS.get(number, f"SCP lead {number}"), max(first, 1), last))
    begin, end = min((lead.first for lead in leads), default=1), max((lead.last for lead in leads), default=0)
    refuse_size(len(leads), end - begin + 1, path)
    return leads, bool(flags & 1)


def _coded(body: bytes, leads: int, what: str, path: Path) -> _Coded:
    nanovolts, microseconds, differences, flag = struct.unpack_from("<HHBB", body)
    if nanovolts == 0 or microseconds == 0:
        stated = "amplitude" if nanovolts == 0 else "rate"
        raise RecordError(path, f"states no {stated} of its {what}", "export it again from the ECG system")
    if differences > 2:
        raise RecordError(path, f"differences of order {differences}", "the file is damaged: fetch it again")
    sizes = struct.unpack_from(f"<{leads}H", body, 6)
    place = 6 + 2 * leads
    if place + sum(sizes) > len(body):
        raise RecordError(path, f"its {what} is truncated", "fetch it again")
    streams = []
    for size in sizes:
        streams.append(body[place : place + size])
        place += size
    return _Coded(nanovolts, microseconds, differences, flag, tuple(streams))


def _amplitudes(
    coded: _Coded, row: int, lead: _Lead, tables: Sequence[Table] | None, path: Path, count: int | None = None
) -> NDArray[np.int64]:
    """One lead's stream as amplitudes in steps, [samples]: `count` of them, or as many as the lead has."""
    stream = coded.streams[row]
    count = lead.samples if count is None else count
    if tables is None:
        held = len(stream) // 2
        cut = held < count and len(stream) >= FULLEST
        if (held < count and not cut) or held > count + 1:  # one more fills up to words
            raise RecordError(path, f"{held} samples of a lead that announces {count}", "the file is damaged: fetch it again")
        values = np.frombuffer(stream, dtype="<i2", count=held if cut else count).astype(np.int64)
    else:
        if count * len(coded.streams) > MOST_CODED:
            raise RecordError(path, f"announces {count} compressed samples a lead", f"at most {MOST_CODED} in all are read")
        values, left = decode(stream, count, tables, path)
        if left > _FILLING:
            raise RecordError(path, "a lead's code holds more than the lead announces", "the file is damaged: fetch it again")
    return _summed(values, coded.differences)


def _summed(values: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """Differences of first or second order undone; as in the encoders, in 16 bits that wrap around."""
    if order == 0 or values.size < 2:
        return values
    if order == 1:
        sums = np.cumsum(values)
    else:  # the first two values are amplitudes
        slopes = np.concatenate([[values[1] - values[0]], values[2:]]).cumsum()
        sums = np.concatenate([[values[0]], values[0] + slopes.cumsum()])
    return sums.astype(np.int16).astype(np.int64)


def _from_residuals(
    parts: sections.Sections, leads: list[_Lead], rhythm: _Coded, tables: Sequence[Table] | None, subtracted: bool
) -> Rhythm:
    """The rhythm from what was left of it after reference beats were taken off, or where only the QRS kept its rate."""
    path = parts.path
    beats = _beats(parts.needed(sections.REFERENCE_BEATS, "beats"))
    beat = _coded(parts.needed(sections.REFERENCE_BEAT, "reference beat"), len(leads), "reference beat", path)
    factor, rest = divmod(rhythm.microseconds, beat.microseconds)
    if rest or not 1 <= factor <= _MOST_FACTOR or (factor > 1 and not rhythm.flag):
        raise RecordError(path, "the rates of rhythm and reference beat do not fit", "export it again from the ECG system")
    rows = []
    for row, lead in enumerate(leads):
        held = _held_samples(lead, beats.protected, factor)
        values = _amplitudes(rhythm, row, lead, tables, path, held)
        full = _expanded(values, lead, beats.protected, factor)
        signal = full.astype(np.float64) * rhythm.nanovolts
        if subtracted:
            count = round(beats.milliseconds * 1000 / beat.microseconds)
            average = _amplitudes(beat, row, lead, tables, path, count)
            _add_beats(signal, lead, average.astype(np.float64) * beat.nanovolts, beats)
        rows.append(signal)
    return _laid_out(rows, leads, 1, beat.microseconds)


def _beats(body: bytes) -> _Beats:
    milliseconds, fiducial, count = struct.unpack_from("<HHH", body)
    beats = tuple(struct.unpack_from("<HIII", body, 6 + 14 * number) for number in range(count))
    place = 6 + 14 * count
    zones = range(count) if len(body) >= place + 8 * count else ()
    protected = tuple(struct.unpack_from("<II", body, place + 8 * number) for number in zones)
    return _Beats(milliseconds, fiducial, beats, protected)


def _zones(lead: _Lead, protected: Sequence[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """The lead from its first to its last sample as (first, last, whether protected), without gaps."""
    zones = []
    place = lead.first
    for first, last in sorted(protected):
        first, last = max(first, place), min(last, lead.last)
        if last < first:
            continue
        if first > place:
            zones.append((place, first - 1, False))
        zones.append((first, last, True))
        place = last + 1
    if place <= lead.last:
        zones.append((place, lead.last, False))
    return zones


def _held_samples(lead: _Lead, protected: Sequence[tuple[int, int]], factor: int) -> int:
    """How many samples of the lead are stored: outside protected zones one of `factor`, and the few that are left over."""
    if factor == 1:
        return lead.samples
    sizes = ((last - first + 1, kept) for first, last, kept in _zones(lead, protected))
    return sum(size if kept else size // factor + size % factor for size, kept in sizes)


def _expanded(values: NDArray[np.int64], lead: _Lead, protected: Sequence[tuple[int, int]], factor: int) -> NDArray[np.float64]:
    """All samples of the lead: where they were averaged down, straight lines from middle to middle."""
    if factor == 1:
        return values.astype(np.float64)
    full = np.empty(lead.samples)
    taken = 0
    for first, last, kept in _zones(lead, protected):
        size = last - first + 1
        whole = 0 if kept else size // factor
        start = first - lead.first
        if whole:
            places = np.arange(whole * factor) - factor / 2
            full[start : start + whole * factor] = np.interp(
                places, np.arange(whole) * float(factor), values[taken : taken + whole]
            )
            taken += whole
        single = size - whole * factor
        full[start + whole * factor : start + size] = values[taken : taken + single]
        taken += single
    return full


def _add_beats(signal: NDArray[np.float64], lead: _Lead, average: NDArray[np.float64], beats: _Beats) -> None:
    """Add the averaged beat to `signal` [samples] wherever it was subtracted: beats of type 0, fiducial on fiducial."""
    for kind, first, fiducial, last in beats.beats:
        if kind != 0:
            continue
        shift = fiducial - beats.fiducial  # what lies at sample s of the average lies at s + shift of the lead
        begin = max(first, lead.first, 1 + shift)
        end = min(last, lead.last, average.size + shift)
        if begin <= end:
            signal[begin - lead.first : end - lead.first + 1] += average[begin - 1 - shift : end - shift]


def _laid_out(rows: Sequence[NDArray[np.generic]], leads: list[_Lead], nanovolts: float, microseconds: int) -> Rhythm:
    """Leads side by side, each at its time."""
    begin = min(lead.first for lead in leads)
    end = max(lead.first + row.size - 1 for lead, row in zip(leads, rows, strict=True))
    signal = np.full((len(leads), end - begin + 1), np.nan)
    for number, (lead, row) in enumerate(zip(leads, rows, strict=True)):
        signal[number, lead.first - begin : lead.first - begin + row.size] = row.astype(np.float64) * nanovolts
    return Rhythm(signal, 1e6 / microseconds, tuple(lead.name for lead in leads))
