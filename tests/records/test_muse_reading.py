"""GE MUSE XML: the rhythm and not the median beat, four leads computed, nothing guessed."""

from __future__ import annotations

import base64
import re
import time

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.leads import check_limb_leads
from cmelt.records.readers import ReadOptions, muse, read_ecg
from cmelt.records.record import LEADS
from ecg_files import heart
from vendor_files import EIGHT, MEDIAN, STATEMENTS, muse_lead, muse_rhythm, muse_waveform, write_muse
from vendor_files import muse as muse_file

HEART = heart()
ROWS = [LEADS.index(lead) for lead in EIGHT]
RHYTHM = muse_rhythm(HEART[ROWS], EIGHT)


def read(tmp_path, document: str, options: ReadOptions | None = None, name: str = "ecg.xml"):
    path = tmp_path / name
    path.write_bytes(document.encode("latin-1"))
    return read_ecg(path, options or ReadOptions())


def replaced(pattern: str, by: str, document: str | None = None) -> str:
    changed, count = re.subn(pattern, by, document or muse_file(MEDIAN + RHYTHM))
    assert count
    return changed


def test_eight_leads_become_twelve_and_the_computed_ones_are_named(tmp_path):
    record = read(tmp_path, muse_file(RHYTHM))
    assert record.leads == (*EIGHT, "III", "aVR", "aVL", "aVF")
    assert record.derived == ("III", "aVR", "aVL", "aVF")
    for lead, row in zip(record.leads, record.signal, strict=True):
        assert np.allclose(row, HEART[LEADS.index(lead)], atol=2e-3), lead
    assert record.rate == 100


def test_twelve_and_fifteen_leads_stand_as_in_the_file(tmp_path):
    order = LEADS[::-1]
    record = read(tmp_path, muse_file(muse_rhythm(HEART[::-1], order)))
    assert record.leads == order and record.derived == ()
    assert np.allclose(record.signal, HEART[::-1], atol=6e-4)
    more = (*LEADS, "V3R", "V4R", "V7")
    record = read(tmp_path, muse_file(muse_rhythm(np.concatenate([HEART, HEART[:3]]), more)))
    assert record.leads == more


@pytest.mark.parametrize(
    "waveforms", [MEDIAN + RHYTHM, RHYTHM + MEDIAN, MEDIAN + RHYTHM + MEDIAN], ids=["first", "last", "twice"]
)
def test_the_median_beat_is_passed_over_wherever_it_stands(waveforms, tmp_path):
    assert read(tmp_path, muse_file(waveforms)).signal.shape == (12, 1000)


def test_a_median_beat_alone_is_no_ecg(tmp_path):
    for waveforms in (MEDIAN, MEDIAN.replace("<WaveformType>Median</WaveformType>", "")):
        with pytest.raises(RecordError, match="no rhythm"):
            read(tmp_path, muse_file(waveforms))


def test_a_single_waveform_without_a_type_is_read_if_it_is_longer_than_a_beat(tmp_path):
    untyped = RHYTHM.replace("<WaveformType>Rhythm</WaveformType>", "")
    assert read(tmp_path, muse_file(untyped)).signal.shape == (12, 1000)


def test_of_several_rhythms_the_one_with_most_leads_is_taken_and_leads_apart_are_joined(tmp_path):
    two = muse_rhythm(HEART[:2, ::-1], ("I", "II"))
    for both in (two + RHYTHM, RHYTHM + two, RHYTHM + muse_rhythm(HEART[ROWS, ::-1], EIGHT)):
        assert np.allclose(read(tmp_path, muse_file(both)).signal[0], HEART[0], atol=6e-4)
    one_each = "".join(muse_rhythm(HEART[row : row + 1], (lead,)) for row, lead in zip(ROWS, EIGHT, strict=True))
    record = read(tmp_path, muse_file(MEDIAN + one_each))
    assert record.leads[:8] == EIGHT and np.allclose(record.signal[:8], HEART[ROWS], atol=6e-4)


def test_a_lead_in_pieces_is_put_together_and_one_that_overlaps_is_refused(tmp_path):
    digital = np.rint(HEART[:2] * 1000)
    whole = muse_lead("II", digital[1])
    first = muse_lead("I", digital[0, :400])
    rest = muse_lead("I", digital[0, 400:], LeadOffsetFirstSample="400")
    record = read(tmp_path, muse_file(muse_waveform("Rhythm", first + whole + rest)))
    assert np.allclose(record.signal[0], HEART[0], atol=6e-4)
    for wrong in (first + whole, first + whole + muse_lead("I", digital[0, 400:]), whole + whole):
        with pytest.raises(RecordError, match=r"same time|twice"):
            read(tmp_path, muse_file(muse_waveform("Rhythm", wrong)))
    with pytest.raises(RecordError, match="different times"):
        read(tmp_path, muse_file(muse_waveform("Rhythm", whole + muse_lead("I", digital[0], LeadTimeOffset="2500"))))


