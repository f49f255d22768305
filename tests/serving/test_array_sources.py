"""ECGs as users hold them: what is one, what is several, and that a bare array is never guessed at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions
from cmelt.records.record import LEADS
from cmelt.serving.arrays import separate, source_of
from ecg_files import heart, record

TOLD = ReadOptions(rate=100.0, unit="uV", leads=LEADS)


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (record(1), 1),
        ("a.dcm", 1),
        (Path("a.dcm"), 1),
        (heart(1), 1),
        (torch.from_numpy(heart(1)), 1),
        (["a.dcm", record(1)], 2),
        (np.stack([heart(1), heart(2), heart(3)]), 3),
        (torch.zeros(2, 12, 1000), 2),
        (np.array(["a.dcm", "b.dcm"], dtype=object), 2),
        (iter([record(1)]), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_ecg_is_told_from_several(given, count):
    assert len(separate(given)) == count


@pytest.mark.parametrize("given", [record(1), "a.dcm", Path("a.dcm")])
def test_what_says_all_of_itself_is_left_as_it_is(given):
    assert source_of(given, ReadOptions()) is given


@pytest.mark.parametrize("turned", [False, True])
def test_an_array_is_a_record_in_millivolts_whichever_way_it_lies(turned):
    microvolts = (heart(4) * 1000).round()
    array = microvolts.T if turned else microvolts
    for given in (array, torch.tensor(array, requires_grad=True), array.tolist()):
        found = source_of(given, TOLD)
        assert (found.rate, found.leads) == (100.0, LEADS)
        np.testing.assert_allclose(found.signal, microvolts / 1000, atol=1e-6)


@pytest.mark.parametrize("left_out", ["rate", "unit", "leads"])
def test_what_is_not_said_of_an_array_is_named(left_out):
    told = {"rate": 100.0, "unit": "mV", "leads": LEADS} | {left_out: None}
    with pytest.raises(RecordError, match=f"X.3.: a bare array says nothing of its {left_out} "):
        source_of(heart(1), ReadOptions(**told), "X[3]")


def test_what_is_said_wrongly_of_an_array_is_refused():
    with pytest.raises(RecordError, match="12 leads"):
        source_of(heart(1), ReadOptions(rate=100.0, unit="mV", leads=("I", "II")))
    with pytest.raises(RecordError):
        source_of(heart(1) * 1000, ReadOptions(rate=100.0, unit="mV", leads=LEADS))  # microvolts
