"""What in an ECG speaks for a class and what against it: attributions of a score to leads and moments."""

from __future__ import annotations

from cmelt.explanation.attribution import METHODS, Method, integrated_gradients, occlusion
from cmelt.explanation.ecg_mark import EcgMark, mark_of
from cmelt.explanation.explanation import Explanation
from cmelt.explanation.score import RecordScore, direction_of, flat_lines
from cmelt.explanation.stored import read_explanation

__all__ = [
    "METHODS",
    "EcgMark",
    "Explanation",
    "Method",
    "RecordScore",
    "direction_of",
    "flat_lines",
    "integrated_gradients",
    "mark_of",
    "occlusion",
    "read_explanation",
]
