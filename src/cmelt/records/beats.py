"""The heart beats of one record, quickly: where they are, and what the middle one looks like in every lead.

Good for looking at a recording's quality, not for measuring intervals: everything happens at 100 to 200 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cmelt.records.record import Record, Signal

#: Averaged down to this rate or up to twice it.
COARSE_HZ = 100.0
#: What is looked at of a longer record, s.
LONGEST_SECONDS = 30.0
#: The middle beat: this much before and after the steepest point of QRS, s.
BEFORE_SECONDS, AFTER_SECONDS = 0.3, 0.5
#: Two beats are no closer than this, s.
_REFRACTORY_SECONDS = 0.2
#: Whatever a file says, nothing larger is told apart: squares stay within float32.
_LARGEST_MV = np.float32(1e6)
#: So many averages are taken at once, as one row of a matrix product.
_AVERAGES_AT_ONCE = 8
_QRS_SECONDS = 0.06
#: A beat is as steep as this share of the steeper third of all.
_LEAST_STEEPNESS = 0.35


@dataclass(frozen=True)
class Beats:
    """A record at a low rate, and its beats.

    Attributes:
        signal: [leads, samples] float32 mV, each lead's mean taken off, gaps as zero.
        rate: Hz.
        peaks: [beats] samples at which all leads together are steepest.
    """

    signal: Signal
    rate: float
    peaks: NDArray[np.int64]

    @cached_property
    def cut(self) -> NDArray[np.float32]:
        """[leads, beats, samples] every beat that lies wholly in the record."""
        before, after = round(BEFORE_SECONDS * self.rate), round(AFTER_SECONDS * self.rate)
        whole = self.peaks[(self.peaks >= before) & (self.peaks + after < self.signal.shape[1])]
        if whole.size == 0:
            return np.zeros((len(self.signal), 0, before + after), np.float32)
        windows = sliding_window_view(self.signal, before + after, axis=1)
        return np.asarray(windows[:, whole - before])

    @cached_property
    def middle(self) -> Signal:
        """[leads, samples] the middle beat, sample by sample; there must be one."""
        return _median_of_beats(self.cut)

    @cached_property
    def time(self) -> NDArray[np.float64]:
        """[samples] of the middle beat, s from the steepest point."""
        return beat_time(self.rate)

    @cached_property
    def interval(self) -> float:
        """From beat to beat, the median in s; NaN of fewer than three beats."""
        return middle_value(self.peaks[1:] - self.peaks[:-1]) / self.rate if self.peaks.size >= 3 else float("nan")


def beats_of(record: Record) -> Beats:
    """The beats of the first 30 s of `record`."""
    signal, rate = coarse(record)
    return Beats(signal, rate, _peaks(signal, rate))


def coarse(record: Record) -> tuple[Signal, float]:
    """The first 30 s of `record` averaged down to 100–200 Hz, means taken off, gaps as zero."""
    block = max(int(record.rate // COARSE_HZ), 1)
    samples = min(record.signal.shape[1], int(LONGEST_SECONDS * record.rate)) // block * block
    part = record.signal[:, :samples]
    with np.errstate(over="ignore", invalid="ignore"):
        signal = _averages(part, block)
        if np.vdot(signal, signal) < float(_LARGEST_MV) ** 2:  # every sample is measured, and none too large
            signal -= (signal @ np.full(signal.shape[1], 1 / signal.shape[1], np.float32))[:, None]
        else:
            signal = _averages_with_gaps(part, block)
    return signal, record.rate / block


def _averages(part: Signal, block: int) -> Signal:
    """Means of `block` samples each; a gap spoils its neighbours too."""
    if block == 1:
        return part.copy()
    at_once = next(count for count in (_AVERAGES_AT_ONCE, 4, 2, 1) if part.size % (count * block) == 0)
    return np.asarray(part.reshape(-1, at_once * block) @ _averaging(at_once, block)).reshape(len(part), -1)


@lru_cache(maxsize=16)
def _averaging(count: int, block: int) -> NDArray[np.float32]:
    """[count · block, count] takes the means of `count` neighbouring blocks; BLAS does so many times faster than a reduction."""
    blocks = np.eye(count).repeat(block, axis=0)
    return np.asarray(blocks / block, dtype=np.float32)


def _averages_with_gaps(part: Signal, block: int) -> Signal:
    """Means of `block` samples each, the lead's mean taken off; zero where one of them is not measured."""
    total = part[:, ::block].copy()
    for offset in range(1, block):
        total += part[:, offset::block]
    total /= np.float32(block)
    np.clip(total, -_LARGEST_MV, _LARGEST_MV, out=total)
    measured = np.isfinite(total)
    for row, finite in zip(total, measured, strict=True):
        row -= row[finite].mean() if finite.any() else np.float32(0)
    total[~measured] = 0
    return total


