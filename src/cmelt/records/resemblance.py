"""How alike two signals are, at whatever rates, gains and filters: what a near fingerprint is confirmed by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmelt.records.record import Signal

#: Copies reach this, and records that are none do not (`benchmarks/fingerprint.py`).
LEAST_RESEMBLANCE = 0.95
#: Less than this in common tells nothing, s.
SHORTEST_SECONDS = 2.0

_BAND_HZ = (1.0, 20.0)
_EDGE_SECONDS = 0.5
#: A causal filter makes its copy late by some milliseconds.
_DELAYS = np.arange(-12, 13, 2) / 1000


def resemblance(first: Signal, first_rate: float, second: Signal, second_rate: float) -> float:
    """The middle lead's correlation between 1 and 20 Hz, at the best delay up to 12 ms; −1 where there is nothing to compare.

    Args:
        first, second: [leads, samples], the same leads in the same order, beginning at the same moment; NaN or constant rows
            take no part. What one of them goes on after the other's end takes no part either.
        first_rate, second_rate: Hz.
    """
    seconds = min(first.shape[1] / first_rate, second.shape[1] / second_rate)
    if seconds < SHORTEST_SECONDS:
        return -1.0
    one, other = _spectrum(first, first_rate, seconds), _spectrum(second, second_rate, seconds)
    most = min(one.shape[1], other.shape[1])
    one, other = one[:, :most], other[:, :most]
    power = np.sum(np.abs(one) ** 2, axis=1) * np.sum(np.abs(other) ** 2, axis=1)
    rows = np.flatnonzero(power > 0)
    if rows.size == 0:
        return -1.0
    frequencies = (np.arange(most) + _lowest(seconds)) / seconds
    delayed = np.exp(2j * np.pi * frequencies[:, None] * _DELAYS)  # [frequencies, delays]
    correlations = ((one[rows] * other[rows].conj()) @ delayed).real / np.sqrt(power[rows])[:, None]
    return float(np.median(correlations, axis=0).max())


def _lowest(seconds: float) -> int:
    """The first line of the spectrum of `seconds` that is in the band."""
    return int(np.ceil(_BAND_HZ[0] * seconds))


def _spectrum(signal: Signal, rate: float, seconds: float) -> NDArray[np.complex128]:
    """Lines of the band [leads, lines]; zero where a lead was not measured throughout."""
    samples = round(seconds * rate)
    part = signal[:, :samples].astype(np.float64)
    part[~np.isfinite(part).all(axis=1)] = 0
    part -= part.mean(axis=1, keepdims=True)
    part[np.ptp(part, axis=1) < 1e-9] = 0  # a constant's mean may leave rounding errors
    time = np.arange(samples) / rate
    part *= np.sin(np.pi / 2 * np.clip(np.minimum(time, seconds - time) / _EDGE_SECONDS, 0, 1)) ** 2
    return np.asarray(np.fft.rfft(part, axis=1)[:, _lowest(seconds) : int(_BAND_HZ[1] * seconds) + 1])