@pytest.mark.parametrize(
    ("per_bit", "unit", "millivolt"), [(4.88, "MICROVOLTS", 0.00488), (2.5, "uV", 0.0025), (0.01, "MILLIVOLTS", 0.01)]
)
def test_amplitude_is_what_the_file_states(per_bit, unit, millivolt, tmp_path):
    lead = muse_lead("I", np.tile([100, -200], 500), per_bit, unit)
    record = read(tmp_path, muse_file(muse_waveform("Rhythm", lead)))
    assert np.allclose(record.signal[0, :2], [100 * millivolt, -200 * millivolt])


@pytest.mark.parametrize(
    ("base", "exponent", "rate"), [("500", "0", 500), ("25", "1", 250), ("5000", "-1", 500), ("500", "", 500)]
)
def test_the_rate_is_base_times_a_power_of_ten(base, exponent, rate, tmp_path):
    lead = muse_lead("I", np.arange(1000))
    assert read(tmp_path, muse_file(muse_waveform("Rhythm", lead, base, exponent))).rate == rate


def test_what_the_file_leaves_unsaid_must_be_said_by_the_caller(tmp_path):
    without_rate = muse_file(muse_waveform("Rhythm", muse_lead("I", np.arange(1000)), base=""))
    with pytest.raises(RecordError, match="sampling rate"):
        read(tmp_path, without_rate)
    assert read(tmp_path, without_rate, ReadOptions(rate=250)).rate == 250
    with pytest.raises(RecordError, match="100 Hz"):
        read(tmp_path, muse_file(RHYTHM), ReadOptions(rate=500))
    without_unit = muse_file(muse_waveform("Rhythm", muse_lead("I", np.arange(1000), unit="")))
    with pytest.raises(RecordError, match="unit"):
        read(tmp_path, without_unit)
    assert read(tmp_path, without_unit, ReadOptions(unit="uV")).signal[0, 999] == pytest.approx(0.999)


def test_samples_that_were_not_measured_are_nan(tmp_path):
    signal = HEART[ROWS].copy()
    signal[1, 50:60] = np.nan
    record = read(tmp_path, muse_file(muse_rhythm(signal, EIGHT)))
    assert np.isnan(record.signal[1, 50:60]).all() and np.isnan(record.signal[8, 50:60]).all()  # II, and III computed from it
    assert np.isfinite(record.signal[0]).all()


