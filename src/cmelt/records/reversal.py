"""Were the arm electrodes exchanged? Einthoven holds then too: what tells is which way P, QRS and T go in I beside V5 and V6.

With the arm electrodes exchanged lead I is turned, II and III change places, and so do aVR and aVL. True dextrocardia looks alike
in the limb leads, and a heart whose left side is dead may: the flag says "dextro-like", not whose fault it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import Beats

#: What must be there, each carrying something.
NEEDED: tuple[str, ...] = ("I", "II", "V5", "V6")
#: Fewer beats make no middle one.
FEWEST_BEATS = 3

# Fitted by `benchmarks/fit_quality.py` on PTB-XL, folds 1–8, and simulated records, with and without the exchange; a logit.
_WEIGHTS = np.array([-2.603, -1.745, -2.05, -1.376, -1.962, -0.915, -0.915, -4.14, -0.65])
_OFFSET = 0.007
#: One in five hundred of the same records, as they are, comes above 0.26.
REVERSED_ABOVE = 0.5


def arms_reversed(beats: Beats, rows: dict[str, int]) -> bool:
    """Whether the arm electrodes seem exchanged; `rows` says where the leads of `NEEDED` are. False with too few beats."""
    if beats.cut.shape[1] < FEWEST_BEATS:
        return False
    features = arm_features(beats, rows)
    return bool(features @ _WEIGHTS + _OFFSET > REVERSED_ABOVE)


def arm_features(beats: Beats, rows: dict[str, int]) -> NDArray[np.float64]:
    """Nine numbers, each about −1 to 1, positive where the arms are right: I along with V6 and V5, P, QRS and T upright in I."""
    first, second, v5, v6 = beats.middle[[rows[lead] for lead in NEEDED]].astype(np.float64)
    beat = np.stack([first, second, second - first, v5, v6])
    qrs = _levelled(beat, beats.time, (-0.09, -0.055), (-0.06, 0.08))
    t = _levelled(beat, beats.time, (-0.09, -0.055), (0.14, 0.42))
    p = _levelled(beat, beats.time, (-0.3, -0.235), (-0.26, -0.06))
    return np.array(
        [
            _along(qrs, 4), _along(qrs, 3), _along(t, 4), _along(t, 3), _along(p, 4),
            _net(p, 0), _net(p, 1) - _net(p, 2), _net(qrs, 0), _net(t, 0),
        ]
    )  # fmt: skip


def _levelled(
    rows: NDArray[np.float64], time: NDArray[np.float64], level: tuple[float, float], part: tuple[float, float]
) -> NDArray[np.float64]:
    """`part` of the rows (s), against their mean in `level` (s)."""
    at = (time >= level[0]) & (time < level[1])
    within = (time >= part[0]) & (time < part[1])
    return np.asarray(rows[:, within] - rows[:, at].mean(axis=1, keepdims=True))


def _along(rows: NDArray[np.float64], other: int) -> float:
    """The correlation of I with another lead, times I's share of the limb leads' size."""
    sizes = np.sqrt((rows**2).sum(axis=1)) + 1e-6
    return float(rows[0] @ rows[other] / (sizes[other] * sizes[:3].max()))


def _net(rows: NDArray[np.float64], lead: int) -> float:
    """The area of a limb lead's wave over the largest limb lead's size."""
    largest = np.sqrt((rows[:3] ** 2).sum(axis=1)).max() + 1e-3
    return float(rows[lead].sum() / (np.sqrt(rows.shape[1]) * largest))
