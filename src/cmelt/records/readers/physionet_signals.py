"""From a WFDB header and its files to leads in millivolts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import lead_name
from cmelt.records.readers.options import ReadOptions, settle_leads, settle_rate, settle_unit
from cmelt.records.readers.physionet_files import SignalFile, columns_of, read_frames, signal_files
from cmelt.records.readers.physionet_formats import FLAC_BITS, LAYOUTS, Samples
from cmelt.records.readers.physionet_header import Header, SignalLine
from cmelt.records.record import LEADS, Signal
from cmelt.records.units import is_voltage, units_per_millivolt

#: Values that are worked on at a time: they stay in the processor's cache, and memory small beside the record itself.
_AT_A_TIME = 1 << 16

#: The same dozen names in every header of an archive.
_lead_name = lru_cache(maxsize=1024)(lead_name)

Read = tuple[tuple[str, ...], float, Signal]


class Lead(NamedTuple):
    """One signal that is read: its place in the header, its name, and how a step becomes a millivolt."""

    row: int
    name: str
    gain: float
    baseline: int
    per_millivolt: float


def read_signals(header: Header, header_path: Path, options: ReadOptions) -> Read:
    """Names, rate (Hz) and millivolts [leads, samples] of a record of one segment.

    Signals that are no voltage (pressures, respiration) are left out. So are, beside standard leads, voltages at another rate.

    Raises:
        RecordError: what is said of `read` in `physionet`.
    """
    leads, each = chosen_leads(header, header_path, options)
    rate = settle_rate(header.rate * each if header.rate is not None else None, options, str(header_path))
    return tuple(lead.name for lead in leads), rate, millivolts(header, header_path, leads, each)


def chosen_leads(header: Header, header_path: Path, options: ReadOptions) -> tuple[list[Lead], int]:
    """The leads among the signals of `header`, and how many samples of each are in a frame.

    Raises:
        RecordError: no voltage among them, voltages at several rates, a lead without name, gain or unit.
    """
    where = str(header_path)
    voltages = named_voltages(header, options, where)
    if not voltages:
        raise RecordError(where, "no signal in a unit of voltage", "an ECG comes in V, mV, uV or nV")
    each = {header.signals[row].per_frame for row in voltages}
    if len(each) > 1:
        each = {header.signals[row].per_frame for row, name in voltages.items() if name in LEADS}
        if len(each) != 1:
            raise RecordError(where, "signals at several rates in one record", "resample them to one rate first")
        voltages = {row: name for row, name in voltages.items() if header.signals[row].per_frame in each}
    return [scaled_lead(header, row, name, options, where) for row, name in voltages.items()], each.pop()


def named_voltages(header: Header, options: ReadOptions, where: str) -> dict[int, str]:
    """The signals of `header` that may be leads: place in the header → name."""
    rows = [row for row, line in enumerate(header.signals) if _is_lead(line, where)]
    if not rows:
        return {}
    return dict(zip(rows, _names([header.signals[row] for row in rows], options, where), strict=True))


def scaled_lead(header: Header, row: int, name: str, options: ReadOptions, where: str) -> Lead:
    """The lead `name` at `row` of the header, with its scale. Raises RecordError where the header does not state one."""
    line = header.signals[row]
    if line.gain is None:
        raise RecordError(
            where, "a signal without a gain: its amplitude is unknown", "state the gain (steps per mV) in the header"
        )
    if line.gain == 0:
        raise RecordError(where, "a gain of 0, which means uncalibrated: the amplitude is unknown", "state the gain")
    if not 1e-12 < line.gain < 1e12:
        raise RecordError(where, f"a gain of {line.gain:g}", "it must be a positive number of steps per unit, and no absurd one")
    # Where the unit is left out it is mV, by the format's definition; unless the caller knows better.
    units = options.unit or "mV" if line.units is None else settle_unit(line.units, options, where)
    return Lead(row, name, line.gain, line.baseline, units_per_millivolt(units, where))


def millivolts(header: Header, header_path: Path, leads: Sequence[Lead], each: int) -> Signal:
    """`leads` of the record, `each` samples of them in a frame: [leads, samples]; checksums verified."""
    signal: Signal | None = None
    frames = header.frames
    for file in signal_files(header, header_path):
        samples = read_frames(file, header, frames, header_path)
        frames = len(samples)
        if signal is None:
            signal = np.empty((len(leads), frames * each), dtype=np.float32)
        _convert(samples, file, leads, signal)
    if signal is None or not frames:
        raise RecordError(header_path, "the record has no samples", "leave it out")
    for place, lead in enumerate(leads):
        if skew := header.signals[lead.row].skew:
            _align(signal[place], skew * each, header_path)
    return signal


def _is_lead(line: SignalLine, where: str) -> bool:
    if line.units is None or is_voltage(line.units):
        return True
    if lead_name(line.description) in LEADS:
        units_per_millivolt(line.units, where)  # an ECG lead in another unit: refused, rather than left out
    return False


def _names(lines: Sequence[SignalLine], options: ReadOptions, where: str) -> tuple[str, ...]:
    """A name for each signal. Where the header names some, the others are numbered; so are doubles that are no standard leads."""
    stated = tuple(_lead_name(line.description) for line in lines)
    if not any(stated) or options.leads is not None:
        return settle_leads(stated if any(stated) else None, options, len(lines), where)
    named = [name or f"signal {place}" for place, name in enumerate(stated)]
    if len(set(named)) == len(named):
        return tuple(named)
    times: Counter[str] = Counter()
    for place, name in enumerate(named):
        times[name] += 1
        if times[name] > 1 and name not in LEADS:
            named[place] = f"{name} ({times[name]})"
    return tuple(named)


def _convert(samples: Samples, file: SignalFile, leads: Sequence[Lead], signal: Signal) -> None:
    """Write the leads that lie in `file` into their rows of `signal`, and verify the checksums of all its signals."""
    not_measured = -(1 << (FLAC_BITS[file.format] - 1)) if file.format in FLAC_BITS else LAYOUTS[file.format].not_measured
    places = {lead.row: place for place, lead in enumerate(leads)}
    columns = columns_of(file.lines)
    numbered = zip(range(len(file.lines)), file.lines, strict=True)
    for each, group in groupby(numbered, key=lambda pair: pair[1].per_frame):
        members = [number for number, _ in group]
        wanted = [number for number in members if file.first + number in places]
        rows = [places[file.first + number] for number in wanted]
        scales = Scales.of(tuple(leads[row] for row in rows), not_measured)
        within = slice(columns[members[0]].start, columns[members[-1]].stop)
        picked = [number - members[0] for number in wanted] if len(wanted) < len(members) else slice(None)
        into = slice(rows[0], rows[-1] + 1) if rows else slice(0)
        sums = np.zeros(len(members), dtype=np.int64)
        at_a_time = max(_AT_A_TIME // (within.stop - within.start), 1)
        for start in range(0, len(samples), at_a_time):
            part = samples[start : start + at_a_time, within]
            # [frames, signals, samples in a frame] → [signals, samples]
            shaped = part.reshape(len(part), len(members), each).transpose(1, 0, 2)
            block = np.ascontiguousarray(shaped.reshape(len(members), -1))
            sums += _sums(block)
            if rows:
                scales.millivolts(block[picked], signal[into, start * each : (start + len(part)) * each])
        _verify(sums, [file.lines[number] for number in members], file)


def _sums(block: Samples) -> NDArray[np.integer]:
    """The sum of each row; up to a multiple of 65536, as checksums are, where that is quicker."""
    if block.dtype == np.int16:
        return block.view(np.uint16).sum(axis=1, dtype=np.uint16)
    return block.sum(axis=1, dtype=np.int64)


@dataclass(frozen=True)
class Scales:
    """Steps to millivolts for some leads at once; columns [leads, 1].

    `single` says that float32 does: steps, baseline and gain are whole in it, and then one division in it is, to the last bit,
    one in float64 that is rounded afterwards (53 bits are two more than twice 24: rounding twice does no harm).
    """

    baseline: NDArray[np.float64]
    gain: NDArray[np.float64]
    per_millivolt: NDArray[np.float64]
    not_measured: int | None
    single: bool

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, leads: tuple[Lead, ...], not_measured: int | None) -> Scales:
        """The scales of `leads`, in the order of their rows; an archive's records have the same ones."""
        gain = np.array([[lead.gain] for lead in leads])
        baseline = np.array([[float(lead.baseline)] for lead in leads])
        per_millivolt = np.array([[lead.per_millivolt] for lead in leads])
        exact = all(lead.per_millivolt == 1 and abs(lead.baseline) < 1 << 23 for lead in leads)
        single = exact and bool((gain.astype(np.float32) == gain).all())
        return cls(baseline, gain, per_millivolt, not_measured, single)

    def millivolts(self, digital: Samples, out: Signal) -> None:
        """Write `digital` [leads, samples] into `out`, in mV; NaN where nothing was measured.

        In the order of operations of the reference reader, so that the two agree to the last bit.
        """
        if self.single and digital.dtype.itemsize <= 2:
            out[:] = digital
            if self.baseline.any():
                out -= self.baseline.astype(np.float32)
            out /= self.gain.astype(np.float32)
        else:
            physical = digital.astype(np.float64)
            physical -= self.baseline
            physical /= self.gain
            physical /= self.per_millivolt
            with np.errstate(over="ignore"):
                out[:] = physical
        # The least value of a format stands for nothing.
        if self.not_measured is not None and digital.size and digital.min() == self.not_measured:
            out[digital == self.not_measured] = np.nan


def _verify(sums: NDArray[np.int64], lines: Sequence[SignalLine], file: SignalFile) -> None:
    for total, line in zip(sums.tolist(), lines, strict=True):
        if line.checksum is not None and (total - line.checksum) % 65536:
            raise RecordError(file.path, "the checksum of a signal fails", "the file is altered: fetch it again")


def _align(row: NDArray[np.float32], skew: int, header_path: Path) -> None:
    """Move a lead that comes `skew` samples late in its file back into step; what it lacks at the end was not measured."""
    if skew >= row.size:
        raise RecordError(header_path, "a skew that is longer than the record", "correct the header")
    row[:-skew] = row[skew:]
    row[-skew:] = np.nan
