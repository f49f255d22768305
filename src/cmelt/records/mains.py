"""Mains in the recording: a line at 50 or 60 Hz, or where a wrong sampling rate puts it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmelt.records.record import Record, Signal

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
    around = _around(samples, record.rate)
    if not around.places:
        return None
    spectrum = np.fft.rfft(_mixed(record.signal[:, :samples]) * _window(samples), axis=1)[:, around.bins]
    squares = np.add.reduce(spectrum.real**2 + spectrum.imag**2, axis=0).reshape(len(around.places), -1)
    to_microvolts = 4 / samples * 1000 / np.sqrt(2)  # of a sine
    peaks, beside = (
        (np.sqrt(np.maximum.reduce(part, axis=1)) * to_microvolts).tolist()
        for part in (squares[:, : around.within], squares[:, around.within :])
    )
    lines = [
        Line(place, peak, peak / max(highest, 1e-6))
        for place, peak, highest in zip(around.places, peaks, beside, strict=True)
        if peak >= LEAST_MICROVOLTS and peak >= LEAST_CONTRAST * highest
    ]
    return max(lines, key=lambda line: line.contrast, default=None)


def _mixed(part: Signal) -> NDArray[np.float32]:
    """[2, samples] two mixtures of the leads, their means taken off, gaps as zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        mixed = _mixtures(len(part)) @ part
        if not np.vdot(mixed, mixed) < float(_LARGEST_MV) ** 2:
            measured = np.where(np.isfinite(part), part, np.float32(0))
            mixed = _mixtures(len(part)) @ np.clip(measured, -_LARGEST_MV, _LARGEST_MV)
    mixed -= (mixed @ np.full(mixed.shape[1], 1 / mixed.shape[1], np.float32))[:, None]
    return np.asarray(mixed)


@lru_cache(maxsize=8)
def _window(samples: int) -> NDArray[np.float32]:
    return np.hanning(samples).astype(np.float32)


@lru_cache(maxsize=8)
def _mixtures(leads: int) -> NDArray[np.float32]:
    """[2, leads] sums and differences of leads, scaled so that a line of one size in every lead keeps about that size."""
    signs = np.where(np.random.default_rng(7).random((2, leads)) < 0.5, -1, 1)
    return (signs / np.sqrt(leads)).astype(np.float32)


@lru_cache(maxsize=16)
def _around(samples: int, rate: float) -> _Around:
    """Where in the spectrum of so many samples the places' lines can be, and what is beside them."""
    step = rate / samples
    apart, reach = max(round(0.5 / step), 3), round(_BESIDE_HZ / step)
    places = tuple(place for place in PLACES_HZ if place + _BESIDE_HZ < (samples // 2 + 1) * step * 0.96)
    ends = [[round((place + by) / step) for by in (-_TOLERANCE_HZ, _TOLERANCE_HZ)] for place in places]
    within = max((high - low + 1 for low, high in ends), default=0)
    bins: list[int] = []
    for low, high in ends:
        bins += [min(low + offset, high) for offset in range(within)]
        bins += [*range(low - reach, low - apart), *range(high + apart + 1, high + reach + 1)]
    return _Around(places, within, np.array(bins, dtype=np.int64))


class _Around(NamedTuple):
    """Bins of a spectrum, as many for each of `places`: first `within` in which the line may be, then those beside it."""

    places: tuple[int, ...]
    within: int
    bins: NDArray[np.int64]
