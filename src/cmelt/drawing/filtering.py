"""The one filter that a drawing may pass through; a page says whether it has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmelt.records.record import Signal

#: The band that monitors show, Hz. Run both ways, so that it moves nothing in time; up to 0.67 Hz is then harmless to the ST
#: segment (AHA/ACCF/HRS 2007, part I). The upper edge rounds off QRS complexes: intervals are read without it.
LOW, HIGH = 0.5, 40.0
#: The upper edge needs room below half the sampling rate.
_HIGHEST_SHARE = 0.9


def band_of(rate: float) -> tuple[float, float]:
    """The band of `monitor_filter` at `rate` Hz; slow recordings end before 40 Hz."""
    return LOW, min(HIGH, _HIGHEST_SHARE * rate / 2)


def monitor_filter(signal: Signal, rate: float) -> Signal:
    """`signal` [leads, samples] mV between the edges of `band_of`; gaps stay gaps, each stretch between them on its own."""
    from scipy.signal import butter, sosfiltfilt

    low, high = band_of(rate)
    sections = butter(2, (low, high), "bandpass", fs=rate, output="sos")
    filtered = np.full(signal.shape, np.nan, np.float32)
    for row, measured in zip(filtered, signal, strict=True):
        for start, stop in _stretches(np.isfinite(measured)):
            pad = min(round(rate / low), stop - start - 1)  # a period of the lower edge
            row[start:stop] = sosfiltfilt(sections, measured[start:stop].astype(np.float64), padlen=pad)
    return filtered


def _stretches(measured: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], measured.astype(np.int8), [0]])))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
