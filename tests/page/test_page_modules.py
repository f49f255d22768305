"""Single modules of the page: what is thinned out, said, taken hold of, asked and marked."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from page_tools import Tools, text
from scipy.signal import butter
from stand_in import LEADS, canonical, explained, spikes

from cmelt.records.flag_words import DOUBTFUL

SHEET = "tools.sheetOf(ecgOf(given[0]), given[1])"


def points(path: str) -> list[np.ndarray]:
    """The strokes of a path, each [n, 2] mm."""
    return [np.array([point.split(" ") for point in stroke.split("L")], float) for stroke in path.split("M")[1:]]


def path_of(tools: Tools, signal: np.ndarray, rate: float, speed: float) -> str:
    """How one lead is drawn as a strip of its own, 10 mm/mV."""
    how = {"layout": "12x1", "speed": speed, "gain": 10}
    code = f"((sheet) => tools.tracePath(sheet.strips.at(-1), sheet, ecgOf(given[0])))({SHEET})"
    return tools(code, [text(canonical(signal[None], rate, ("X",))), how])


@pytest.mark.parametrize(("rate", "speed"), [(250, 25), (500, 25), (1000, 12.5), (2000, 12.5), (128, 50)])
def test_no_spike_is_lost_when_points_are_left_out(tools: Tools, rate: int, speed: float) -> None:
    random = np.random.default_rng(rate)
    signal = random.normal(0, 0.05, 10 * rate)
    places = random.choice(10 * rate, 5, replace=False)
    signal[places] = [2, -2, 1.5, -1.5, 1]  # each a single sample
    (drawn,) = points(path_of(tools, signal, rate, speed))
    steps = np.rint(signal * 400) / 400
    whole = np.column_stack([13 + np.arange(len(signal)) / rate * speed, -10 * steps])
    shift = drawn[0, 1] - whole[0, 1] if drawn[0, 0] == 13 else None
    for place in places:
        near = drawn[np.abs(drawn[:, 0] - whole[place, 0]) < 0.006]
        assert len(near), place
        if shift is not None:
            assert np.abs(near[:, 1] - whole[place, 1] - shift).min() < 0.02
    assert len(drawn) <= max(10 * speed * 10, min(len(signal), 10 * speed * 20)) + 2
    assert (np.diff(drawn[:, 0]) >= 0).all()


@pytest.mark.parametrize("rate", [250, 2000])
def test_a_gap_interrupts_the_line_however_dense_the_samples(tools: Tools, rate: int) -> None:
    signal = spikes(10, rate, 1)[0]
    signal[3 * rate : 3 * rate + 40] = np.nan
    before, after = points(path_of(tools, signal, rate, 25))
    assert before[-1, 0] < 13 + 3 * 25 <= after[0, 0]
    assert after[0, 0] - before[-1, 0] >= 40 / rate * 25 - 0.5


def test_sections_have_the_coefficients_of_butterworth(tools: Tools) -> None:
    ours = tools("tools.sectionsOf({band: [0.67, 40], notch: 0}, 500)")
    for section, (edge, kind) in zip(ours, [(0.67, "high"), (40, "low")], strict=True):
        b, a = butter(2, edge, kind, fs=500)
        np.testing.assert_allclose(section["b"], b, rtol=1e-9)
        np.testing.assert_allclose([1, *section["a"]], a, rtol=1e-9)


@pytest.mark.parametrize(
    ("band", "notch", "rate", "count"),
    [([0.67, 40], 0, 500, 2), ([0.67, 40], 0, 80, 1), ([0.05, 150], 0, 250, 1), ([0, 0], 60, 100, 0), ([0, 0], 50, 500, 1)],
)
def test_an_edge_beyond_the_sampling_is_not_applied(
    tools: Tools, band: list[float], notch: float, rate: float, count: int
) -> None:
    assert len(tools("tools.sectionsOf(given[0], given[1])", [{"band": band, "notch": notch}, rate])) == count


@pytest.mark.parametrize(
    ("layout", "seconds", "shown"), [("3x4+1", 60, 10), ("6x2", 4, 4), ("12x1", 60, 60), ("12x1", 90, 60), ("3x4+1", 10, 10)]
)
def test_a_sheet_shows_ten_seconds_or_a_minute_of_strip(tools: Tools, layout: str, seconds: float, shown: float) -> None:
    assert tools("tools.windowSeconds({seconds: given[1]}, given[0])", [layout, seconds]) == shown


@pytest.mark.parametrize("layout", ["3x4+1", "6x2", "12x1"])
def test_a_point_of_the_sheet_belongs_to_the_strip_that_is_drawn_there(tools: Tools, layout: str) -> None:
    how = {"layout": layout, "speed": 25, "gain": 10}
    code = f"""((sheet) => [...sheet.strips.map((strip) => {{
      const found = tools.stripAt(sheet, {{x: strip.left + (strip.to - strip.from) * 12.5, y: strip.baseline}});
      return [strip.lead, found.lead, found.row === strip.row];
    }}), tools.stripAt(sheet, {{x: 2, y: 40}}), tools.stripAt(sheet, {{x: 40, y: 1}})])({SHEET})"""
    *found, left, above = tools(code, [text(canonical(spikes(10, 100), 100)), how])
    assert all(lead == other and row for lead, other, row in found)
    assert left is None and above is None


def pair(**points: Any) -> dict[str, Any]:
    return {"a": {"x": 50, "y": 50}, "b": {"x": 70, "y": 40}, "active": "b", "march": False, **points}


@pytest.mark.parametrize(
    ("key", "shift", "expected"),
    [
        ("ArrowLeft", False, {"b": {"x": 69.9, "y": 40}}),
        ("ArrowRight", True, {"b": {"x": 71, "y": 40}}),
        ("ArrowUp", False, {"b": {"x": 70, "y": 39.9}}),
        ("ArrowDown", True, {"b": {"x": 70, "y": 41}}),
        ("x", False, {"active": "a"}),
        ("M", True, {"march": True}),
    ],
)
def test_keys_move_the_chosen_point(tools: Tools, key: str, shift: bool, expected: dict[str, Any]) -> None:
    moved = tools("tools.afterKey(...given)", [pair(), key, shift, {"width": 266, "height": 100}])
    for name, value in pair(**expected).items():
        assert moved[name] == (pytest.approx(value) if isinstance(value, dict) else value)


def test_other_keys_are_not_the_calipers_and_points_stay_on_the_sheet(tools: Tools) -> None:
    sheet = {"width": 266, "height": 100}
    assert tools("tools.afterKey(...given)", [pair(), "Tab", False, sheet]) is None
    at_the_edge = tools("tools.afterKey(...given)", [pair(b={"x": 265.5, "y": 40}), "ArrowRight", True, sheet])
    assert at_the_edge["b"]["x"] == 266
    assert tools("tools.inside(...given)", [sheet, {"x": -3, "y": 400}]) == {"x": 0, "y": 100}


@pytest.mark.parametrize(("x", "y", "held"), [(51, 51, "a"), (69, 41, "b"), (60, 45, None), (50, 40, None)])
def test_a_press_takes_hold_of_the_nearest_point_alone(tools: Tools, x: float, y: float, held: str | None) -> None:
    assert tools("tools.heldAt(...given)", [pair(), {"x": x, "y": y}]) == held


def test_calipers_placed_by_key_are_a_second_and_a_millivolt_on_the_sheet(tools: Tools) -> None:
    sheet = {"width": 266, "height": 100}
    for view in ({"x": 0, "y": 0, "width": 100, "height": 100}, {"x": 240, "y": 90, "width": 100, "height": 100}):
        placed = tools("tools.placedIn(...given)", [sheet, view])
        assert placed["b"]["x"] - placed["a"]["x"] == 25 and placed["a"]["y"] - placed["b"]["y"] == pytest.approx(10)
        assert placed["a"]["x"] >= 13 and placed["b"]["x"] <= 263


def test_doubtful_recordings_are_marked_as_serious_and_lead_the_list(tools: Tools) -> None:
    about = {"duplicated": ":I/II", "limb-swapped": ":I/II", "limb-inverted": ":III", "rate-suspect": ":×2"}
    flags = ["mains:50", "noisy:V2", *(kind + about.get(kind, "") for kind in DOUBTFUL), "odd"]
    marks = tools("tools.marksOf({missing: ['aVR'], flags: given})", flags)
    serious = [mark["serious"] for mark in marks]
    assert serious == sorted(serious, reverse=True)
    told = {mark["kind"]: mark["serious"] for mark in marks}
    assert all(told[kind] for kind in DOUBTFUL) and not told["mains"] and not told["noisy"]
    assert {"text": "odd", "lead": None, "leads": [], "kind": "odd", "serious": False} in marks  # said as it is


def test_a_lead_is_labelled_by_its_own_flags_alone(tools: Tools) -> None:
    flags = ["limb-swapped:I/II", "noisy:V1", "clipped:V1", "flat:V10", "arms-reversed"]
    labels = tools(
        "given[0].map((lead) => tools.labelOf(lead, tools.marksOf({missing: ['aVR'], flags: given[1]})))",
        [list(LEADS), flags],
    )
    said = dict(zip(LEADS, labels, strict=True))
    assert said["I"] == said["II"] == "swapped?" and said["aVR"] == "not recorded" and said["V2"] == ""
    assert set(said["V1"].split(", ")) == {"clipped", "noisy"}


def test_facts_are_said_once_and_without_what_is_empty(tools: Tools) -> None:
    facts = {
        "rate": 500,
        "seconds": 10,
        "age": 63,
        "sex": None,
        "labels": [],
        "derived": ["III"],
        "measurements": {"pr_ms": 160, "qtc_ms": 400, "p_axis_deg": 48, "heart_rate_bpm": 61.1, "deep": {}},
        "report": "long",
    }
    lines = tools("tools.factLines({rate: 500, seconds: 10, leads: ['I'], facts: given})", facts)
    measured = "PR 160 ms, QTc 400 ms, P axis 48 °, heart rate 61.1 bpm"
    assert lines == [["rate", "500 Hz"], ["length", "10 s"], ["leads", "1"], ["age", "63"], ["measurements", measured]]


def test_what_is_true_of_several_leads_is_said_of_them_together(tools: Tools) -> None:
    flags = ["noisy:V1", "mains:50", "noisy:V3", *(f"flat:{lead}" for lead in LEADS), "limb-swapped:I/II"]
    told = tools("tools.toldOf(tools.marksOf({missing: ['V7', 'V8'], flags: given})).map(({text}) => text)", flags)
    assert told == [
        "V7, V8: not recorded",
        "all leads: flat, nothing is on it",
        "I and II look swapped",
        "V1, V3: noisy",
        "mains hum at 50 Hz stands out",
    ]


PAPER = """((ecg, sheet) => tools.drawPaper(sheet, ecg, {title: given[2], foot: given[3], marks: []}))
  (ecgOf(given[0]), tools.sheetOf(ecgOf(given[0]), given[1]))"""


@pytest.mark.parametrize(("seconds", "speed"), [(0.026, 25), (2, 12.5), (10, 12.5), (10, 25)])
def test_all_that_is_written_below_has_room_and_a_long_title_is_cut(tools: Tools, seconds: float, speed: float) -> None:
    foot = ["12.5 mm/s", "10 mm/mV", "filter 60 Hz notch (no effect at this rate), display only", "500 Hz", "research use only"]
    given = [text(canonical(spikes(seconds, 500), 500)), {"layout": "3x4+1", "speed": speed, "gain": 10}, "x" * 300, foot]
    code = f"""((paper) => {{ document.body.append(paper); try {{
      return [paper.viewBox.baseVal.width, paper.viewBox.baseVal.height,
        [...paper.querySelectorAll('.headline, .footline')].map((one) => {{ const box = one.getBBox();
          return [box.x, box.y, box.x + box.width, box.y + box.height, one.textContent]; }})];
    }} finally {{ paper.remove(); }} }})({PAPER})"""
    width, height, (headline, footline) = tools(code, given)
    for left, top, right, bottom, _ in (headline, footline):
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
    assert headline[4].endswith("…") and all(part in footline[4] for part in foot)


def test_a_reason_that_all_findings_share_is_said_once(tools: Tools) -> None:
    result = {"score": 0.1, "probability": None, "low": None, "high": None, "cannot_tell": "too short"}
    answer = {"results": [result | {"class": name} for name in ("a", "b")]}
    code = "tools.scoreTable(tools.rowsOf({a: given, b: null}, 'name'), {both: false, chosen: null, onchoose: null}).textContent"
    same = tools(code, answer)
    assert same.count("too short") == 1 and same.count("cannot tell") == 2
    answer["results"][1]["cannot_tell"] = "unlike the training data"
    other = tools(code, answer)
    assert "cannot tell: too short" in other and "cannot tell: unlike the training data" in other


def test_findings_are_named_for_people(tools: Tools) -> None:
    names = ["normal-ecg", "first-degree-av-block", "MI", "is there AF?", "st-elevation"]
    assert tools("given.map(tools.findingText)", names) == [
        "normal ECG",
        "first degree AV block",
        "MI",
        "is there AF?",
        "ST elevation",
    ]


def test_hits_come_with_the_notice_and_how_many_there_were(tools: Tools) -> None:
    code = "tools.hitsShown(given[0], given[1], () => {}).map((one) => one.textContent)"
    notice, much, _ = tools(code, [{"hits": [{"record": "1", "similarity": 0.5}], "among": 300}, "the page's notice"])
    assert notice == "the page's notice" and "1 nearest of 300" in much
    assert tools(code, [{"hits": [], "among": 0, "notice": "the service's"}, "x"])[0] == "the service's"


@pytest.mark.parametrize(
    ("choice", "lines", "whole", "one"),
    [
        ("", "AF\nLBBB", {"prompts": ["AF", "LBBB"]}, {"prompts": ["AF"]}),
        ("1", "AF", {"task": "ptbxl-super"}, {"task": "ptbxl-super", "classes": ["AF"]}),
    ],
)
def test_one_finding_is_asked_in_the_words_of_the_whole_question(
    tools: Tools, choice: str, lines: str, whole: dict[str, Any], one: dict[str, Any]
) -> None:
    assert tools("tools.questionOf(...given)", [choice, lines]) == whole
    assert tools("tools.questionOfOne(...given)", [whole, "AF"]) == one
    assert tools("tools.isEmpty(tools.questionOf('', ' \\n?'))")


@pytest.mark.parametrize(
    ("said", "factor"), [("1.25", 1.25), ("nonsense", 1), ("0", 1), ("-3", 1), ("40", 1), ("NaN", 1), (None, 1)]
)
def test_a_size_of_the_screen_that_cannot_be_is_not_believed(tools: Tools, said: str | None, factor: float) -> None:
    keep = "localStorage.setItem('cmelt-screen', given)" if said is not None else "localStorage.removeItem('cmelt-screen')"
    code = (
        f"(() => {{ {keep}; try {{ return tools.screenFactor(); }} finally {{ localStorage.removeItem('cmelt-screen'); }} }})()"
    )
    assert tools(code, said) == factor


def bars(tools: Tools, explanation: dict[str, Any], layout: str = "12x1") -> list[dict[str, float]]:
    code = f"""((sheet) => [...tools.drawEvidence(sheet, tools.explanationOf(given[2], 'x')).children].map((bar) => ({{
      kind: bar.getAttribute('class'), x: Number(bar.getAttribute('x')), y: Number(bar.getAttribute('y')),
      height: Number(bar.getAttribute('height')), bottom: sheet.rows.map((row) => row.baseline)}})))({SHEET})"""
    return tools(code, [text(canonical(spikes(10, 100), 100)), {"layout": layout, "speed": 25, "gain": 10}, explanation])


def test_evidence_stands_above_the_baseline_or_hangs_below_by_its_strength(tools: Tools) -> None:
    drawn = bars(tools, explained())
    above, below = ([bar for bar in drawn if bar["kind"] == kind] for kind in ("for", "against"))
    assert len(above) == len(below) == 5  # a fifth of a second in bars of 40 ms
    baseline = drawn[0]["bottom"]
    assert all(bar["y"] + bar["height"] == pytest.approx(baseline[6], abs=0.02) for bar in above)
    assert all(bar["y"] == pytest.approx(baseline[1], abs=0.01) for bar in below)
    strongest = above[0]["height"]
    assert strongest == pytest.approx(12, abs=1) and below[0]["height"] < strongest


def test_no_evidence_is_no_bar_and_said_to_be_none(tools: Tools) -> None:
    nothing = explained() | {"values": np.zeros((12, 1000)).tolist()}
    assert bars(tools, nothing) == []
    words = tools("tools.evidenceText('ECG A', tools.explanationOf(given, 'AF'), {strips: []}).textContent", nothing)
    assert "Nothing in the trace speaks for it." in words and "NaN" not in words


@pytest.mark.parametrize("seconds", [10.0, (np.arange(1000) / 100).tolist()])
def test_evidence_may_come_with_a_length_or_with_times(tools: Tools, seconds: Any) -> None:
    assert tools("tools.explanationOf(given, 'x').rate", explained() | {"seconds": seconds}) == pytest.approx(100)


def test_evidence_with_gaps_is_summed_without_them(tools: Tools) -> None:
    gaps = explained()
    gaps["values"][6][321] = None
    place = tools("tools.strongestPlace(tools.explanationOf(given, 'x'))", gaps)
    assert place["lead"] == "V1" and re.match(r"3\.[12]", f"{place['from']:.2f}")


@pytest.mark.parametrize(
    ("youngest", "oldest", "age"), [("", "", ""), ("40", "60", "40-60"), ("40", "", "40-120"), ("", "60", "0-60")]
)
def test_an_age_of_one_end_is_a_range(tools: Tools, youngest: str, oldest: str, age: str) -> None:
    assert tools("tools.filtersOf(given)", {"youngest": youngest, "oldest": oldest, "sex": "", "label": ""})["age"] == age


def test_hits_are_listed_with_what_is_known_and_opened_where_they_can_be(tools: Tools) -> None:
    hits = [
        {
            "record": "<b>1</b>",
            "similarity": 0.5,
            "report": None,
            "age": 70.4,
            "sex": "male",
            "labels": ["A", "B"],
            "ecg": "v1/index/1",
        }
    ]
    words, buttons, bold = tools(
        "((list) => [list.textContent, ...['button', 'b'].map((tag) => list.querySelectorAll(tag).length)])"
        "(tools.hitList(given, () => {}))",
        hits,
    )
    assert "<b>1</b>" in words and "70 years, male, A, B" in words and "No report." in words
    assert (buttons, bold) == (1, 0)
    assert tools("tools.hitList([], () => {}).textContent") == "Nothing in the index fits."
