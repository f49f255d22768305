"""What the service says of one class: a probability with its interval, null, or why there is none; never a number JSON lacks."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.serving.confidence import Confidence
from cmelt.serving.http.service import result_of

NO_LINE = {"taken_as": None, "told": None}
SCORES = np.array([[0.5, -0.25]], np.float32)


def of(*values):
    return np.array([values], np.float32)


def test_a_calibrated_class_has_three_numbers_and_another_nulls():
    sure = Confidence(of(0.25, np.nan), of(0.125, np.nan), of(0.5, np.nan), ((),), (None,))
    told = [result_of(name, column, SCORES, sure).model_dump(by_alias=True) for column, name in enumerate(("af", "lbbb"))]
    three = {"probability": 0.25, "low": 0.125, "high": 0.5, "cannot_tell": None}
    assert told[0] == {"class": "af", "score": 0.5, **three, **NO_LINE}
    none = {"probability": None, "low": None, "high": None, "cannot_tell": None}
    assert told[1] == {"class": "lbbb", "score": -0.25, **none, **NO_LINE}


def test_a_typed_line_is_told_what_it_was_taken_as():
    sure = Confidence(None, None, None, ((),), (None,))
    told = [result_of(line, 0, SCORES, sure, {line: name}) for line, name in (("afib?", "atrial-fibrillation"), ("zebra", None))]
    assert [(one.taken_as, one.told) for one in told] == [
        ("atrial-fibrillation", "taken as the statement atrial-fibrillation"),
        (None, "scored as typed, no probability"),
    ]


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_doubtful_ecg_has_a_score_and_the_reason(calibrated):
    nothing = of(np.nan, np.nan) if calibrated else None
    sure = Confidence(nothing, nothing, nothing, (("too noisy",),), ("poor quality in all leads",))
    told = result_of("af", 0, SCORES, sure)
    assert (told.score, told.probability, told.low, told.high, told.cannot_tell) == (
        0.5,
        None,
        None,
        None,
        "poor quality in all leads",
    )
