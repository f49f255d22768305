"""What no record may be, what is said of it then, and whom the message names; millivolts from where on they cannot be true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.leads import check_limb_leads, derive_limb_leads, lead_name, select_leads
from cmelt.records.record import HIGHEST_RATE, LEADS, LIMB_LEADS, Record, lead_told, without_calibration
from cmelt.records.standard import standardise, windows
from cmelt.records.units import is_voltage, measured, refuse_impossible_amplitude, units_per_millivolt
from ecg_files import heart, record

ZEROS = np.zeros((2, 9), np.float32)
TWO = ("I", "II")

WRONG = {
    "signal is float64 with 2 dimensions (give float32 [leads, samples] in millivolts)": (ZEROS.astype(float), 100.0, TWO, 0),
    "signal is float32 with 1 dimensions (give float32 [leads, samples] in millivolts)": (ZEROS[0], 100.0, TWO, 0),
    "2 signals but 3 lead names (name every row once)": (ZEROS, 100.0, ("I", "II", "V1"), 0),
    "the record has no samples": (ZEROS[:, :0], 100.0, TWO, 0),
    "holds a calibration pulse and no ECG (leave it out)": (ZEROS, 100.0, TWO, 9),
    "sampling rate 0 Hz (it must be above zero and at most 100000)": (ZEROS, 0.0, TWO, 0),
    "sampling rate 100001 Hz (it must be above zero and at most 100000)": (ZEROS, 100_001.0, TWO, 0),
    "lead II occurs twice (rename or drop one of them)": (np.zeros((4, 9), np.float32), 100.0, ("I", "II", "V1", "II"), 0),
    "lead of another name occurs twice (rename or drop one of them)": (ZEROS, 100.0, ("Doe", "Doe"), 0),
}


@pytest.mark.parametrize("said", WRONG)
@pytest.mark.parametrize(("origin", "identifier", "named"), [("a/b.hea", "b", "a/b.hea"), ("", "b", "b"), ("", "", "record")])
def test_what_no_record_may_be_is_told_with_the_file_the_fault_and_the_remedy(said, origin, identifier, named):
    signal, rate, leads, calibration = WRONG[said]
    with pytest.raises(RecordError) as caught:
        Record(signal, rate, leads, identifier, origin=origin, calibration=calibration)
    assert str(caught.value) == f"{named}: {said}"


def test_the_least_and_the_highest_rate_and_all_but_one_calibration_sample_are_a_record():
    assert Record(ZEROS, HIGHEST_RATE, TWO, calibration=8).rate == HIGHEST_RATE
    assert Record(ZEROS, 1e-3, TWO).seconds == 9000
    with pytest.raises(RecordError, match="calibration"):
        Record(ZEROS, 100.0, TWO, calibration=-1)


def test_a_record_of_which_nothing_more_is_known_says_so():
    bare = Record(ZEROS, 100.0, TWO)
    assert (bare.identifier, bare.report, bare.patient, bare.age, bare.sex, bare.labels) == ("", None, None, None, None, ())
    assert (bare.origin, dict(bare.measurements), bare.derived, bare.calibration, dict(bare.truth)) == ("", {}, (), 0, {})
    assert without_calibration(bare) is bare
    pulse = without_calibration(Record(np.arange(18, dtype=np.float32).reshape(2, 9), 100.0, TWO, calibration=3))
    assert pulse.calibration == 0 and pulse.signal.tolist() == [[0, 1, 2, 3, 4, 5], [9, 10, 11, 12, 13, 14]]


@pytest.mark.parametrize("lead", ["I", "III", "aVR", "avl", "V9", "V4R", "MLII", "MV1", "MCL1", "X"])
def test_a_lead_s_name_is_told_and_what_may_be_a_person_s_is_not(lead):
    assert lead_told(lead) == lead
    assert lead_told(f"{lead} Doe") == lead_told("Doe, Jane") == "of another name"


@pytest.mark.parametrize(("origin", "identifier", "named"), [("a.hea", "b", "a.hea"), ("", "b", "b"), ("", "", "record")])
def test_leads_that_a_record_lacks_are_named_with_those_that_it_has(origin, identifier, named):
    held = Record(np.zeros((3, 9), np.float32), 100.0, ("I", "V2", "Doe"), identifier, origin=origin)
    with pytest.raises(RecordError) as caught:
        select_leads(held, ("V1", "I", "V6"))
    remedy = "select leads that it has"
    assert str(caught.value) == f"{named}: no lead V1, V6; it has I, V2, of another name ({remedy})"
    with pytest.raises(RecordError) as caught:
        standardise(replace(held, signal=np.full((3, 9), 0.1, np.float32)), 100.0)
    assert caught.value.where == named and caught.value.remedy == "leave the record out"


def test_a_lead_s_prefix_is_taken_off_and_a_channel_s_number_is_no_lead():
    spelled = {
        "MDC ECG LEAD I": "I", "mdc_ecg_v1": "V1", "LEAD-avF": "aVF", "Lead 3": "III", "ecg_lead_2": "II", "ECG V 5": "V5",
        "ECG 1": "ECG 1", "MDC_ECG_3": "MDC_ECG_3", " resp ": "resp", "LEAD 4": "LEAD 4", "lead": "lead",
    }  # fmt: skip
    assert {spelling: lead_name(spelling) for spelling in spelled} == spelled


def plain_error(signal: np.ndarray, leads: tuple[str, ...]) -> float:
    """What two voltages leave of the limb leads by least squares, over their size, scaled by the relations there are."""
    basis = {"I": (1, 0), "II": (0, 1), "III": (-1, 1), "aVR": (-0.5, -0.5), "aVL": (1, -0.5), "aVF": (-0.5, 1)}
    used = [lead for lead in basis if lead in leads]
    rows = np.array([signal[leads.index(lead)] for lead in used], float)
    rows -= rows.mean(axis=1, keepdims=True)
    mixtures = np.array([basis[lead] for lead in used])
    rest = rows - mixtures @ np.linalg.lstsq(mixtures, rows, rcond=None)[0]
    return float(np.sqrt(np.sum(rest**2) / np.sum(rows**2) * len(used) / (len(used) - 2)))


def test_how_far_limb_leads_contradict_one_another_is_what_two_voltages_leave_of_them():
    rng = np.random.default_rng(0)
    for size in (0.01, 0.1, 1.0):
        signal = heart(2) + (size * rng.normal(size=(12, 1000))).astype(np.float32)
        for leads in (LEADS, LEADS[::-1], ("V1", "aVF", "I", "III"), ("aVR", "aVL", "aVF", "V2")):
            part = signal[[LEADS.index(lead) for lead in leads]]
            check = check_limb_leads(part, leads)
            assert check.error == pytest.approx(plain_error(part, leads), rel=1e-6)
            assert check.checked == tuple(lead for lead in LIMB_LEADS if lead in leads)
            assert check.consistent == (check.error <= 0.05)


def test_limb_leads_that_are_still_or_measured_for_half_of_the_time_take_no_part():
    for gap, part in ((499, True), (500, False)):
        signal = heart(3)
        signal[3, :gap] = np.nan
        check = check_limb_leads(signal, LEADS)
        assert ("aVR" in check.checked) is part and check.error < 1e-3
    still = heart(3)
    still[3], still[4, 7] = 0.4, np.nan
    still[5, 1:] = 0.2
    assert check_limb_leads(still, LEADS).checked == ("I", "II", "III", "aVL", "aVF")
    still[5, 0], still[3, 5] = 0.2, np.nan
    assert check_limb_leads(still, LEADS).checked == ("I", "II", "III", "aVL")
    alternating = heart(3)
    alternating[0, :450], alternating[1, 440:890], alternating[2, 880:], alternating[3:6] = np.nan, np.nan, np.nan, 0
    none = check_limb_leads(alternating, LEADS)
    assert none.checked == ("I", "II", "III") and none.consistent
    assert np.isnan(check_limb_leads(alternating[:, :880], LEADS).error) and np.isnan(
        check_limb_leads(heart()[[0, 1]], ("I", "II")).error
    )


def test_derived_leads_come_last_in_the_usual_order_and_nothing_else_changes():
    held = record(leads=("V1", "aVF", "I", "V5"))
    whole, added = derive_limb_leads(held)
    assert added == ("II", "III", "aVR", "aVL") and whole.leads == ("V1", "aVF", "I", "V5", *added)
    assert np.array_equal(whole.signal[:4], held.signal) and whole.signal.dtype == np.float32
    assert whole.identifier == held.identifier
    complete = record()
    assert derive_limb_leads(complete)[0] is complete


@pytest.mark.parametrize(
    ("units", "per"), [("V", 1e-3), (" mV ", 1.0), ("UV", 1e3), ("µV", 1e3), ("μv", 1e3), ("nV", 1e6), ("mmHg", None), ("", None)]
)
def test_units_of_voltage_are_told_from_others(units, per):
    assert is_voltage(units) is (per is not None)
    if per is not None:
        assert units_per_millivolt(units, "x") == per
        return
    with pytest.raises(RecordError) as caught:
        units_per_millivolt(units, "x")
    assert str(caught.value) == "x: a lead's unit is not a voltage (ECG leads come in V, mV, uV or nV)"


def test_the_median_lead_spans_fifty_millivolts_at_most_between_the_first_and_the_last_hundredth():
    ramp = np.linspace(-1, 1, 1001, dtype=np.float32)
    for span, refused in ((49.9, False), (50.1, True)):
        rows = np.stack([ramp * span / 2 / 0.98, ramp * 1e-3, ramp * 900]).astype(np.float32)
        flat = np.concatenate([rows, np.zeros((3, 1001), np.float32), np.full((1, 1001), np.nan, np.float32)])
        for signal in (rows, flat, flat[:, ::-1] - 700):
            if not refused:
                refuse_impossible_amplitude(signal, "x")
                continue
            with pytest.raises(RecordError) as caught:
                refuse_impossible_amplitude(signal, "x")
            told = "leads span 50 mV, which no heart does: these can only be microvolts read as millivolts"
            assert (caught.value.where, caught.value.fault) == ("x", told)
            assert caught.value.remedy == "correct the unit or the gain that the file states (1000 steps per mV where it says 1)"
    refuse_impossible_amplitude(np.zeros((3, 0), np.float32), "x")
    one = np.full((1, 1000), 24.0, np.float32)
    one[0, ::2] = -30
    with pytest.raises(RecordError):
        refuse_impossible_amplitude(one, "x")
    with pytest.raises(RecordError):
        refuse_impossible_amplitude(-one, "x")


def test_a_thousand_millivolts_are_measured_and_more_are_a_gap():
    signal = np.array([[1000.0, -1000.0, 0.0, np.nan]], np.float32)
    assert measured(signal) is signal
    for absurd in (1000.1, -1000.1, np.inf, -np.inf):
        other = signal.copy()
        other[0, 2] = absurd
        found = measured(other)
        assert found.dtype == np.float32 and np.isnan(found).tolist() == [[False, False, True, True]]
        assert found[0, :2].tolist() == [1000.0, -1000.0]


def test_a_standard_record_says_what_it_holds_and_what_was_done():
    long = standardise(record(seconds=12), 100.0)
    assert (long.rate, long.samples, long.signal.shape, long.flags) == (100.0, 1000, (12, 1000), ("cropped",))
    half = standardise(record(seconds=12), 50.0, 7.5)
    assert (half.rate, half.samples, half.signal.shape) == (50.0, 375, (12, 375))
    few = standardise(record(leads=("V2", "I", "II")), 100.0)
    assert few.signal.dtype == np.float32 and np.array_equal(few.signal[7], record().signal[7])
    odd = standardise(record(seconds=12.01), 100.0, crop="centre")
    assert np.array_equal(odd.signal, record(seconds=12.01).signal[:, 100:1100])
    short = standardise(record(leads=("I", "II", "V2"), seconds=6), 100.0)
    assert short.flags[-1] == "padded" and short.samples == 600 and short.missing == ("V1", "V3", "V4", "V5", "V6")
    assert not short.signal[6].any() and short.signal.dtype == np.float32
    with pytest.raises(RecordError) as caught:
        standardise(replace(record(), signal=heart() / np.float32(1000), origin="a.csv"), 100.0)
    assert caught.value.where == "a.csv"


def test_a_pulse_takes_no_part_in_windows_and_pieces_that_fit_are_not_repeated():
    long = record(seconds=21)
    pulsed = replace(long, signal=np.concatenate([long.signal, np.ones((12, 55), np.float32)], axis=1), calibration=55)
    for one in (long, pulsed):
        cut = windows(one, 10.0)
        assert [piece.signal.shape[1] for piece in cut] == [1000] * 3
        starts = (0, 1000, 1100)
        assert all(np.array_equal(piece.signal, long.signal[:, at : at + 1000]) for piece, at in zip(cut, starts, strict=True))
    assert len(windows(record(seconds=10), 10.0)) == 1
    assert [piece.signal.shape[1] for piece in windows(record(seconds=10.01), 10.0)] == [1000, 1000]
