"""Noise, lead by lead: is there a heart in it, does it wander, jump, tremble or stand still? And can the record be read?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import BEFORE_SECONDS, Beats
from cmelt.records.record import Signal

FEWEST_BEATS = 3
#: Means of so much are what a baseline is, s.
_WANDER_SECONDS = 0.5
#: A record drifts where, in half of its leads, a tenth of the steps from one mean to the next exceed this share of their beats'
#: height; three of a thousand records of PTB-XL (folds 1 to 8) do.
DRIFTING_ABOVE = 0.27
_MOST_STEPS = 0.9
#: Added to that height, so that leads without beats are no reason, mV.
_LEAST_HEIGHT = 0.05
#: Two seconds, in which there is a beat, are quiet where a lead moves less than this, mV.
_QUIET_SECONDS, _QUIET_MV = 2.0, 0.03

# Fitted by `scripts/fit_quality.py` on half of the Challenge 2011 records that people called acceptable or not; a lead's score
# is a logit, a record's is the logarithm of the sum of its leads' odds.
_WEIGHTS = np.array([-0.88, -0.406, 0.497, 0.36, 0.791, 3.99])
_OFFSET = -0.471
#: Logarithms are taken of nothing smaller.
_LEAST = np.array([0.05, 0.02, 0.1, 0.05, 0.005])
#: A record is poor above this: people's verdicts on that half are met equally often both ways, each by weights fitted without it.
POOR_ABOVE = -1.8
#: A lead is called noisy that alone makes a record poor.
NOISY_ABOVE = -1.8


def lead_noise(beats: Beats) -> NDArray[np.float64]:
    """[leads] score of each: the higher, the less it can be read."""
    return np.asarray(noise_features(beats) @ _WEIGHTS + _OFFSET)


def record_noise(scores: NDArray[np.float64]) -> float:
    """The score of a record from those of its leads."""
    highest = float(np.maximum.reduce(scores))
    return highest + math.log(sum(math.exp(score - highest) for score in scores.tolist()))


def is_drifting(beats: Beats) -> bool:
    """Whether baselines wander strongly beside the height of the beats; no of too few beats.

    One large step, as of a premature beat, is not wandering: most steps must be small in a steady record, not all.
    """
    if beats.cut.shape[1] < FEWEST_BEATS:
        return False
    levels = _levels(beats.signal, max(round(_WANDER_SECONDS * beats.rate), 2))
    steps = np.sort(np.abs(levels[:, 1:] - levels[:, :-1]), axis=1)
    height = np.maximum.reduce(beats.middle, axis=1) - np.minimum.reduce(beats.middle, axis=1)
    many = steps[:, round(_MOST_STEPS * (steps.shape[1] - 1))]
    return bool(np.median(many / (height + _LEAST_HEIGHT)) > DRIFTING_ABOVE)


def noise_features(beats: Beats) -> NDArray[np.float64]:
    """[leads, 6]: how well beats agree, their size, wander, jumps, trembling (logarithms, mV), share of quiet stretches."""
    signal = beats.signal
    features = np.empty((len(signal), 6))
    features[:, 0], features[:, 1] = _beats_in(beats)
    features[:, 2], features[:, 3] = _wander(signal, max(round(_WANDER_SECONDS * beats.rate), 2))
    features[:, 4] = _trembling(signal, beats.rate)
    features[:, 5] = _quiet(signal, max(round(_QUIET_SECONDS * beats.rate), 2))
    logarithms = features[:, :5]
    np.log(np.maximum(logarithms, _LEAST), out=logarithms)
    return features


def _levels(signal: Signal, half: int) -> NDArray[np.float32]:
    """[leads, stretches] the means of `half` samples each."""
    count = signal.shape[1] // half
    return np.asarray(signal[:, : count * half].reshape(len(signal), count, half) @ np.full(half, 1 / half, np.float32))


def _wander(signal: Signal, half: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[leads] how far the means of `half` samples spread, and the largest step from one to the next."""
    levels = _levels(signal, half)
    count = levels.shape[1]
    ordered = np.sort(levels, axis=1)
    steps = np.abs(levels[:, 1:] - levels[:, :-1])
    spread = ordered[:, round(0.95 * (count - 1))] - ordered[:, round(0.05 * (count - 1))]
    return spread, np.maximum.reduce(steps, axis=1, initial=0)


def _trembling(signal: Signal, rate: float) -> NDArray[np.float32]:
    """[leads] the curvature that three quarters of the places stay below, as at 100 Hz."""
    bends = signal[:, 1:-1:2] * np.float32(-2)
    bends += signal[:, 2::2]
    bends += signal[:, :-2:2]
    np.abs(bends, out=bends).sort(axis=1)
    return np.asarray(bends[:, int(0.75 * bends.shape[1])] * np.float32((rate / 100) ** 2))


def _quiet(signal: Signal, long: int) -> NDArray[np.float64]:
    """[leads] the share of stretches of `long` samples in which the lead does not move."""
    stretches = signal[:, : signal.shape[1] // long * long].reshape(len(signal), -1, long)
    spans = np.maximum.reduce(stretches, axis=2) - np.minimum.reduce(stretches, axis=2)
    return np.asarray(np.add.reduce(spans < _QUIET_MV, axis=1) / spans.shape[1])


def _beats_in(beats: Beats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[leads] the middle QRS's size over what beats differ from it, and its height in mV; zero with too few beats."""
    count = beats.cut.shape[1]
    if count < FEWEST_BEATS:
        return np.zeros(len(beats.signal), np.float32), np.zeros(len(beats.signal), np.float32)
    at = round(BEFORE_SECONDS * beats.rate)
    within = slice(at - round(0.1 * beats.rate), at + round(0.12 * beats.rate))
    middle = beats.middle[:, within]
    mean = np.full(middle.shape[1], 1 / middle.shape[1], np.float32)
    middle = middle - (middle @ mean)[:, None]
    rest = beats.cut[:, :, within] - middle[:, None]
    rest -= (rest @ mean)[:, :, None]
    squares = np.sort(np.multiply(rest, rest, out=rest) @ mean, axis=1)
    differing = np.sqrt((squares[:, (count - 1) // 2] + squares[:, count // 2]) / 2)
    size = np.sqrt((middle * middle) @ mean)
    return size / (differing + np.float32(0.003)), np.maximum.reduce(middle, axis=1) - np.minimum.reduce(middle, axis=1)
