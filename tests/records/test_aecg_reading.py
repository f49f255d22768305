"""HL7 aECG: rhythm series by their own times and scales, sets joined where time says so, annotations of the whole ECG."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, aecg, read_ecg
from cmelt.records.record import LEADS
from ecg_files import heart
from vendor_files import (
    AECG_ANNOTATIONS,
    aecg_annotation,
    aecg_lead,
    aecg_sequence,
    aecg_series,
    aecg_set,
    aecg_times,
    write_aecg,
)
from vendor_files import aecg as aecg_file

HEART = heart()
NOON = "20021122120000.000"


def read(tmp_path, document: str, options: ReadOptions | None = None, name: str = "ecg.xml"):
    path = tmp_path / name
    path.write_text(document, encoding="utf-8")
    return read_ecg(path, options or ReadOptions())


def of_sets(*sets: str) -> str:
    return aecg_file(aecg_series("".join(sets)))


def one_lead(lead: str, times: str | None = None) -> str:
    return aecg_file(
        aecg_series(f"<component><sequenceSet>{aecg_times() if times is None else times}{lead}</sequenceSet></component>")
    )


def test_leads_come_by_name_in_the_file_s_order(tmp_path):
    order = ("V6", *LEADS[:11], "V3R")
    rows = np.concatenate([HEART[11:], HEART[:11], HEART[:1]])
    record = read(tmp_path, of_sets(aecg_set(rows, order)))
    assert record.leads == order and record.rate == 100
    assert np.allclose(record.signal, rows, atol=6e-4)


@pytest.mark.parametrize("prefix", ["hl7:", "a:"])
def test_a_namespace_with_a_prefix_is_the_same_namespace(prefix, tmp_path):
    document = of_sets(aecg_set(HEART)).replace('xmlns="urn:hl7-org:v3"', f'xmlns:{prefix[:-1]}="urn:hl7-org:v3"')
    document = re.sub(r"<(/?)(?=[A-Za-z])", rf"<\1{prefix}", document).replace(f"<{prefix}?", "<?")
    assert np.allclose(read(tmp_path, document).signal, HEART, atol=6e-4)


@pytest.mark.parametrize(
    ("scale", "unit", "origin", "millivolts"),
    [("2.5", "uV", "0", [0.0025, -0.005]), ("0.005", "mV", "1", [1.005, 0.99]), ("1000", "nV", "-500", [0.0005, -0.0025]),
     ("1e-6", "V", "0", [0.001, -0.002])],
)  # fmt: skip
def test_amplitude_is_origin_and_scale_in_their_unit(scale, unit, origin, millivolts, tmp_path):
    record = read(tmp_path, one_lead(aecg_lead("II", [1, -2, 0, 0], scale, unit, origin)))
    assert np.allclose(record.signal[0, :2], millivolts)


@pytest.mark.parametrize(
    ("increment", "unit", "rate"),
    [("0.002", "s", 500), ("2", "ms", 500), ("2000", "us", 500), ("1", "ms", 1000), ("4e-3", "s", 250)],
)
@pytest.mark.parametrize("head", [NOON, "0.000"])
def test_the_rate_is_the_inverse_of_the_increment(increment, unit, rate, head, tmp_path):
    record = read(tmp_path, one_lead(aecg_lead("II", range(9)), aecg_times(head, increment, unit)))
    assert record.rate == rate


def test_sets_that_follow_one_another_are_joined(tmp_path):
    halves = [
        aecg_set(HEART[:, :500], times=aecg_times("20021122120000.000")),
        aecg_set(HEART[:, 500:], times=aecg_times("20021122120005")),
    ]
    assert np.allclose(read(tmp_path, of_sets(*halves)).signal, HEART, atol=6e-4)
    relative = [aecg_set(HEART[:, :500], times=aecg_times("0.000")), aecg_set(HEART[:, 500:], times=aecg_times("5.000"))]
    assert np.allclose(read(tmp_path, of_sets(*relative)).signal, HEART, atol=6e-4)


def test_leads_of_several_sets_at_one_time_are_put_together(tmp_path):
    each = [aecg_set(HEART[row : row + 1], (lead,)) for row, lead in enumerate(LEADS)]
    record = read(tmp_path, of_sets(*each))
    assert record.leads == LEADS and np.allclose(record.signal, HEART, atol=6e-4)


def test_leads_recorded_in_turns_stand_at_their_time(tmp_path):
    turns = [
        aecg_set(HEART[rows, start : start + 250], LEADS[rows], aecg_times(f"{start / 100:.3f}"))
        for rows, start in ((slice(0, 3), 0), (slice(3, 6), 250), (slice(6, 9), 500), (slice(9, 12), 750))
    ]
    record = read(tmp_path, of_sets(*turns))
    assert record.leads == LEADS and record.signal.shape == (12, 1000)
    assert np.allclose(record.signal[4, 250:500], HEART[4, 250:500], atol=6e-4)
    assert np.isnan(record.signal[4, :250]).all() and np.isnan(record.signal[4, 500:]).all()


@pytest.mark.parametrize("second", ["20021122121500.000", "20021122120004.000"], ids=["a gap", "an overlap"])
def test_sets_that_do_not_follow_are_several_ecgs_and_the_fullest_is_read(second, tmp_path):
    short, long = HEART[:, :500], HEART[:, ::-1]
    record = read(tmp_path, of_sets(aecg_set(short, times=aecg_times(NOON)), aecg_set(long, times=aecg_times(second))))
    assert np.allclose(record.signal, long, atol=6e-4)
    record = read(tmp_path, of_sets(aecg_set(HEART, times=aecg_times(NOON)), aecg_set(long, times=aecg_times(second))))
    assert np.allclose(record.signal, HEART, atol=6e-4)  # the first of equals


def test_the_rhythm_is_read_and_not_the_representative_beat(tmp_path):
    beat = aecg_series(aecg_set(np.zeros((12, 5000))), "REPRESENTATIVE_BEAT")
    record = read(tmp_path, aecg_file(beat + aecg_series(aecg_set(HEART))))
    assert np.allclose(record.signal, HEART, atol=6e-4)
    with pytest.raises(RecordError, match="no rhythm"):
        read(tmp_path, aecg_file(beat))


def test_annotations_of_the_ecg_count_and_not_those_of_one_lead(tmp_path):
    record = read(tmp_path, of_sets(aecg_set(HEART)))
    assert dict(record.measurements) == {"heart_rate_bpm": 57, "pr_ms": 192, "qrs_ms": 88, "qrs_axis_deg": -61}
    assert record.report == "Rythme sinusal\nECG limite"  # without the comment, which names people


def test_measurements_beat_by_beat_give_their_median(tmp_path):
    beats = "".join(
        aecg_annotation("MDC_ECG_BEAT", inside=aecg_annotation("MDC_ECG_TIME_PD_QRS", str(qrs), "ms")) for qrs in (90, 200, 92)
    )
    assert read(tmp_path, aecg_file(aecg_series(aecg_set(HEART), annotations=beats))).measurements == {"qrs_ms": 92}


def test_the_rhythm_s_name_is_the_report_where_there_are_no_statements(tmp_path):
    named = (
        '<component><annotation><code code="MDC_ECG_RHY"/><value code="x" displayName="Sinus Rhythm"/></annotation></component>'
    )
    assert read(tmp_path, aecg_file(aecg_series(aecg_set(HEART), annotations=named))).report == "Sinus Rhythm"
    assert read(tmp_path, aecg_file(aecg_series(aecg_set(HEART), annotations=named + AECG_ANNOTATIONS))).report.startswith(
        "Rythme"
    )


def test_the_subject_s_age_is_that_at_the_recording(tmp_path):
    record = read(tmp_path, of_sets(aecg_set(HEART)))
    assert (record.age, record.sex, record.patient) == (49, "female", None)
    unborn = of_sets(aecg_set(HEART)).replace('<birthTime value="19530508"/>', "<birthTime/>")
    assert read(tmp_path, unborn).age is None


def test_the_patient_is_read_only_when_asked_for(tmp_path):
    path = write_aecg(tmp_path / "0815-4711.txt", HEART)
    assert read_ecg(path).patient is None and read_ecg(path).identifier == ""
    assert read_ecg(path, ReadOptions(identity=True)).patient == "0815-4711"


def test_a_subject_in_two_elements_is_one_person(tmp_path):
    numbered = '<subject><trialSubject><id extension="0815-4711"/></trialSubject></subject>'
    document = (
        of_sets(aecg_set(HEART))
        .replace('<id root="1.2.3" extension="0815-4711"/>', "")
        .replace("</subject>", f"</subject>{numbered}")
    )
    record = read(tmp_path, document, ReadOptions(identity=True))
    assert (record.patient, record.age, record.sex) == ("0815-4711", 49, "female")


def test_what_the_file_leaves_unsaid_must_be_said_by_the_caller(tmp_path):
    timeless = one_lead(aecg_lead("II", range(9)), times="")
    with pytest.raises(RecordError, match="sampling rate"):
        read(tmp_path, timeless)
    assert read(tmp_path, timeless, ReadOptions(rate=500)).rate == 500
    unitless = one_lead(aecg_lead("II", range(9), unit=""))
    with pytest.raises(RecordError, match="unit"):
        read(tmp_path, unitless)
    assert read(tmp_path, unitless, ReadOptions(unit="uV")).signal[0, 8] == pytest.approx(0.008)


def test_leads_without_samples_are_not_there(tmp_path):
    document = one_lead(aecg_lead("I", []) + aecg_lead("II", range(9)))
    assert read(tmp_path, document).leads == ("II",)
    with pytest.raises(RecordError, match="no samples"):
        read(tmp_path, one_lead(aecg_lead("I", [])))


def test_numbers_that_stand_for_nothing_are_nan(tmp_path):
    document = one_lead(aecg_lead("II", range(9))).replace("<digits>0 1 2", "<digits>0 nan 2")
    assert np.flatnonzero(np.isnan(read(tmp_path, document).signal[0])).tolist() == [1]


GOOD = of_sets(aecg_set(HEART))
LEAD = aecg_lead("II", range(9))
FAULTS = {
    "words": (one_lead(LEAD.replace("0 1 2", "0 one 2")), "not numbers"),
    "infinity": (one_lead(LEAD.replace("0 1 2", "0 1e999 2")), "not numbers"),
    "leads of two lengths": (one_lead(LEAD + aecg_lead("I", range(8))), "different lengths"),
    "a lead twice": (one_lead(LEAD + LEAD), "twice"),
    "a unit that is none": (one_lead(aecg_lead("II", range(9), unit="mmHg")), "not a voltage"),
    "a scale that is none": (one_lead(aecg_lead("II", range(9), scale="x")), "not a number"),
    "a scale of 0": (one_lead(aecg_lead("II", range(9), scale="0")), "without a scale"),
    "no scale": (one_lead(re.sub("<scale.*?/>", "", LEAD)), "without a scale"),
    "an increment of 0": (one_lead(LEAD, aecg_times(increment="0")), "increment"),
    "a negative increment": (one_lead(LEAD, aecg_times(increment="-0.002")), "increment"),
    "an increment in mm": (one_lead(LEAD, aecg_times(unit="mm")), "increment"),
    "no lead's code": (one_lead(aecg_sequence("", re.search("<value.*</value>", LEAD)[0])), "code of its lead"),
    "no series": (aecg_file(""), "no rhythm"),
    "microvolts called millivolts": (one_lead(aecg_lead("II", np.arange(-500, 500), unit="mV")), "microvolts read as millivolts"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_contradictions_are_refused(name, tmp_path):
    document, fault = FAULTS[name]
    with pytest.raises(RecordError, match=fault):
        read(tmp_path, document)


@pytest.mark.parametrize("tenth", range(10))
def test_truncated_files_are_errors(tenth, tmp_path):
    with pytest.raises(RecordError):
        read(tmp_path, GOOD[: len(GOOD) * tenth // 10])


def test_more_numbers_than_an_ecg_has_are_refused_within_a_second(tmp_path):
    path = tmp_path / "long.xml"
    path.write_text(one_lead(LEAD.replace("0 1 2", "0 " * 10_000_000)))
    start = time.process_time()
    with pytest.raises(RecordError, match="more samples"):
        aecg.read(path)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("number", range(3))
def test_real_files_equal_their_numbers_read_by_hand(number, data_dir):
    path = data_dir / f"vendor-formats/hl7-aecg/subject1_{number}.xml"
    record = read_ecg(path)
    rhythm = path.read_text().split("REPRESENTATIVE_BEAT")[0]
    found = re.findall(r'MDC_ECG_LEAD_(\w+)".*?<scale value="([\d.]+)" unit="uV".*?<digits>([^<]+)<', rhythm, re.DOTALL)
    assert len(found) == 12 and record.rate == 500 and record.signal.shape == (12, 5000)
    for name, scale, digits in found:
        row = record.signal[[lead.upper() for lead in record.leads].index(name)]
        assert np.allclose(row, np.array(digits.split(), dtype=float) * float(scale) / 1000, atol=1e-6)
    assert (record.age, record.sex) == (49, "male")
    assert record.measurements["qrs_axis_deg"] == -61 and record.measurements["qt_ms"] == 420


def test_the_smallest_real_file_is_read(data_dir):
    record = read_ecg(data_dir / "vendor-formats/hl7-aecg/minimum_aecg.xml")
    assert record.leads == ("II",) and record.rate == 500
