"""ECGs on paper, to scale: one sheet of millimetres, written as SVG, PNG or PDF."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmelt.drawing.paper import Paper
from cmelt.drawing.sheet import sheet_of
from cmelt.drawing.svg import svg_of
from cmelt.records.record import Record

__all__ = ["draw_ecg"]


def draw_ecg(millivolts: NDArray[np.floating], rate: float, leads: Sequence[str], title: str = "ECG") -> str:
    """millivolts [leads, samples] at `rate` Hz → an SVG element, 3 × 4 leads and a rhythm strip, for a page with its own words.

    Such a page has the record's facts and the notice beside the drawing; the drawing has the scale.
    """
    record = Record(np.asarray(millivolts, np.float32), rate, tuple(leads))
    return svg_of(sheet_of(record, Paper(), title=title, framed=False))
