"""HL7 aECG in its corners: sets that do or do not go on from one another, units, who and when, what was measured."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cmelt.records.readers import ReadOptions, aecg, aecg_time
from cmelt.records.record import LEADS
from ecg_files import heart
from vendor_files import aecg as aecg_file
from vendor_files import aecg_annotation, aecg_lead, aecg_sequence, aecg_series, aecg_set, aecg_times
from xml_documents import fault_of, read

HEART = heart()
RATE = ReadOptions(rate=100)


# --- HL7 aECG: which sets go together ---


def of_sets(*sets: str, code: str = "RHYTHM") -> str:
    return aecg_file(aecg_series("".join(sets), code))


def part(rows: slice, start: int, stop: int, times: str) -> str:
    return aecg_set(HEART[rows, start:stop], LEADS[rows], times)


def test_sets_without_times_go_together_where_their_leads_are_new_and_as_long(tmp_path):
    limb, chest = part(slice(0, 6), 0, 1000, ""), part(slice(6, 12), 0, 1000, "")
    assert read(tmp_path, of_sets(limb, chest), RATE).leads == LEADS
    for other in (part(slice(6, 12), 0, 900, ""), part(slice(5, 9), 0, 1000, "")):
        assert read(tmp_path, of_sets(limb, other), RATE).leads == LEADS[:6]
    timed = part(slice(6, 12), 0, 1000, aecg_times("0.000"))
    assert (
        len(read(tmp_path, of_sets(limb, timed), RATE).leads) == 12
        and len(read(tmp_path, of_sets(timed, limb), RATE).leads) == 12
    )


@pytest.mark.parametrize(
    ("second", "samples"), [("5.004", 1000), ("4.996", 1000), ("5.006", 500), ("4.994", 500), ("-0.006", 500)]
)
def test_a_set_goes_on_from_another_to_within_half_a_sample(tmp_path, second, samples):
    first = part(slice(0, 12), 0, 500, aecg_times("0.000"))
    record = read(tmp_path, of_sets(first, part(slice(0, 12), 500, 1000, aecg_times(second))))
    assert record.signal.shape == (12, samples)
    np.testing.assert_allclose(record.signal, HEART[:, :samples], atol=6e-4)


def test_leads_of_another_set_begin_where_they_begin(tmp_path):
    first = part(slice(0, 6), 0, 500, aecg_times("0.000"))
    for begin, leads in (("-0.004", 12), ("-0.006", 6), ("2.000", 12), ("5.004", 12), ("5.006", 6)):
        record = read(tmp_path, of_sets(first, part(slice(6, 12), 0, 500, aecg_times(begin))))
        assert len(record.leads) == leads, begin
        if leads == 12:
            start = max(round(float(begin) * 100), 0)
            assert record.signal.shape == (12, start + 500)
            assert np.isnan(record.signal[6, :start]).all()
            np.testing.assert_allclose(record.signal[6:, start : start + 500], HEART[6:, :500], atol=6e-4)
    faster = part(slice(6, 12), 0, 500, aecg_times("0.000", "0.005"))
    assert read(tmp_path, of_sets(first, faster)).leads == LEADS[:6]


def test_a_lead_that_ended_may_go_on_and_one_that_has_not_may_not(tmp_path):
    both = part(slice(0, 2), 0, 400, aecg_times("0.000"))
    short = part(slice(2, 3), 0, 200, aecg_times("0.000"))
    assert read(tmp_path, of_sets(both, short, part(slice(2, 3), 200, 400, aecg_times("2.000")))).signal.shape == (3, 400)
    record = read(tmp_path, of_sets(both, short, part(slice(2, 3), 200, 400, aecg_times("1.900"))))
    assert record.leads == LEADS[:3] and np.isnan(record.signal[2, 200:]).all()


def test_a_rhythm_goes_before_other_series_and_these_before_none(tmp_path):
    longer, shorter = aecg_set(HEART), aecg_set(HEART[:, ::-1][:, :500])
    other = aecg_series(longer, "ECG", "")
    assert read(tmp_path, aecg_file(other + aecg_series(shorter, "rhythm", ""))).signal.shape == (12, 500)
    assert read(tmp_path, aecg_file(other)).signal.shape == (12, 1000)
    alone = "representative beats alone are no ECG: export the rhythm"
    assert fault_of(tmp_path, aecg_file(aecg_series(longer, "median_beat", ""))) == f"holds no rhythm series ({alone})"


def test_digits_are_counted_over_all_series(tmp_path, monkeypatch):
    two = aecg_file(aecg_series(aecg_set(HEART[:1], ("I",)), "RHYTHM", "") * 2)
    digits = sum(len(found) // 2 for found in re.findall("<digits>([^<]*)</digits>", two.split("<derivation>")[0])) * 2
    monkeypatch.setattr(aecg, "MOST_DIGITS", digits)
    assert read(tmp_path, two).leads == ("I",)
    monkeypatch.setattr(aecg, "MOST_DIGITS", digits - 1)
    assert fault_of(tmp_path, two) == "holds more samples than an ECG has (cut the record)"


def test_digits_are_read_in_pieces_that_end_between_numbers(tmp_path, monkeypatch):
    whole = read(tmp_path, of_sets(aecg_set(HEART))).signal
    for piece in (1, 7, 64):
        monkeypatch.setattr(aecg, "_CHUNK", piece)
        assert np.array_equal(read(tmp_path, of_sets(aecg_set(HEART[:, :300]))).signal, whole[:, :300])


def one_lead(lead: str, times: str | None = None) -> str:
    inner = (aecg_times() if times is None else times) + lead
    return aecg_file(aecg_series(f"<component><sequenceSet>{inner}</sequenceSet></component>", annotations=""))


def test_origin_and_scale_each_have_their_unit_and_an_origin_may_be_left_out(tmp_path):
    lead = aecg_lead("II", [0, 10], scale="5", unit="uV", origin="1")
    assert read(tmp_path, one_lead(lead)).signal[0].tolist() == pytest.approx([0.001, 0.051])
    mixed = lead.replace('<origin value="1" unit="uV"/>', '<origin value="1" unit="mV"/>')
    assert read(tmp_path, one_lead(mixed)).signal[0].tolist() == pytest.approx([1.0, 1.05])
    for left_out in ('<origin value=" "/>', "", '<origin value="0" unit="mmHg"/>'):
        other = lead.replace('<origin value="1" unit="uV"/>', left_out)
        assert read(tmp_path, one_lead(other)).signal[0].tolist() == pytest.approx([0, 0.05])
    wrong = lead.replace('value="1" unit="uV"', 'value="one" unit="uV"')
    assert fault_of(tmp_path, one_lead(wrong)) == "a lead whose origin is not a number (the file is altered: fetch it again)"


def test_times_without_increment_leave_the_rate_to_the_caller(tmp_path):
    times = re.sub("<increment.*?/>", "", aecg_times())
    assert read(tmp_path, one_lead(aecg_lead("II", range(9)), times), ReadOptions(rate=250)).rate == 250
    for increment, unit, rate in (("4", " ms ", 250), ("4000000", "ns", 250), ("0.004", "sec", 250), ("4000", "µs", 250)):
        assert read(tmp_path, one_lead(aecg_lead("II", range(9)), aecg_times("0.000", increment, unit))).rate == rate


def test_leads_go_by_their_code_with_or_without_the_standard_s_prefix(tmp_path):
    value = re.search("<value.*</value>", aecg_lead("II", range(9)))[0]
    for code, lead in ((" MDC_ECG_LEAD_V3R ", "V3R"), ("mdc_ecg_lead_v7", "v7"), ("aVF", "aVF"), ("MDC_ECG_LEAD_aVF", "aVF")):
        assert read(tmp_path, one_lead(aecg_sequence(code, value))).leads == (lead,)
    both = aecg_lead("Doe", range(9)) * 2
    told = "lead of another name occurs twice in a sequence set (rename or drop one of them)"
    assert fault_of(tmp_path, one_lead(both)) == told
    assert read(tmp_path, one_lead(aecg_sequence("V1", "<value/>") + aecg_lead("II", range(9)))).leads == ("II",)


@pytest.mark.parametrize(
    ("head", "unit", "code", "seconds"),
    [("2.5", "s", "TIME_RELATIVE", 2.5), (" -1500 ", " ms ", "TIME_RELATIVE", -1.5), ("7", "us", "X", 7e-6),
     ("7", "h", "X", None),
     ("", "s", "TIME_RELATIVE", None), ("seven", "s", "X", None), ("1e3", "s", "X", None),
     ("20200101000000", "", "TIME_ABSOLUTE", 1577836800),
     ("20200101", "", "TIME_ABSOLUTE", 1577836800), ("20200101010203.25+0100", "", "TIME_ABSOLUTE", 1577836800 + 3723.25),
     ("20200101000060", "", "TIME_ABSOLUTE", 1577836860), ("20201301000000", "", "TIME_ABSOLUTE", None),
     ("202001010000", "", "TIME_ABSOLUTE", None)],
)  # fmt: skip
def test_when_a_sequence_begins(head, unit, code, seconds):
    assert aecg_time.seconds_of(head, unit, code) == (None if seconds is None else pytest.approx(seconds))


# --- HL7 aECG: who, when, and what was measured ---


def annotated(*marks: str, at: str = "series") -> str:
    """A file with annotations of the series, of the series derived from it, or of the whole file."""
    held = f"<subjectOf><annotationSet>{''.join(marks)}</annotationSet></subjectOf>"
    document = aecg_file(aecg_series(aecg_set(HEART[:1], ("I",)), annotations=""))
    places = {"series": "</derivation>", "derived": "</derivedSeries>", "root": "</AnnotatedECG>"}
    tag = places[at]
    return document.replace(tag, tag + held if at == "series" else held + tag, 1)


QRS = "MDC_ECG_TIME_PD_QRS"


@pytest.mark.parametrize("at", ["series", "derived", "root"])
def test_measurements_may_stand_with_series_derived_series_and_file(tmp_path, at):
    record = read(tmp_path, annotated(aecg_annotation(QRS, "0.09", "s"), aecg_annotation("MDC_ECG_RHY", "Sinus  rhythm"), at=at))
    assert dict(record.measurements) == {"qrs_ms": 90} and record.report == "Sinus rhythm"


def test_units_sentinels_and_vendors_codes_are_understood(tmp_path):
    def measured(*marks: str) -> dict[str, float]:
        return dict(read(tmp_path, annotated(*marks)).measurements)

    assert measured(aecg_annotation(QRS, "90000", "us"), aecg_annotation("MDC_ECG_TIME_PD_PR", "160", "MS")) == {
        "qrs_ms": 90, "pr_ms": 160
    }  # fmt: skip
    assert measured(aecg_annotation(QRS, "90", "mV"), aecg_annotation("MDC_ECG_ANGLE_P_FRONT", "1", "rad")) == {}
    axes = aecg_annotation("MDC_ECG_ANGLE_P_FRONT", "999", "deg"), aecg_annotation("mindray_ecg_p_axis", "41", "deg")
    assert measured(*axes) == {"p_axis_deg": 41}
    both = (aecg_annotation("MDC_ECG_TIME_PD_QTCB", "420", "ms"), aecg_annotation("MDC_ECG_TIME_PD_QTC", "410", "ms"))
    assert measured(*both) == {"qtc_ms": 410}
    beats = [aecg_annotation(QRS, str(qrs), "ms") for qrs in (80, 100, 90, 94)]
    assert measured(*beats) == {"qrs_ms": 92}
    within = aecg_annotation("MDC_ECG_BEAT", inside=aecg_annotation(QRS, "88", "ms"), lead="II")
    assert measured(within, aecg_annotation(QRS, "70", "ms", lead="V1")) == {}
    assert measured(aecg_annotation(QRS, "words", "ms"), aecg_annotation(QRS, "90", "ms")) == {"qrs_ms": 90}


def test_statements_are_told_once_line_by_line_and_names_of_codes_stand_in(tmp_path):
    statement = "MDC_ECG_INTERPRETATION_STATEMENT"
    coded = f'<component><annotation><code code="{statement}"/><value code="x" displayName="Left axis"/></annotation></component>'
    marks = aecg_annotation(statement, "Sinus   rhythm\n\n Otherwise normal"), aecg_annotation(statement, "Sinus rhythm"), coded
    assert read(tmp_path, annotated(*marks)).report == "Sinus rhythm\nOtherwise normal\nLeft axis"
    assert read(tmp_path, annotated(aecg_annotation("MDC_ECG_OTHER", "No"))).report is None


def test_the_recording_s_date_is_the_series_own_before_the_file_s(tmp_path):
    document = aecg_file(aecg_series(aecg_set(HEART[:1], ("I",)), annotations=""))
    dated = document.replace("<series>", '<series><effectiveTime><high value="20100508"/></effectiveTime>')
    low = dated.replace("<high", '<low value="20010508"/><high')
    for text, age in ((document, 49), (dated, 57), (low, 48)):
        assert read(tmp_path, text).age == age
    assert read(tmp_path, document.replace('<center value="20021122091000"/>', "")).age is None


def test_the_subject_s_number_is_the_trial_s_else_the_device_s_else_the_root(tmp_path):
    document = aecg_file(aecg_series(aecg_set(HEART[:1], ("I",)), annotations=""))
    identity = ReadOptions(identity=True)
    added = document.replace("<subjectDemographicPerson>", "<subjectDemographicPerson><PatientID> 77 </PatientID>")
    assert read(tmp_path, added, identity).patient == "0815-4711"
    assert read(tmp_path, added.replace(' extension="0815-4711"', ""), identity).patient == "77"
    assert read(tmp_path, document.replace(' extension="0815-4711"', ' extension=" "'), identity).patient == "1.2.3"
    nobody = document.replace('<id root="1.2.3" extension="0815-4711"/>', "")
    assert read(tmp_path, nobody, identity).patient is None and read(tmp_path, nobody).identifier == "ecg"
