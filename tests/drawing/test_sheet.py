"""ECGs on paper: to scale, complete, in the agreed order, and honest about what is not there."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from cmelt.drawing import draw_ecg
from cmelt.drawing.marks import INKS, Line, Words
from cmelt.drawing.paper import Paper
from cmelt.drawing.sheet import MARGIN, pulse_room, sheet_of
from cmelt.errors import ConfigError, RecordError
from cmelt.pages.notice import NOTICE
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from ecg_files import heart, record

SCALES = [(12.5, 5.0), (25.0, 10.0), (50.0, 20.0)]


def steps(rate: float = 100.0, seconds: float = 10.0) -> Record:
    """Lead k is at zero but for 1 mV from 0.4 s after each whole second for 0.2 s; every lead alike, none flat."""
    time = np.arange(round(rate * seconds)) / rate
    pulse = ((time % 1 >= 0.4 - 1e-9) & (time % 1 < 0.6 - 1e-9)).astype(np.float32)
    return Record(np.tile(pulse, (12, 1)), rate, LEADS)


def traces(sheet):
    return [mark for mark in sheet.marks if isinstance(mark, Line) and mark.ink == "trace"]


def words(sheet):
    return [mark.text for mark in sheet.marks if isinstance(mark, Words)]


def lead_names(sheet):
    return [mark for mark in sheet.marks if isinstance(mark, Words) and mark.text in LEADS]


@pytest.mark.parametrize(("speed", "gain"), SCALES)
@pytest.mark.parametrize("layout", ["3x4+1", "6x2", "12x1"])
def test_a_second_and_a_millivolt_have_their_millimetres_in_every_lead(layout, speed, gain):
    sheet = sheet_of(steps(), Paper(layout, speed, gain))
    for line in traces(sheet):
        x, y = line.points.T
        assert np.ptp(y) == pytest.approx(gain)  # 1 mV
        rises = x[1:][np.diff(y) < -gain / 2]
        assert len(rises) >= 2 and np.diff(rises) == pytest.approx(speed, abs=1e-6)  # 1 s
        falls = x[1:][np.diff(y) > gain / 2]
        assert falls[falls > rises[0]][0] - rises[0] == pytest.approx(0.2 * speed)


@pytest.mark.parametrize(("speed", "gain"), SCALES)
def test_a_pulse_of_one_millivolt_and_a_fifth_of_a_second_stands_at_every_row_on_its_zero_line(speed, gain):
    sheet = sheet_of(steps(), Paper("3x4+1", speed, gain))
    pulses = [mark.points for mark in sheet.marks if isinstance(mark, Line) and mark.ink == "pulse"]
    zeros = sorted({float(line.points[:, 1].max()) for line in traces(sheet)})
    assert [float(pulse[0, 1]) for pulse in pulses] == pytest.approx(zeros)
    for pulse in pulses:
        assert np.ptp(pulse[:, 1]) == pytest.approx(gain)
        top = pulse[pulse[:, 1] == pulse[:, 1].min(), 0]
        assert np.ptp(top) == pytest.approx(0.2 * speed)
        assert pulse[:, 0].max() < MARGIN + pulse_room(speed)


@pytest.mark.parametrize("layout", ["3x4+1", "6x2", "12x1"])
@pytest.mark.parametrize("speed", [12.5, 25.0, 50.0])
def test_rows_and_their_beginning_lie_on_heavy_lines(layout, speed):
    sheet = sheet_of(steps(), Paper(layout, speed))
    for line in traces(sheet):
        assert float(line.points[:, 1].max()) % 5 == pytest.approx(0)
    assert (MARGIN + pulse_room(speed)) % 5 == 0
    assert sheet.width % 5 == sheet.height % 5 == 0


ORDERS = {
    "3x4+1": ["I aVR V1 V4", "II aVL V2 V5", "III aVF V3 V6", "II"],
    "6x2": ["I V1", "II V2", "III V3", "aVR V4", "aVL V5", "aVF V6"],
    "12x1": list(LEADS),
}


@pytest.mark.parametrize("layout", ORDERS)
def test_leads_stand_in_the_rows_and_columns_of_the_layout(layout):
    sheet = sheet_of(steps(), Paper(layout))
    rows: dict[float, list[Words]] = {}
    for name in lead_names(sheet):
        rows.setdefault(name.y, []).append(name)
    found = [" ".join(one.text for one in sorted(rows[y], key=lambda one: one.x)) for y in sorted(rows)]
    assert found == ORDERS[layout]
    assert sorted(line.lead for line in traces(sheet)) == sorted(" ".join(ORDERS[layout]).split())


def test_columns_are_consecutive_quarters_and_the_rhythm_strip_is_all_of_it():
    signal = np.zeros((12, 1000), np.float32)
    signal[:, 620:640] = 1.0  # in the third quarter
    lines = traces(sheet_of(Record(signal, 100.0, LEADS), Paper()))
    columns, rhythm = lines[:12], lines[12]
    by_start = sorted({round(float(line.points[0, 0]), 3) for line in columns})
    assert np.diff(by_start) == pytest.approx([62.5] * 3)
    for line in columns:
        assert (np.ptp(line.points[:, 1]) > 9) == (line.lead in ("V1", "V2", "V3"))
    begin = rhythm.points[0, 0]
    assert rhythm.points[np.argmin(rhythm.points[:, 1]), 0] - begin == pytest.approx(6.2 * 25, abs=0.26)
    assert rhythm.points[-1, 0] - begin == pytest.approx(250, abs=0.5)


def test_the_paper_of_a_page_of_ten_seconds_is_as_wide_as_its_time_whatever_the_speed():
    for speed, width in ((12.5, 125 + 10 + 10), (25.0, 250 + 10 + 10), (50.0, 500 + 15 + 10)):
        assert sheet_of(steps(), Paper(speed=speed)).width == width


def test_a_spike_of_one_sample_survives_thinning():
    signal = np.zeros((12, 10_000), np.float32)
    signal[1, 4321] = 2.0
    strip = traces(sheet_of(Record(signal, 1000.0, LEADS), Paper()))[-1]
    assert len(strip.points) < 3000
    assert np.ptp(strip.points[:, 1]) == pytest.approx(20)
    assert strip.points[np.argmin(strip.points[:, 1]), 0] - strip.points[0, 0] == pytest.approx(4.321 * 25)


def test_large_amplitudes_get_higher_rows_and_stay_on_the_paper():
    signal = heart()
    signal[6, 550], signal[1, 100] = 3.5, -2.5
    sheet = sheet_of(Record(signal, 100.0, LEADS), Paper())
    for line in traces(sheet):
        assert line.points.min() >= 0
        assert line.points[:, 0].max() <= sheet.width and line.points[:, 1].max() <= sheet.height


def test_a_gap_is_not_bridged():
    signal = heart()
    signal[1, 400:500] = np.nan
    rhythm = traces(sheet_of(Record(signal, 100.0, LEADS), Paper()))[-1]
    assert np.isnan(rhythm.points[400:500, 1]).all() and np.isfinite(rhythm.points[:400]).all()
    path = re.findall(r'class="trace" data-lead="II" d="([^"]+)"', draw_ecg(signal, 100.0, LEADS))[-1]
    assert path.count("M") == 2 and "nan" not in path


def test_missing_empty_and_flat_leads_are_told_apart_where_they_would_stand():
    whole = record()
    signal = whole.signal.copy()
    signal[LEADS.index("aVL")] = 0.0
    signal[LEADS.index("V2")] = np.nan
    kept = [row for row, lead in enumerate(LEADS) if lead != "V5"]
    sheet = sheet_of(Record(signal[kept], 100.0, tuple(LEADS[row] for row in kept)), Paper())
    remarks = {mark.text: (mark.x, mark.y) for mark in sheet.marks if isinstance(mark, Words)}
    places = {mark.text: mark.x for mark in lead_names(sheet)}
    for lead, remark in (("aVL", "flat"), ("V2", "nothing measured"), ("V5", "not recorded")):
        assert remarks[remark][0] == pytest.approx(places[lead])
    drawn = {line.lead for line in traces(sheet)}
    assert "aVL" in drawn and not {"V2", "V5"} & drawn
    header = " ".join(words(sheet))
    assert "aVL, V2 are flat" in header and "V5 is not recorded" in header


def test_a_lead_without_measurement_in_the_drawn_stretch_alone_is_marked_too():
    signal = heart(seconds=20.0)
    signal[LEADS.index("V6"), 1000:] = np.nan
    both = Record(signal, 100.0, LEADS)
    assert "nothing measured" not in words(sheet_of(both, Paper()))
    assert "nothing measured" in words(sheet_of(both, Paper(start=10.0)))


@pytest.mark.parametrize(("leads", "rhythm"), [(("V1", "I"), "V1"), (("I", "V6"), "I"), (("V5",), "V5"), (("V1", "II"), "II")])
def test_the_rhythm_strip_is_of_lead_ii_or_of_the_next_that_is_recorded(leads, rhythm):
    lines = traces(sheet_of(record(leads=leads), Paper()))
    assert [line.lead for line in lines][-1] == rhythm
    assert len(lines) == len(leads) + 1


def test_a_flat_lead_ii_is_no_rhythm_strip():
    signal = heart()
    signal[1] = 0.0
    assert traces(sheet_of(Record(signal, 100.0, LEADS), Paper()))[-1].lead == "V1"


def test_leads_beyond_the_twelve_get_rows_of_their_own_and_none_is_dropped_unsaid():
    more = Record(np.concatenate([heart(), heart(1)[:2]]), 100.0, (*LEADS, "V7", "V3R"))
    sheet = sheet_of(more, Paper())
    assert [line.lead for line in traces(sheet)][-2:] == ["V7", "V3R"]
    own = Record(heart(2)[:2], 100.0, ("X", "Y"))
    alone = sheet_of(own, Paper())
    assert [line.lead for line in traces(alone)] == ["X", "Y"] and "not recorded" not in " ".join(words(alone))
    many = Record(np.concatenate([heart(0), heart(1)[:4]]), 100.0, tuple(f"E{number}" for number in range(16)))
    assert "4 further leads are not drawn" in " ".join(words(sheet_of(many, Paper())))


def test_an_offset_of_the_electrode_is_taken_off_and_said_a_small_one_is_left():
    signal = heart()
    signal[6] += 3.2
    signal[7] += 0.3
    sheet = sheet_of(Record(signal, 100.0, LEADS), Paper("12x1"))
    assert any(text.endswith("mV taken off") and text.startswith("+3.") for text in words(sheet))
    assert sum("taken off" in text for text in words(sheet)) == 1
    plain = {line.lead: line.points[0, 1] for line in traces(sheet_of(record(), Paper("12x1")))}
    assert plain["V2"] is not None
    line = next(line for line in traces(sheet) if line.lead == "V2")
    zero = next(mark.points[0, 1] for mark in sheet.marks if isinstance(mark, Line) and mark.ink == "pulse" and
                abs(mark.points[0, 1] - np.median(line.points[:, 1])) < 12)  # fmt: skip
    assert zero - line.points[:, 1] == pytest.approx(10 * signal[7].astype(float), abs=1e-4)


def test_header_has_scale_filter_stretch_and_facts_and_the_foot_the_notice():
    long = replace(record(seconds=60.0), age=63.4, sex="female", measurements={"heart_rate_bpm": 71.6, "qrs_axis_deg": -30.0})
    told = words(sheet_of(long, Paper(speed=50, gain=20, start=20.0, filtered=True)))
    assert told[0] == "50 mm/s   20 mm/mV   100 Hz   filter 0.5–40 Hz   20 to 30 of 60 s"
    assert told[1] == "female   63 years   heart rate 72/min   axis QRS -30°"
    assert told[-1] == NOTICE
    assert "no filter added   10 s" in words(sheet_of(record(), Paper()))[0]


def test_nothing_on_the_page_says_who_it_is():
    known = replace(
        record(), patient="Jane 4711", identifier="jane-1", origin="/ward/jane.xml", report="Jane: AF", labels=("scp:JANE",)
    )
    sheet = sheet_of(replace(known, age=97.0), Paper())
    assert "jane" not in repr([sheet.title, sheet.description, words(sheet)]).lower()
    assert "90 years or older" in words(sheet)[1] and "97" not in repr(words(sheet))


def test_what_looks_wrong_with_the_recording_stands_in_the_header():
    signal = heart(3)
    signal[[0, 1]] = signal[[1, 0]]
    header = [mark for mark in sheet_of(Record(signal, 100.0, LEADS), Paper()).marks if isinstance(mark, Words)]
    assert any("I and II look exchanged" in mark.text and mark.ink == "warning" for mark in header)


def test_leads_that_the_device_computed_are_told_as_a_fact_not_as_a_fault():
    header = [mark for mark in sheet_of(replace(record(), derived=("III", "aVF")), Paper()).marks if isinstance(mark, Words)]
    assert {mark.ink for mark in header if "III, aVF are computed from other leads" in mark.text} == {"letters"}


def test_a_title_of_one_s_own_is_the_first_line_and_the_drawing_s_name():
    sheet = sheet_of(record(), Paper(), title="pericarditis\n<simulated>")
    assert words(sheet)[0] == sheet.title == "pericarditis <simulated>"
    assert sheet_of(record(), Paper()).title == "ECG"


def test_the_filter_takes_away_what_it_says_and_moves_nothing():
    time = np.arange(5000) / 500
    beat = np.exp(-(((time % 1.0) - 0.5) ** 2) / (2 * 0.02**2))
    slow, hum = np.sin(2 * np.pi * 0.05 * time), 0.3 * np.sin(2 * np.pi * 100 * time)
    noisy = Record(np.tile((beat + slow + hum).astype(np.float32), (12, 1)), 500.0, LEADS)
    rhythm = traces(sheet_of(noisy, Paper(filtered=True)))[-1].points
    middle = (rhythm[:, 0] > 75) & (rhythm[:, 0] < 200)
    assert np.ptp(rhythm[middle, 1]) < 12  # of 30 mm before
    x = rhythm[:, 0] - rhythm[0, 0]
    for second in (3, 4, 5, 6):
        there = (x > second * 25) & (x < (second + 1) * 25)
        assert x[there][np.argmin(rhythm[there, 1])] == pytest.approx((second + 0.5) * 25, abs=0.1)


def test_the_filter_leaves_gaps_and_takes_slow_and_short_recordings():
    signal = heart(rate=60.0)
    signal[3, 100:160] = np.nan
    slow = sheet_of(Record(signal, 60.0, LEADS), Paper("12x1", filtered=True))
    assert "filter 0.5–27 Hz" in words(slow)[0]
    assert np.isnan(traces(slow)[3].points[100:160, 1]).all() and np.isfinite(traces(slow)[3].points[:100]).all()
    assert traces(sheet_of(Record(signal[:, :5], 60.0, LEADS), Paper(filtered=True)))


def test_a_device_s_calibration_pulse_at_the_end_is_not_taken_for_heart():
    signal = heart()
    signal[:, 900:] = 1.0
    assert sheet_of(Record(signal, 100.0, LEADS, calibration=100), Paper()).description.endswith(f"9 s. {NOTICE}")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"layout": "4x3"}, "3x4+1, 6x2, 12x1"), ({"speed": 30.0}, "12.5, 25, 50"), ({"gain": 0.0}, "5, 10, 20"),
     ({"start": -1.0}, "start"), ({"start": float("nan")}, "start")],
)  # fmt: skip
def test_choices_that_no_paper_has_are_refused_with_those_it_has(wrong, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        Paper(**wrong)


def test_microvolts_that_are_called_millivolts_are_not_drawn():
    with pytest.raises(RecordError, match="microvolts read as millivolts"):
        sheet_of(Record(heart() * 1000, 100.0, LEADS), Paper())


def test_one_absurd_lead_leaves_the_paper_and_the_others_on_it():
    signal = heart()
    signal[7, ::2], signal[8, 3] = 1e30, -1e30
    sheet = sheet_of(Record(signal, 100.0, LEADS), Paper())
    assert sheet.height < 400
    assert all(np.abs(line.points).max() < 2000 for line in traces(sheet))


def test_a_page_cannot_begin_after_the_record():
    with pytest.raises(RecordError, match="begin earlier"):
        sheet_of(record(), Paper(start=10.0))


def test_a_drawing_for_a_page_has_the_scale_and_no_header_of_its_own():
    svg = draw_ecg(np.zeros((12, 1000)), 100.0, LEADS, "a <b> & c")
    assert "a &lt;b&gt; &amp; c" in svg and "<b>" not in svg
    assert "25 mm/s   10 mm/mV   100 Hz   no filter added   10 s</text>" in svg and f">{NOTICE}<" not in svg


def test_letters_can_be_read_on_the_paper():
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for ink in ("letters", "warning", "trace"):
        ratio = (luminance("#fffafa") + 0.05) / (luminance(INKS[ink].colour) + 0.05)
        assert ratio > 4.5  # WCAG AA


def test_real_records_of_every_vendor_are_drawn_whole(data_dir):
    files = sorted((data_dir / "vendor-formats").rglob("*.xml"))[:6]
    assert files
    for path in files:
        real = read_ecg(path)
        sheet = sheet_of(real, Paper())
        assert {line.lead for line in traces(sheet)} >= {lead for lead in LEADS if lead in real.leads}
