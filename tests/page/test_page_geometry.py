"""The page's arithmetic, against slow and obvious references: the binary, the sheet, filters, calipers, evidence, scores."""

from __future__ import annotations

import numpy as np
import pytest
from page_tools import Tools, text
from scipy.signal import butter, sosfiltfilt
from stand_in import AGAINST_AT, FOR_AT, LEADS, canonical, classified, explained, spikes


def test_the_binary_comes_out_as_it_went_in(tools: Tools) -> None:
    signal = np.random.default_rng(3).normal(0, 1, (3, 40))
    signal[1, 5:9] = np.nan
    given = text(canonical(signal, 250, ("II", "V1", "V9"), flags=["nan:V1"], facts={"age": 3}))
    ecg = tools(
        "(({signal, ...rest}) => ({...rest, signal: signal.map((row) => [...row].map((v) => (v === v ? v : null)))}))"
        "(ecgOf(given))",
        given,
    )
    read = np.array([[np.nan if value is None else value for value in row] for row in ecg["signal"]])
    np.testing.assert_allclose(read, signal, atol=0.00126)  # half a step, and single precision
    assert (ecg["leads"], ecg["rate"], ecg["seconds"]) == (["II", "V1", "V9"], 250, 0.16)
    assert ecg["flags"] == ["nan:V1"] and ecg["facts"] == {"age": 3}
    assert ecg["missing"] == [lead for lead in LEADS if lead not in ("II", "V1")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\xff\xff\xff\xff{}", "cut off"),
        (b"\x02\0\0\0{]", "no JSON"),
        (b"\x02\0\0\0{}", "format"),
        (canonical(np.zeros((2, 9)), 100, ("I", "II"))[:-1], "missing"),
        (canonical(np.zeros((2, 9)), 100, ("I", "II"), rate=0), "rate"),
        (canonical(np.zeros((2, 9)), 100, ("I", "II"), rate="<b>"), "rate"),
        (canonical(np.zeros((2, 9)), 100, ("I", "II"), leads=[1, 2]), "names"),
        (canonical(np.zeros((2, 0)), 100, ("I", "II")), "no samples"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_answer_is_refused_with_its_reason(tools: Tools, content: bytes, why: str) -> None:
    said = tools(
        "(() => { try { ecgOf(given); return null; } catch (error) { return [error.what, error.reason]; } })()", text(content)
    )
    assert said[0] == "the ECG" and why in said[1]


@pytest.mark.parametrize(("layout", "rows", "across"), [("3x4+1", 4, 4), ("6x2", 6, 2), ("12x1", 12, 1)])
def test_a_sheet_has_every_lead_once_in_true_scale(tools: Tools, layout: str, rows: int, across: int) -> None:
    how = {"layout": layout, "speed": 50, "gain": 20}
    sheet = tools("tools.sheetOf(ecgOf(given[0]), given[1])", [text(canonical(spikes(10, 250), 250)), how])
    assert len(sheet["rows"]) == rows and sheet["width"] == 10 + 6 + 10 * 50
    strips = sheet["strips"]
    assert {strip["lead"] for strip in strips} == set(LEADS)
    assert len(strips) == 12 + (layout == "3x4+1")
    for strip in strips[:12]:
        assert strip["to"] - strip["from"] == pytest.approx(10 / across)
        assert strip["left"] == pytest.approx(13 + strip["from"] * 50)  # what is earlier stands left, by the speed
    for above, below in zip(sheet["rows"], sheet["rows"][1:], strict=False):
        assert above["bottom"] == below["top"]
        assert above["baseline"] - above["top"] >= 12


def test_leads_beyond_the_twelve_and_none_of_the_twelve_are_drawn(tools: Tools) -> None:
    given = [text(canonical(spikes(10, 250, 3), 250, leads)) for leads in (("I", "II", "Frank X"), ("ECG1", "ECG2", "ECG3"))]
    how = "{layout: '3x4+1', speed: 25, gain: 10}"
    some, none = tools(
        f"given.map((one) => tools.sheetOf(ecgOf(one), {how}).strips.map(({{lead, index}}) => [lead, index]))", given
    )
    assert ["Frank X", 2] in some and ["V6", -1] in some
    assert none == [["ECG1", 0], ["ECG2", 1], ["ECG3", 2]]


def test_rows_move_together_on_paper_but_keep_their_scale(tools: Tools) -> None:
    given = text(canonical(spikes(10, 250), 250))
    sheet = tools("tools.sheetOf(ecgOf(given), {layout: '12x1', speed: 25, gain: 10, height: 176})", given)
    assert sheet["height"] <= 180 and sheet["gain"] == 10


def test_a_lead_far_from_zero_is_drawn_about_its_middle_and_says_so(tools: Tools) -> None:
    signal = spikes(10, 250)
    signal[4] += 3.0
    strips = tools("tools.sheetOf(ecgOf(given), {layout: '6x2', speed: 25, gain: 10}).strips", text(canonical(signal, 250)))
    assert {strip["lead"]: strip["shift"] for strip in strips if strip["shift"]} == {"aVL": pytest.approx(3.0, abs=0.01)}


def test_filters_are_butterworth_there_and_back(tools: Tools) -> None:
    rate, random = 500, np.random.default_rng(5)
    signal = np.cumsum(random.normal(0, 0.02, (1, 5000)), axis=1)
    steps = np.rint(signal * 400) / 400
    code = "[...tools.filtered(ecgOf(given), 'monitor').signal[0]]"
    ours = np.array(tools(code, text(canonical(signal, rate, ("I",)))))
    sections = np.vstack([butter(2, 0.67, "high", fs=rate, output="sos"), butter(2, 40, "low", fs=rate, output="sos")])
    theirs = sosfiltfilt(sections, steps[0], padlen=2 * rate)
    # At the ends, scipy settles both sections at once and we one after the other: a second in, the same.
    np.testing.assert_allclose(ours[rate:-rate], theirs[rate:-rate], atol=2e-3)


def test_a_notch_takes_the_mains_and_leaves_the_heart(tools: Tools) -> None:
    time = np.arange(2500) / 250
    hum, slow = 0.3 * np.sin(2 * np.pi * 50 * time), np.sin(2 * np.pi * 5 * time)
    out = np.array(
        tools("[...tools.filtered(ecgOf(given), 'mains50').signal[0]]", text(canonical((hum + slow)[None], 250, ("I",))))
    )
    assert np.abs(out - slow)[500:-500].max() < 0.02


def test_a_filter_leaves_gaps_and_says_where_it_can_do_nothing(tools: Tools) -> None:
    signal = spikes(10, 100, 1)
    signal[0, 300:400] = np.nan
    code = "(() => { const row = tools.filtered(ecgOf(given), 'monitor').signal[0]; return [...row].map((v) => v === v); })()"
    assert np.flatnonzero(~np.array(tools(code, text(canonical(signal, 100, ("I",)))))).tolist() == list(range(300, 400))
    assert tools("[tools.filterText('none', 100), tools.filterText('monitor', 500), tools.filterText('mains60', 100)]") == [
        "filter off",
        "filter 0.67–40 Hz, display only",
        "filter 60 Hz notch (no effect at this rate), display only",
    ]


@pytest.mark.parametrize(("speed", "gain"), [(12.5, 5), (25, 10), (50, 20)])
def test_calipers_measure_by_speed_and_gain(tools: Tools, speed: float, gain: float) -> None:
    points = [{"x": 40, "y": 60}, {"x": 40 + 0.75 * speed, "y": 60 - 1.2 * gain}]
    measured = tools("tools.measure(given[0], given[1], given[2])", [*points, {"speed": speed, "gain": gain}])
    assert measured == {"milliseconds": pytest.approx(750), "bpm": pytest.approx(80), "millivolts": pytest.approx(1.2)}


def test_marching_out_repeats_the_interval_over_the_whole_strip(tools: Tools) -> None:
    sheet, pair = {"width": 266, "speed": 25, "gain": 10}, {"a": {"x": 100, "y": 1}, "b": {"x": 120, "y": 1}}
    assert tools("tools.marched(given[0], given[1])", [pair, sheet]) == [20, 40, 60, 80, 140, 160, 180, 200, 220, 240, 260]
    pair["b"]["x"] = 101
    assert tools("tools.marched(given[0], given[1])", [pair, sheet]) == []  # a thicket of lines would say nothing


def test_the_strongest_place_of_the_evidence_is_found(tools: Tools) -> None:
    place, shares = tools("((e) => [tools.strongestPlace(e), tools.sharesOf(e)])(tools.explanationOf(given, 'x'))", explained())
    assert place["lead"] == "V1" and (place["from"], place["to"]) == pytest.approx(FOR_AT)
    assert [(one["lead"], one["share"]) for one in shares[:2]] == [("V1", pytest.approx(2 / 3)), ("II", pytest.approx(1 / 3))]
    assert shares[0]["against"] == 0 and shares[1]["forIt"] == 0
    assert FOR_AT != AGAINST_AT


def test_scores_are_sorted_and_compared(tools: Tools) -> None:
    a = {"results": [{"class": "x", "score": 0.1}, {"class": "y", "score": 0.3}]}
    b = {"results": [{"class": "x", "score": 0.6}, {"class": "y", "score": 0.2}, {"class": "z", "score": 0.0}]}
    code = "['score', 'change', 'name'].map((order) => tools.rowsOf(given, order).map(({finding, change}) => [finding, change]))"
    score, change, name = tools(code, {"a": a, "b": b})
    assert score == [["y", pytest.approx(-0.1)], ["x", pytest.approx(0.5)], ["z", None]]
    assert [row[0] for row in change] == ["x", "y", "z"]
    assert [row[0] for row in name] == ["x", "y", "z"]


def test_a_probability_is_said_with_its_interval_or_why_there_is_none(tools: Tools) -> None:
    results = classified({"prompts": ["a", "b", "c"]}, canonical(spikes(10, 100), 100))["results"]
    said = tools("given.map(tools.probabilityText)", results)
    assert said == ["73 % (61–82 %)", "not calibrated", "cannot tell: unlike the training data"]


def test_lines_are_findings_as_typed_each_once(tools: Tools) -> None:
    lines = "Is there atrial fibrillation?\n\n  ST elevation \nany sign of a left bundle branch block?\nST elevation\r\n?\nno MI"
    found = tools("tools.findingsOf(given)", lines)
    asked = "any sign of a left bundle branch block?"
    assert found == ["Is there atrial fibrillation?", "ST elevation", asked, "no MI"]


def test_filters_of_a_search_are_ranges(tools: Tools) -> None:
    assert tools("tools.filtersOf({youngest: '40', oldest: '', sex: 'female', label: ''})") == {
        "age": "40-120",
        "sex": "female",
        "label": "",
    }
