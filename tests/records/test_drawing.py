"""ECGs on paper: to scale, complete, and honest about gaps."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from cmelt.records.drawing import GAIN, LEFT, MARGIN, SPEED, draw_ecg
from cmelt.records.record import LEADS

SVG = "{http://www.w3.org/2000/svg}"


def drawn(millivolts, rate=100.0, leads=LEADS):
    return ElementTree.fromstring(draw_ecg(millivolts, rate, leads))


def names(root):
    return [text.text for text in root.iter(f"{SVG}text")]


def traces(root):
    """Point lists of the traces: every path with an L, the grid and the calibration have none."""
    paths = [p.get("d") for p in root.iter(f"{SVG}path")]
    return [
        np.array([[float(v) for v in pair.split()] for pair in re.findall(r"[ML]([-\d.]+ [-\d.]+)", d)])
        for d in paths
        if "L" in d
    ]


def test_twelve_leads_and_a_rhythm_strip():
    root = drawn(np.zeros((12, 1000)))
    assert [name for name in names(root) if name in LEADS] == [*LEADS[:1], "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III",
                                                                "aVF", "V3", "V6", "II"]  # fmt: skip
    assert len(traces(root)) == 13


def test_a_millivolt_is_ten_millimetres_and_a_second_twentyfive():
    signal = np.zeros((12, 1000))
    signal[1, 500] = 1.0
    strip = traces(drawn(signal))[-1]
    peak = strip[np.argmin(strip[:, 1])]
    assert strip[0, 1] - peak[1] == pytest.approx(GAIN)
    assert peak[0] - (LEFT + MARGIN) == pytest.approx(5.0 * SPEED)


def test_columns_are_consecutive_quarters():
    signal = np.zeros((12, 1000))
    signal[:, 600] = 1.0  # 6 s: in the third quarter
    highest = {round(float(t[0, 0]), 1): float(np.ptp(t[:, 1])) for t in traces(drawn(signal))[:4]}
    starts = sorted(highest)
    assert [highest[s] > 9 for s in starts] == [False, False, True, False]
    assert np.diff(starts) == pytest.approx([62.5] * 3)


def test_a_spike_of_one_sample_survives_thinning():
    signal = np.zeros((12, 10_000))
    signal[1, 4321] = 2.0
    strip = traces(drawn(signal, rate=1000.0))[-1]
    assert len(strip) < 3000
    assert np.ptp(strip[:, 1]) == pytest.approx(2 * GAIN)


def test_large_amplitudes_get_higher_rows_and_stay_on_the_paper():
    signal = np.zeros((12, 1000))
    signal[6, 550] = 3.5
    signal[1, 100] = -2.5
    root = drawn(signal)
    _, _, width, height = (float(v) for v in root.get("viewBox").split())
    for trace in traces(root):
        assert trace.min() >= 0
        assert trace[:, 0].max() <= width
        assert trace[:, 1].max() <= height


def test_a_gap_is_not_bridged_and_a_missing_lead_is_blank():
    signal = np.zeros((12, 1000))
    signal[1, 400:500] = np.nan
    signal[0] = np.nan
    svg = draw_ecg(signal, 100.0, LEADS)
    assert "nan" not in svg
    assert len(traces(ElementTree.fromstring(svg))) == 12
    strip = next(p.get("d") for p in reversed(list(ElementTree.fromstring(svg).iter(f"{SVG}path"))) if "L" in p.get("d"))
    assert strip.count("M") == 2


def test_few_leads_are_drawn_in_their_places():
    root = drawn(np.zeros((2, 1000)), leads=("V1", "I"))
    assert [name for name in names(root) if name in LEADS] == ["I", "V1"]


def test_only_ten_seconds_are_drawn():
    root = drawn(np.zeros((12, 6000)))
    assert float(root.get("viewBox").split()[2]) == pytest.approx(LEFT + 250 + 2 * MARGIN)


def test_titles_are_escaped():
    assert "<b>" not in draw_ecg(np.zeros((12, 100)), 100.0, LEADS, "a <b> & c")
