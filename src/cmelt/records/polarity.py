"""Is the whole record upside down, or are V1 to V6 in reverse? Einthoven holds then, and says nothing.

Upside down: which way P, QRS and T go in each lead. Most hearts have P and T upright in I, II and V3 to V6, R taller than S in I,
II, V5 and V6 and S deeper than R in V1; with all leads turned every one of these is against it.

V1 to V6 in reverse: each lead's waves then go the way that those of the lead as far from the other end go.

For `chest_leads.py`: each chest lead is much like what the other five make one expect, since they lie side by side around one
heart. A lead that is turned, or two that have changed places, are as much unlike it; put right, they are like it again.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import Beats, beat_time, stretch
from cmelt.records.reversal import FEWEST_BEATS

#: What must be there, each carrying something.
ALL_NEEDED: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
CHEST: tuple[str, ...] = ALL_NEEDED[2:]
#: P, QRS and T: the stretch whose mean is their level, and their own (s from the steepest point of QRS), as in `reversal.py`.
_WAVES = (((-0.3, -0.235), (-0.26, -0.06)), ((-0.09, -0.055), (-0.06, 0.08)), ((-0.09, -0.055), (0.14, 0.42)))
#: Of waves no larger than this nothing is told, mV.
_LEAST_MV = 1e-3
_BEAT = ((-0.09, -0.055), (-0.09, 0.42))

# Fitted by `scripts/polarity.py` on PTB-XL, folds 1–8, and simulated records; logits of being upside down.
# Rows: area and height of P, of QRS, of T; columns: leads.
_UPRIGHT_WEIGHTS = np.array(
    [
        [-0.58, -0.16, -0.9, 1.21, 1.46, -0.61, 1.16, 0.52],
        [-1.84, -1.66, 0.77, 0.02, -0.43, -0.76, 0.19, -0.83],
        [-1.34, 1.08, -1.97, -0.04, 1.69, 2.11, 1.24, 0.22],
        [-4.23, -1.97, -1.28, 0.23, 0.81, -0.78, -2.63, -3.5],
        [-0.46, -1.45, 0.72, 0.43, -1.51, -1.41, -0.34, -0.39],
        [-1, -0.24, -0.31, -0.5, -1.01, 0.67, 0.14, 1.01],
    ]
)
# Of having V1 to V6 in reverse: the same rows; columns: V1 minus V6, V2 minus V5, V3 minus V4.
_ORDER_WEIGHTS = np.array(
    [
        [-2.23, 1.94, 1.48],
        [3.52, -0.34, -1.05],
        [-8.1, -2.73, -0.99],
        [7.66, 2.61, 0.74],
        [2.1, 0.61, 0.08],
        [0.99, -0.93, -1.35],
    ]
)
#: So many of a thousand right records of folds 1–8 come beyond these, by weights that have not seen them: 2 and 2.
UPSIDE_DOWN_ABOVE, EXCHANGED_BELOW = 1.13, 0.177
#: And so many above this: 1.
REVERSED_ABOVE = 3.91
#: What the chest leads must say by themselves where limb electrodes look exchanged; chosen on fold 9.
_CHEST_ABOVE = 1.5
#: What of each other chest lead one is expected to be, a row each; nothing of itself. Limb leads may be at fault themselves.
_EXPECTED = np.array(
    [
        [0, 0.381, 0.018, 0.023, -0.066, -0.442],
        [0.715, 0, 0.813, -0.273, 0.036, 0.106],
        [0.018, 0.443, 0, 0.863, -0.214, -0.058],
        [0.013, -0.082, 0.476, 0, 0.804, -0.149],
        [-0.021, 0.006, -0.067, 0.458, 0, 0.681],
        [-0.178, 0.023, -0.023, -0.107, 0.851, 0],
    ]
)


def is_upside_down(
    beats: Beats, rows: dict[str, int], *, limb_leads_exchanged: bool = False, upright: NDArray[np.float64] | None = None
) -> bool:
    """Whether all leads look turned; no of too few beats.

    Args:
        rows: where the leads of `ALL_NEEDED` are in `beats`.
        limb_leads_exchanged: whether electrodes look exchanged, which turns limb leads and leaves the chest leads: these are then
            asked by themselves, too.
        upright: their `uprightness`, where it is known already.
    """
    if beats.cut.shape[1] < FEWEST_BEATS:
        return False
    speaking = (uprightness(beats, rows) if upright is None else upright) * _UPRIGHT_WEIGHTS
    if limb_leads_exchanged and float(speaking[:, 2:].sum()) <= _CHEST_ABOVE:
        return False
    return float(speaking.sum()) > UPSIDE_DOWN_ABOVE


def is_chest_reversed(beats: Beats, rows: dict[str, int], *, upright: NDArray[np.float64] | None = None) -> bool:
    """Whether V1 to V6 look as if in reverse, as V6 to V1 do; no of too few beats. Leads that are turned may look so, too.

    upright: their `uprightness`, where it is known already.
    """
    if beats.cut.shape[1] < FEWEST_BEATS:
        return False
    upright = uprightness(beats, rows) if upright is None else upright
    return float((against_order(upright) * _ORDER_WEIGHTS).sum()) > REVERSED_ABOVE


def against_order(upright: NDArray[np.float64]) -> NDArray[np.float64]:
    """`uprightness` [..., 2 · waves, leads] → [..., 2 · waves, 3]: V1 minus V6, V2 minus V5, V3 minus V4.

    All of it changes its sign where V1 to V6 are in reverse.
    """
    chest = upright[..., -len(CHEST) :]
    return np.asarray((chest - chest[..., ::-1])[..., : len(CHEST) // 2])


def uprightness(beats: Beats, rows: dict[str, int]) -> NDArray[np.float64]:
    """[2 · waves, leads]: of P, QRS and T the area, and how much taller than deep it is, beside the largest of any lead.

    All of it changes its sign with the record's.
    """
    beat = beats.middle[[rows[lead] for lead in ALL_NEEDED]].astype(np.float64)
    found = np.empty((2 * len(_WAVES), len(beat)))
    for place, (level, part) in enumerate(_WAVES):
        trace = beat @ _cut(beats.rate, level, part)
        length = trace.shape[1]
        largest = math.sqrt(float(np.add.reduce(trace * trace, axis=1).max()) / length)
        highest, lowest = np.maximum.reduce(trace, axis=1), np.minimum.reduce(trace, axis=1)
        found[2 * place] = np.add.reduce(trace, axis=1) / (length * (largest + _LEAST_MV))
        found[2 * place + 1] = (highest + lowest) / (max(float(highest.max()), -float(lowest.min())) + _LEAST_MV)
    return found


def beat_gram(beats: Beats, rows: dict[str, int]) -> NDArray[np.float64]:
    """[6, 6] products of the chest leads over QRS and T of the middle beat; the whole is of power 1."""
    beat = beats.middle[[rows[lead] for lead in CHEST]].astype(np.float64)
    trace = beat @ _cut(beats.rate, *_BEAT)
    gram = trace @ trace.T
    return np.asarray(gram / (np.trace(gram) + 1e-9))


def unlikeness(gram: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """How unlike the expected the chest leads are once a fault is undone, over how unlike they are as they stand.

    Args:
        gram: [6, 6] of a beat.
        expected: [6, 6], as `_EXPECTED`.
    Returns:
        [6 + 15]: each lead turned back, then each two exchanged back, in the order of `combinations(CHEST, 2)`.
    """
    costs = _costs(expected.tobytes()) @ gram.ravel()
    return np.asarray(costs[1:] / (costs[0] + 1e-9))


@lru_cache(maxsize=8)
def _costs(expected: bytes) -> NDArray[np.float64]:
    """[1 + 21, 36]: what weighs a gram into the squared misses of all predictions: as it is, and with each fault undone."""
    misses = np.eye(6) - np.frombuffer(expected).reshape(6, 6)
    weights = misses.T @ misses
    undone = [np.eye(6)]
    for lead in range(6):
        turn = np.eye(6)
        turn[lead, lead] = -1
        undone.append(turn)
    for one, other in combinations(range(6), 2):
        undone.append(np.eye(6)[[other if row == one else one if row == other else row for row in range(6)]])
    return np.array([(change.T @ weights @ change).ravel() for change in undone])


@lru_cache(maxsize=32)
def _cut(rate: float, level: tuple[float, float], part: tuple[float, float]) -> NDArray[np.float64]:
    """What cuts a part out of a beat, its level taken off: [samples of the beat, samples of the part]."""
    identity = np.eye(beat_time(rate).size)
    return np.ascontiguousarray(
        identity[:, stretch(rate, *part)] - identity[:, stretch(rate, *level)].mean(axis=1, keepdims=True)
    )
