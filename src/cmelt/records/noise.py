"""Noise, lead by lead: is there a heart in it, does it wander, jump, tremble or stand still? And can the record be read?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import BEFORE_SECONDS, Beats

FEWEST_BEATS = 3
#: Two seconds, in which there is a beat, are quiet where a lead moves less than this, mV.
_QUIET_SECONDS, _QUIET_MV = 2.0, 0.03

# Fitted by `benchmarks/fit_quality.py` on half of the Challenge 2011 records that people called acceptable or not; a lead's score
# is a logit, a record's is the logarithm of the sum of its leads' odds.
_WEIGHTS = np.array([-0.88, -0.406, 0.497, 0.36, 0.791, 3.99])
_OFFSET = -0.471
#: A record is poor above this: people's verdicts on that half are met equally often both ways, each by weights fitted without it.
POOR_ABOVE = -1.8
#: A lead is called noisy that alone makes a record poor.
NOISY_ABOVE = -1.8


def lead_noise(beats: Beats) -> NDArray[np.float64]:
    """[leads] score of each: the higher, the less it can be read."""
    return np.asarray(noise_features(beats) @ _WEIGHTS + _OFFSET)


def record_noise(scores: NDArray[np.float64]) -> float:
    """The score of a record from those of its leads."""
    highest = float(scores.max())
    return highest + float(np.log(np.exp(scores - highest).sum()))


def noise_features(beats: Beats) -> NDArray[np.float64]:
    """[leads, 6]: how well beats agree, their size, wander, jumps, trembling (logarithms, mV), share of quiet stretches."""
    signal = beats.signal
    agreement, size = _beats_in(beats)
    half = max(round(0.5 * beats.rate), 2)
    parts = signal[:, : signal.shape[1] // half * half].reshape(len(signal), -1, half)
    levels = parts.mean(axis=2)
    ordered = np.sort(levels, axis=1)
    count = ordered.shape[1]
    wander = ordered[:, round(0.95 * (count - 1))] - ordered[:, round(0.05 * (count - 1))]
    jump = np.abs(np.diff(levels, axis=1)).max(axis=1, initial=0)
    bends = np.abs(signal[:, 2::2] - 2 * signal[:, 1:-1:2] + signal[:, :-2:2]) * np.float32((beats.rate / 100) ** 2)
    trembling = np.partition(bends, int(0.75 * bends.shape[1]), axis=1)[:, int(0.75 * bends.shape[1])]
    long = max(round(_QUIET_SECONDS * beats.rate), 2)
    quiet = (np.ptp(signal[:, : signal.shape[1] // long * long].reshape(len(signal), -1, long), axis=2) < _QUIET_MV).mean(axis=1)
    logarithms = (_log(agreement, 0.05), _log(size, 0.02), _log(wander, 0.1), _log(jump, 0.05), _log(trembling, 0.005))
    return np.stack([*logarithms, quiet], axis=1).astype(np.float64)


def _beats_in(beats: Beats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[leads] the middle QRS's size over what beats differ from it, and its height in mV; zero with too few beats."""
    if beats.cut.shape[1] < FEWEST_BEATS:
        return np.zeros(len(beats.signal), np.float32), np.zeros(len(beats.signal), np.float32)
    at = round(BEFORE_SECONDS * beats.rate)
    within = slice(at - round(0.1 * beats.rate), at + round(0.12 * beats.rate))
    middle = beats.middle[:, within]
    middle = middle - middle.mean(axis=1, keepdims=True)
    each = beats.cut[:, :, within]
    rest = each - each.mean(axis=2, keepdims=True) - middle[:, None]
    differing = np.sqrt(np.median((rest**2).mean(axis=2), axis=1))
    return np.sqrt((middle**2).mean(axis=1)) / (differing + np.float32(0.003)), np.ptp(middle, axis=1)


def _log(values: NDArray[np.floating], least: float) -> NDArray[np.floating]:
    return np.asarray(np.log(np.maximum(values, least)))
