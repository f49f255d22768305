"""Were limb electrodes exchanged? Einthoven holds then too: what tells is which way P, QRS and T go beside V5 and V6.

With the arm electrodes exchanged lead I is turned, II and III change places, and so do aVR and aVL. True dextrocardia looks alike
in the limb leads, and a heart whose left side is dead may: the flag says "dextro-like", not whose fault it is. With the right
arm's and the left leg's exchanged lead II is turned, I and III change places, turned, and so do aVR and aVF. The left arm's and
the left leg's cannot be told: four of five such records look like somebody's right ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import Beats, beat_time, stretch

#: What must be there, each carrying something.
NEEDED: tuple[str, ...] = ("I", "II", "V5", "V6")
#: Fewer beats make no middle one.
FEWEST_BEATS = 3

# Fitted by `scripts/fit_quality.py` on PTB-XL, folds 1–8, and simulated records, with and without the exchange; logits.
_ARMS_WEIGHTS = np.array([-2.603, -1.745, -2.05, -1.376, -1.962, -0.915, -0.915, -4.14, -0.65])
_ARMS_OFFSET = 0.007
_LEG_WEIGHTS = np.array([-1.273, -1.95, -0.494, -0.645, -2.278, 0.002, 0.002, 0.076, -2.049])
_LEG_OFFSET = 0.007
#: Of the same records, as they are, one in five hundred comes above 0.26, one in a thousand above 3.47.
ARMS_ABOVE = 0.5
LEG_ABOVE = 3.47

_FIRST, _SECOND, _THIRD, _V5, _V6 = range(5)
#: QRS, T and P: the stretch whose mean is their level, and their own (s from the steepest point of QRS).
_WAVES = (((-0.09, -0.055), (-0.06, 0.08)), ((-0.09, -0.055), (0.14, 0.42)), ((-0.3, -0.235), (-0.26, -0.06)))


def exchanged_electrodes(beats: Beats, rows: dict[str, int]) -> str:
    """Which electrodes: "arms", "right-arm/leg", or "" where nothing speaks for an exchange or there are too few beats.

    Args:
        rows: where the leads of `NEEDED` are in `beats`.
    """
    if beats.cut.shape[1] < FEWEST_BEATS:
        return ""
    waves = _waves(beats, rows)
    arms = float(_features(waves, _FIRST) @ _ARMS_WEIGHTS + _ARMS_OFFSET)
    leg = float(_features(waves, _SECOND) @ _LEG_WEIGHTS + _LEG_OFFSET)
    if leg > max(arms, LEG_ABOVE):
        return "right-arm/leg"
    return "arms" if arms > ARMS_ABOVE else ""


def exchange_features(beats: Beats, rows: dict[str, int], turned: int) -> NDArray[np.float64]:
    """Nine numbers, each about −1 to 1, positive in most hearts whose electrodes are right.

    Args:
        turned: the limb lead that the exchange turns: 0 for I (arms), 1 for II (right arm and leg). It is looked at along V6 and
            V5, and its P, QRS and T are; so is the P wave of what changes places.
    """
    return _features(_waves(beats, rows), turned)


def _features(waves: _Waves, turned: int) -> NDArray[np.float64]:
    (qrs, t, p), (qrs_net, t_net, p_net) = waves
    # What the exchange changes of P: II against III for the arms, I with III for right arm and leg.
    others = p_net[_SECOND] - p_net[_THIRD] if turned == _FIRST else p_net[_FIRST] + p_net[_THIRD]
    return np.array(
        [
            qrs[_V6][turned], qrs[_V5][turned], t[_V6][turned], t[_V5][turned],
            p[_V6][turned], p_net[turned], others, qrs_net[turned], t_net[turned],
        ]
    )  # fmt: skip


def _waves(beats: Beats, rows: dict[str, int]) -> _Waves:
    """QRS, T and P of the middle beat in the leads I, II, III, V5, V6."""
    first, second, v5, v6 = (rows[lead] for lead in NEEDED)
    beat = beats.middle[[first, second, second, v5, v6]].astype(np.float64)
    beat[_THIRD] -= beat[_FIRST]
    cuts, roots = _wave_cuts(beats.rate)
    waves = (beat @ cuts).reshape(len(beat), len(_WAVES), -1).transpose(1, 0, 2)  # [waves, leads, samples]
    products = waves @ waves.transpose(0, 2, 1)
    sizes = np.sqrt(products.diagonal(axis1=1, axis2=2))
    largest = np.maximum.reduce(sizes[:, :3], axis=1, keepdims=True)
    along = products / ((sizes + 1e-6) * (largest + 1e-6))[:, :, None]
    net = np.add.reduce(waves, axis=2) / (roots * (largest + 1e-3))
    return _Waves(along.tolist(), net.tolist())


@lru_cache(maxsize=16)
def _wave_cuts(rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What cuts the waves out of a beat, [samples, waves · longest], their level taken off, zeros after the shorter ones.

    With it the roots [waves, 1] of their lengths in samples.
    """
    parts = [stretch(rate, *part) for _, part in _WAVES]
    lengths = [part.stop - part.start for part in parts]
    identity = np.eye(beat_time(rate).size)
    cuts = np.zeros((len(identity), len(_WAVES), max(lengths)))
    for wave, (part, (level, _)) in enumerate(zip(parts, _WAVES, strict=True)):
        mean = identity[:, stretch(rate, *level)].mean(axis=1, keepdims=True)
        cuts[:, wave, : lengths[wave]] = identity[:, part] - mean
    return cuts.reshape(len(identity), -1), np.sqrt(lengths)[:, None]


class _Waves(NamedTuple):
    """QRS, T and P in the leads I, II, III, V5, V6.

    Attributes:
        along: [wave][chest lead][limb lead] their correlation, times the limb lead's share of the largest limb lead's size.
        net: [wave][lead] the lead's area over the largest limb lead's size.
    """

    along: list[list[list[float]]]
    net: list[list[float]]
