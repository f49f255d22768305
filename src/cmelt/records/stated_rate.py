"""Is the stated sampling rate twice or half the true one? All that lasts lasts half or twice as long then.

A heart at 150 beats a minute is nothing strange, nor is a QRS of 60 ms: both, with an early T wave, are.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import Beats, beat_time
from cmelt.records.mains import Line

FEWEST_BEATS = 3
#: Lags at which the signal is compared with itself, s.
_LAGS = (0.02, 0.04, 0.08, 0.16, 0.32)

# Fitted by `scripts/fit_quality.py` on PTB-XL, folds 1–8, at 100 and at 500 Hz, and simulated records, with right and wrong
# rates; scores are logits.
_DOUBLED_WEIGHTS = np.array([-4.277, 3.443, -6.256, -5.652, 5.719, -4.717, 1.294, -4.151])
_DOUBLED_OFFSET = -9.389
_HALVED_WEIGHTS = np.array([4.856, 0.817, 5.464, 5.435, 1.286, -4.376, 5.321, 2.145])
_HALVED_OFFSET = 9.349
#: Suspected above these, which four in a thousand of the same records reach under their right rate; and above the lowest where
#: mains stands at twice or half its place.
DOUBLED_ABOVE, HALVED_ABOVE = 1.2, 1.83
SUSPECT_WITH_MAINS_ABOVE = -3.0


def suspected_rate(beats: Beats, line: Line | None) -> str:
    """Which factor: "×2" where the stated rate seems twice the true one, "÷2" where half of it, else ""; "" with too few beats.

    Args:
        line: what stands out of the spectrum, out of `cmelt.records.mains`.
    """
    if beats.cut.shape[1] < FEWEST_BEATS:
        return ""
    features = rate_features(beats)
    for name, weights, offset, least, displaced in (
        ("×2", _DOUBLED_WEIGHTS, _DOUBLED_OFFSET, DOUBLED_ABOVE, (100, 120)),
        ("÷2", _HALVED_WEIGHTS, _HALVED_OFFSET, HALVED_ABOVE, (25, 30)),
    ):
        moved = line is not None and line.hertz in displaced
        if features @ weights + offset > (SUSPECT_WITH_MAINS_ABOVE if moved else least):
            return name
    return ""


def rate_features(beats: Beats) -> NDArray[np.float64]:
    """Eight logarithms of durations (s) and of how fast the signal forgets itself; a wrong rate shifts most of them."""
    beat = beats.middle.astype(np.float64)
    width, wide = _qrs_widths(beat, beats.rate)
    interval = beats.interval
    durations = (interval, width + 1e-3, _t_time(beat, beats.rate, interval))
    return np.array([*map(math.log, durations), *_forgetting(beats), math.log(wide + 1e-3)])


def _qrs_widths(beat: NDArray[np.float64], rate: float) -> tuple[float, float]:
    """How far around QRS all leads' speed spreads, and how long it is above a quarter of its highest (s)."""
    steps = beat[:, 1:] - beat[:, :-1]
    speed = np.sqrt(np.add.reduce(steps * steps, axis=0))
    slow = np.sort(speed)[speed.size // 5]
    near, time = _near_qrs(rate)
    speed = np.maximum(speed[near] - slow, 0)
    squares = speed * speed
    centre = float(speed @ time) / max(float(np.add.reduce(speed)), 1e-9)
    spread = float(squares @ (time - centre) ** 2) / max(float(np.add.reduce(squares)), 1e-12)
    return math.sqrt(spread), np.count_nonzero(speed > 0.25 * np.maximum.reduce(speed)) / rate


@lru_cache(maxsize=16)
def _near_qrs(rate: float) -> tuple[slice, NDArray[np.float64]]:
    """Which steps between a beat's samples are within 0.12 s of QRS, and when they are (s)."""
    between = beat_time(rate)[:-1] + 0.5 / rate
    near = np.flatnonzero(np.abs(between) < 0.12)
    return slice(int(near[0]), int(near[-1]) + 1), between[near]


def _t_time(beat: NDArray[np.float64], rate: float, interval: float) -> float:
    """Where the middle of the T wave is, s after QRS."""
    time = beat_time(rate)
    first, begin = time.searchsorted((-0.09, 0.1), side="right")  # neither end belongs to the level or the wave
    last, end = time.searchsorted((-0.05, max(min(0.5, 0.75 * interval), 0.14)))
    level = beat[:, first:last]
    wave = beat[:, begin:end] - np.add.reduce(level, axis=1, keepdims=True) / level.shape[1]
    size = np.add.reduce(wave * wave, axis=0)
    total = float(np.add.reduce(size))
    return float(time[begin:end] @ size) / total if total > 0 else 0.1


def _forgetting(beats: Beats) -> list[float]:
    """How much more the signal has changed after each lag than after half of it, four logarithms."""
    changes = []
    for lag in _LAGS:
        whole, part = divmod(lag * beats.rate, 1)
        change = _change(beats.signal, int(whole))
        if part > 1e-6:
            change += part * (_change(beats.signal, int(whole) + 1) - change)
        changes.append(change)
    return [math.log((later + 1e-9) / (sooner + 1e-9)) for sooner, later in pairwise(changes)]


def _change(signal: NDArray[np.float32], lag: int) -> float:
    """Sum of squared differences at `lag` samples."""
    if lag == 0 or lag >= signal.shape[1]:
        return 0.0
    difference = signal[:, lag:] - signal[:, :-lag]
    return float(np.vdot(difference, difference))
