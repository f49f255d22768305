"""Mains in the recording: a line at 50 or 60 Hz, or where a wrong sampling rate puts it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cmelt.records.record import Record

#: Where a line is looked for: mains, and mains under a rate that is half or twice the true one.
PLACES_HZ: tuple[int, ...] = (50, 60, 25, 30, 100, 120)
_SECONDS = 10.0
_SHORTEST_SECONDS = 4.0
#: Mains frequencies wander by tenths of a percent, recorders' clocks too.
_TOLERANCE_HZ = 0.25
_BESIDE_HZ = 2.0
#: The line's amplitude in µV, and how far it stands above the highest one beside it.
LEAST_MICROVOLTS = 4.0
LEAST_CONTRAST = 3.0
_LARGEST_MV = np.float32(1e6)


@dataclass(frozen=True)
class Line:
    """A line in the spectrum: nominal place, amplitude (µV, root mean square over mixtures of leads) and contrast."""

    hertz: int
    microvolts: float
    contrast: float


def mains_line(record: Record) -> Line | None:
    """The clearest line at one of `PLACES_HZ` in the first 10 s of `record`, or None.

    Leads are mixed in two ways before the spectrum is taken, so that no lead's phase hides the line in all of them.
    """
    samples = min(record.signal.shape[1], int(_SECONDS * record.rate))
    if samples < _SHORTEST_SECONDS * record.rate:
        return None
    part = record.signal[:, :samples]
    if not np.isfinite(part).all():
        part = np.where(np.isfinite(part), part, np.float32(0))
    mixed = _mixtures(len(record.leads)) @ np.clip(part, -_LARGEST_MV, _LARGEST_MV)
    mixed -= mixed.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(mixed * _window(samples), axis=1)
    amplitude = np.sqrt((spectrum.real**2 + spectrum.imag**2).mean(axis=0)) * (4 / samples) * 1000  # µV of a sine
    lines = [line for place in PLACES_HZ if (line := _line(amplitude, record.rate / samples, place)) is not None]
    return max(lines, key=lambda line: line.contrast, default=None)


@lru_cache(maxsize=8)
def _window(samples: int) -> NDArray[np.float32]:
    return np.hanning(samples).astype(np.float32)


@lru_cache(maxsize=8)
def _mixtures(leads: int) -> NDArray[np.float32]:
    """[2, leads] sums and differences of leads, scaled so that a line of one size in every lead keeps about that size."""
    signs = np.where(np.random.default_rng(7).random((2, leads)) < 0.5, -1, 1)
    return (signs / np.sqrt(leads)).astype(np.float32)


def _line(amplitude: NDArray[np.float32], step: float, place: int) -> Line | None:
    """The line at `place` Hz of a spectrum in steps of `step` Hz, if it stands out."""
    if place + _BESIDE_HZ >= amplitude.size * step * 0.96:
        return None
    low, high = (round((place + by) / step) for by in (-_TOLERANCE_HZ, _TOLERANCE_HZ))
    peak = float(amplitude[low : high + 1].max())
    apart = max(round(0.5 / step), 3)
    reach = round(_BESIDE_HZ / step)
    beside = np.concatenate([amplitude[low - reach : low - apart], amplitude[high + apart + 1 : high + reach + 1]])
    highest = float(beside.max()) if beside.size else peak
    if peak < LEAST_MICROVOLTS or peak < LEAST_CONTRAST * highest:
        return None
    return Line(place, peak, peak / max(highest, 1e-6))
