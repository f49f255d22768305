"""The heart beats of one record, quickly: where they are, and what the middle one looks like in every lead.

Good for looking at a recording's quality, not for measuring intervals: everything happens at 100 to 200 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
        return self.signal[:, whole[:, None] + np.arange(-before, after)]

    @cached_property
    def middle(self) -> Signal:
        """[leads, samples] the middle beat, sample by sample; there must be one."""
        return np.asarray(_median_of_beats(self.cut), dtype=np.float32)

    @cached_property
    def time(self) -> NDArray[np.float64]:
        """[samples] of the middle beat, s from the steepest point."""
        return np.arange(-round(BEFORE_SECONDS * self.rate), round(AFTER_SECONDS * self.rate)) / self.rate

    @cached_property
    def interval(self) -> float:
        """From beat to beat, the median in s; NaN of fewer than three beats."""
        return float(np.median(np.diff(self.peaks))) / self.rate if self.peaks.size >= 3 else float("nan")


def beats_of(record: Record) -> Beats:
    """The beats of the first 30 s of `record`."""
    signal, rate = coarse(record)
    return Beats(signal, rate, _peaks(signal, rate))


def coarse(record: Record) -> tuple[Signal, float]:
    """The first 30 s of `record` averaged down to 100–200 Hz, means taken off, gaps as zero."""
    block = max(int(record.rate // COARSE_HZ), 1)
    samples = min(record.signal.shape[1], int(LONGEST_SECONDS * record.rate)) // block * block
    part = record.signal[:, :samples]
    total = part[:, ::block].copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for offset in range(1, block):
            total += part[:, offset::block]
    total /= np.float32(block)
    np.clip(total, -_LARGEST_MV, _LARGEST_MV, out=total)
    measured = np.isfinite(total)
    if measured.all():
        total -= total.mean(axis=1, keepdims=True)
    else:
        for row, finite in zip(total, measured, strict=True):
            row -= row[finite].mean() if finite.any() else np.float32(0)
        total[~measured] = 0
    return total, record.rate / block


def _peaks(signal: Signal, rate: float) -> NDArray[np.int64]:
    """Where the leads together, each against its own usual steepness, are steepest."""
    none = np.zeros(0, dtype=np.int64)
    if signal.shape[1] < 2 * round(_REFRACTORY_SECONDS * rate) + 3:
        return none
    slopes = np.abs(signal[:, 2:] - signal[:, :-2])
    few = slopes[:, ::3]
    usual = np.partition(few, int(0.96 * few.shape[1]), axis=1)[:, int(0.96 * few.shape[1])]
    live = usual > 0
    if not live.any():
        return none
    steepness = _smoothed(np.minimum(slopes[live] / usual[live, None], 3).mean(axis=0), round(_QRS_SECONDS * rate))
    reach = round(_REFRACTORY_SECONDS * rate)
    padded = np.pad(steepness, reach, constant_values=-1)
    highest = sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    peaks = np.flatnonzero((steepness == highest) & (steepness > 0))
    if peaks.size < 2:
        return peaks + 1
    heights = steepness[peaks]
    top = float(np.sort(heights)[-max(peaks.size // 3, 3) :].mean())
    rest = float(np.median(steepness))
    return np.asarray(peaks[heights > rest + _LEAST_STEEPNESS * (top - rest)] + 1)


def _smoothed(values: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """A running mean over about `width` samples, the same length."""
    half = width // 2
    return np.convolve(values, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="same")


def _median_of_beats(cut: NDArray[np.float32]) -> NDArray[np.float32]:
    count = cut.shape[1]
    ordered = np.partition(cut, [(count - 1) // 2, count // 2], axis=1)
    return np.asarray((ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2)