FAULTS = {
    "count": (r"<LeadSampleCountTotal>1000", "<LeadSampleCountTotal>1001", "fewer or more samples"),
    "checksum": (r"<LeadDataCRC32>\d+", "<LeadDataCRC32>12345", "checksum"),
    "base64": (r"(<WaveFormData>.)", r"\1!", "base64"),
    "gain": (r"<LeadAmplitudeUnitsPerBit>1<", "<LeadAmplitudeUnitsPerBit>0<", "amplitude"),
    "no gain": (r"<LeadAmplitudeUnitsPerBit>1</LeadAmplitudeUnitsPerBit>", "", "amplitude"),
    "unit": (r"MICROVOLTS", "AMPERES", "not a voltage"),
    "sample size": (r"<LeadSampleSize>2", "<LeadSampleSize>4", "two bytes"),
    "lead name": (r"<LeadID>V1</LeadID>", "<LeadID></LeadID>", "without a name"),
    "samples apart": (r"CONTINUOUS_SAMPLES", "MINMAX", "continuous"),
    "rate": (r"<SampleBase>100", "<SampleBase>-100", "sampling rate"),
    "far offset": (r"<LeadOffsetFirstSample>0", "<LeadOffsetFirstSample>1000000000000", "samples"),
    "root": (r"RestingECG>", "RestingEKG>", "not an ECG format"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_contradictions_are_refused(name, tmp_path):
    pattern, by, fault = FAULTS[name]
    with pytest.raises(RecordError, match=fault):
        read(tmp_path, replaced(pattern, by))


def test_a_checksum_of_zero_means_none(tmp_path):
    assert read(tmp_path, replaced(r"<LeadDataCRC32>\d+", "<LeadDataCRC32>0")).rate == 100


def test_a_flipped_bit_in_the_samples_is_noticed(tmp_path):
    document = muse_file(RHYTHM)
    place = document.index("<WaveFormData>") + 40
    other = "A" if document[place] != "A" else "B"
    with pytest.raises(RecordError, match="checksum"):
        read(tmp_path, document[:place] + other + document[place + 1 :])


def test_statements_become_lines_and_go_on_until_the_line_ends(tmp_path):
    assert read(tmp_path, muse_file(RHYTHM)).report == "Sinus rhythm\nAnterior infarct, age undetermined"


def test_the_original_diagnosis_stands_in_for_a_missing_one_and_the_edited_one_counts(tmp_path):
    original = "<OriginalDiagnosis>" + STATEMENTS.replace("Sinus", "Ectopic") + "</OriginalDiagnosis>"
    empty = "<Diagnosis><Modality>RESTING</Modality></Diagnosis>"
    assert read(tmp_path, muse_file(RHYTHM, empty + original)).report.startswith("Ectopic rhythm\n")
    assert read(tmp_path, muse_file(RHYTHM, f"<Diagnosis>{STATEMENTS}</Diagnosis>" + original)).report.startswith(
        "Sinus rhythm\n"
    )
    assert read(tmp_path, muse_file(RHYTHM, empty)).report is None


def test_measurements_are_the_device_s_and_sentinels_are_none(tmp_path):
    assert dict(read(tmp_path, muse_file(RHYTHM)).measurements) == {
        "heart_rate_bpm": 72, "pr_ms": 160, "qrs_ms": 90, "qtc_ms": 410, "p_axis_deg": 50, "qrs_axis_deg": -30,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("age", "units", "years"),
    [("61", "YEARS", 61), ("6", "MONTHS", 0.5), ("73", "DAYS", 0.2), ("61", "", None), ("999", "YEARS", None)],
)
def test_age_is_in_years(age, units, years, tmp_path):
    person = f"<PatientID>1</PatientID><PatientAge>{age}</PatientAge><AgeUnits>{units}</AgeUnits><Gender>MALE</Gender>"
    record = read(tmp_path, muse_file(RHYTHM, person=person))
    assert record.age == (None if years is None else pytest.approx(years, abs=0.01))
    assert record.sex == "male"


def test_the_patient_is_read_only_when_asked_for(tmp_path):
    path = write_muse(tmp_path / "ecg_0815-4711.txt", HEART)  # by content: the name says text, and the patient's number
    record = read_ecg(path)
    assert record.patient is None and record.identifier == "" and record.sex == "female" and record.age == 61
    assert read_ecg(path, ReadOptions(identity=True)).patient == "0815-4711"


@pytest.mark.parametrize("tenth", range(10))
def test_truncated_files_are_errors(tenth, tmp_path):
    content = muse_file(MEDIAN + RHYTHM)
    with pytest.raises(RecordError):
        read(tmp_path, content[: len(content) * tenth // 10])


def test_much_base64_is_refused_quickly(tmp_path):
    lead = muse_lead("I", np.zeros(1000), WaveFormData="QUJD" * 12_000_000, LeadSampleCountTotal="18000000", LeadDataCRC32="")
    path = tmp_path / "huge.xml"
    path.write_text(muse_file(muse_waveform("Rhythm", lead * 1)))
    start = time.process_time()
    with pytest.raises(RecordError):
        muse.read(path, ReadOptions(rate=7))
    assert time.process_time() - start < 1


def test_the_real_file_equals_its_base64_decoded_by_hand(data_dir):
    path = data_dir / "vendor-formats/ge-muse-xml/muse-sinus.xml"
    record = read_ecg(path)
    rhythm = path.read_text("latin-1").split("<WaveformType>Rhythm</WaveformType>")[1]
    names = re.findall(r"<LeadID>(\w+)<", rhythm)
    assert len(names) == 8
    for name, text in zip(names, re.findall(r"<WaveFormData>([^<]+)<", rhythm), strict=True):
        steps = np.frombuffer(base64.b64decode(text), "<i2")
        assert np.allclose(record.signal[record.leads.index(name)], steps * 4.88 / 1000, atol=1e-6)
    assert record.rate == 500 and record.signal.shape == (12, 5000)
    assert record.report.splitlines()[:2] == ["Normal Sinus rhythm", "Anterior infarct, age undetermined"]
    assert record.measurements["heart_rate_bpm"] == 90 and record.measurements["qtc_ms"] == 491
    assert (record.age, record.sex) == (43, "male")


def test_the_real_file_equals_its_wfdb_twin_in_all_twelve_leads(data_dir):
    """The twin was written by other hands, in whole microvolts; its header states 200 steps a mV, five times too few."""
    folder = data_dir / "vendor-formats/ge-muse-xml"
    ours, twin = read_ecg(folder / "muse-sinus.xml"), read_ecg(folder / "muse-sinus.hea")
    assert set(ours.leads) == set(twin.leads)
    for lead in LEADS:
        microvolts = ours.signal[ours.leads.index(lead)] * 1000
        assert np.abs(microvolts - twin.signal[twin.leads.index(lead)] * 200).max() < 0.5, lead
    assert check_limb_leads(ours.signal, ours.leads).consistent
