"""Are all beats of a record unusually small, or unusually large? A finding, or another gain than the stated one: nobody can tell.

Medians of beats at 100 to 200 Hz, in which QRS is a little lower than in the samples.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import Beats, stretch
from cmelt.records.leads import LIMB_LEADS

#: Low QRS voltage as cardiology has it: no limb lead and no chest lead reaches these, peak to trough, mV. Two of a thousand
#: records of PTB-XL (folds 1 to 8) are so, and 96 of a hundred with a quarter of their gain.
LOW_LIMB_MV, LOW_CHEST_MV = 0.5, 1.0
#: A limb lead and a chest lead exceed these, mV: two of a thousand as well, and 94 of a hundred with four times their gain.
HIGH_LIMB_MV, HIGH_CHEST_MV = 2.0, 4.5
FEWEST_BEATS = 3
#: QRS lies this near to its steepest point, s.
_QRS_SECONDS = 0.08
#: Of fewer leads there may be a larger one that is not in the file.
_FEWEST_LIMB, _FEWEST_CHEST = 2, 3

Voltage = Literal["low-voltage", "high-voltage"]


def unusual_voltage(beats: Beats, rows: dict[str, int]) -> Voltage | None:
    """Whether QRS is low in every lead, or high in a limb lead and in a chest lead; None where neither, or too little is known.

    Args:
        beats: of the record.
        rows: live lead → its row in `beats`.
    """
    limb = [row for lead, row in rows.items() if lead in LIMB_LEADS]
    chest = [row for lead, row in rows.items() if lead not in LIMB_LEADS]
    if len(limb) < _FEWEST_LIMB or len(chest) < _FEWEST_CHEST or beats.cut.shape[1] < FEWEST_BEATS:
        return None
    heights = _qrs_heights(beats)
    of_limb, of_chest = float(heights[limb].max()), float(heights[chest].max())
    if of_limb < LOW_LIMB_MV and of_chest < LOW_CHEST_MV:
        return "low-voltage"
    if of_limb > HIGH_LIMB_MV and of_chest > HIGH_CHEST_MV:
        return "high-voltage"
    return None


def _qrs_heights(beats: Beats) -> NDArray[np.float32]:
    """[leads] mV from peak to trough of the middle beat's QRS."""
    qrs = beats.middle[:, stretch(beats.rate, -_QRS_SECONDS, _QRS_SECONDS)]
    return np.asarray(np.maximum.reduce(qrs, axis=1) - np.minimum.reduce(qrs, axis=1))