@lru_cache(maxsize=16)
def beat_time(rate: float) -> NDArray[np.float64]:
    """[samples] of a beat at `rate` Hz, s from the steepest point."""
    time = np.arange(-round(BEFORE_SECONDS * rate), round(AFTER_SECONDS * rate)) / rate
    time.flags.writeable = False
    return time


@lru_cache(maxsize=64)
def stretch(rate: float, begin: float, end: float) -> slice:
    """Where a beat's samples at `rate` Hz are in `begin` ≤ time < `end` (s)."""
    first, last = np.searchsorted(beat_time(rate), (begin, end))
    return slice(int(first), int(last))


def middle_value(values: NDArray[np.generic]) -> float:
    """The median of `values` [n]; numpy's own takes ten times as long for so few."""
    ordered, count = np.sort(values), values.size
    return (float(ordered[(count - 1) // 2]) + float(ordered[count // 2])) / 2


def _peaks(signal: Signal, rate: float) -> NDArray[np.int64]:
    """Where the leads together, each against its own usual steepness, are steepest."""
    none = np.zeros(0, dtype=np.int64)
    reach = round(_REFRACTORY_SECONDS * rate)
    if signal.shape[1] < 2 * reach + 3:
        return none
    slopes = np.abs(signal[:, 2:] - signal[:, :-2])
    few = np.sort(slopes[:, ::3], axis=1)
    usual = few[:, int(0.96 * few.shape[1])]
    if not np.minimum.reduce(usual) > 0:
        slopes, usual = slopes[usual > 0], usual[usual > 0]
    if usual.size == 0:
        return none
    np.minimum(slopes, 3 * usual[:, None], out=slopes)
    steepness = _smoothed((1 / (usual * usual.size)) @ slopes, round(_QRS_SECONDS * rate))
    peaks = np.flatnonzero((steepness == _highest_within(steepness, reach)) & (steepness > 0))
    if peaks.size < 2:
        return peaks + 1
    heights = steepness[peaks]
    top = float(np.sort(heights)[-max(peaks.size // 3, 3) :].mean())
    rest = middle_value(steepness)
    return np.asarray(peaks[heights > rest + _LEAST_STEEPNESS * (top - rest)] + 1)


def _highest_within(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """The highest of each of the positive `values` [n] and its `reach` neighbours to both sides."""
    highest = np.full(values.size + 2 * reach, -1.0)
    highest[reach : reach + values.size] = values
    width, whole = 1, 2 * reach + 1
    while 2 * width <= whole:  # the highest of 1, 2, 4 … from each place on
        highest = np.maximum(highest[:-width], highest[width:])
        width *= 2
    return np.maximum(highest[: values.size], highest[whole - width : whole - width + values.size])


def _smoothed(values: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """A running mean over about `width` samples, the same length."""
    half = width // 2
    return np.convolve(values, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="same")


def _median_of_beats(cut: NDArray[np.float32]) -> NDArray[np.float32]:
    count = cut.shape[1]
    ordered = np.sort(cut, axis=1)
    return np.asarray((ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2)
