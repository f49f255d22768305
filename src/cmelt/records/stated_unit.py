"""Is the stated unit a thousandth of the true one? Millivolts taken for microvolts leave beats too small for any electrode."""

from __future__ import annotations

import numpy as np

from cmelt.records.beats import Beats

#: No lead of a heart is this small in all leads at once, mV: low voltage in every lead begins at 0.5.
SMALLEST_MV = 0.03
#: Beats that small are beats if they agree: their size over what they differ by. Noise (white, pink, in steps) reaches 0.57; of
#: 635 real records 6 stay below 0.7.
_LEAST_AGREEMENT = 0.7


def suspected_unit(beats: Beats) -> bool:
    """Whether every lead's middle beat spans less than `SMALLEST_MV`, and beats there are nevertheless."""
    if beats.cut.shape[1] < 3:
        return False
    middle = beats.middle
    height = float(np.maximum.reduce(np.maximum.reduce(middle, axis=1) - np.minimum.reduce(middle, axis=1)))
    if not 0 < height < SMALLEST_MV:
        return False
    level = middle.mean(axis=1, keepdims=True)
    differing = beats.cut - beats.cut.mean(axis=2, keepdims=True) - (middle - level)[:, None]
    size = float(((middle - level) ** 2).sum())
    return size > _LEAST_AGREEMENT**2 * float(np.median((differing**2).sum(axis=(0, 2))))
