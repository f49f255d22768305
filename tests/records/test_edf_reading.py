"""EDF and BDF: bit for bit what two other readers read, leads by label alone, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from binary_files import edf_header, edf_signal, write_edf
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.readers.edf import lead_of_label
from cmelt.records.record import LEADS
from ecg_files import heart

DIGITAL = np.rint(heart() * 1000).astype(int)


def records_of(*signals, width=2):
    """`signals` [records, samples] of integers as data records."""
    parts = [np.concatenate([signal[number] for signal in signals]) for number in range(len(signals[0]))]
    flat = np.concatenate(parts).astype("<i4")
    return flat.astype("<i2").tobytes() if width == 2 else flat.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def by_second(row):
    return row.reshape(10, 100)


def write(path, header, data):
    path.write_bytes(header + data)
    return path


def two_leads(tmp_path, *changed, **header):
    """Leads I and II with fields of their signals changed."""
    signals = [edf_signal("ECG I", 100), edf_signal("ECG II", 100)]
    for signal, change in zip(signals, changed, strict=False):
        signal.update(change)
    return write(tmp_path / "e.edf", edf_header(signals, 10, **header), records_of(by_second(DIGITAL[0]), by_second(DIGITAL[1])))


# --- against other readers ---


def test_files_of_another_writer_are_read_as_two_other_readers_read_them(tmp_path):
    edfio, pyedflib = pytest.importorskip("edfio"), pytest.importorskip("pyedflib")
    signals = [
        edfio.EdfSignal(
            row.astype(float) * 1000, 100, label=f"ECG {lead}", physical_dimension="uV", physical_range=(-4321.5, 3999.25)
        )
        for lead, row in zip(LEADS, heart(), strict=True)
    ]
    edfio.Edf(signals, annotations=[edfio.EdfAnnotation(1.5, None, "cough")]).write(tmp_path / "e.edf")
    record = read_ecg(tmp_path / "e.edf")
    assert record.leads == LEADS and record.rate == 100 and record.report is None
    assert np.allclose(record.signal, heart(), atol=1e-3)
    for theirs in (
        np.stack([signal.data for signal in edfio.read_edf(tmp_path / "e.edf").signals]),
        np.stack([pyedflib.EdfReader(str(tmp_path / "e.edf")).readSignal(row) for row in range(12)]),
    ):
        assert np.abs(record.signal - theirs / 1000).max() < 1e-6


def test_bdf_has_three_bytes_a_sample(tmp_path):
    edfio = pytest.importorskip("edfio")
    row = heart()[1].astype(float)
    edfio.Bdf([edfio.BdfSignal(row, 100, label="EKG II", physical_dimension="mV", physical_range=(-5, 5))]).write(
        tmp_path / "e.bdf"
    )
    record = read_ecg(tmp_path / "e.bdf")
    assert record.leads == ("II",) and np.allclose(record.signal[0], row, atol=1e-6)


def test_negative_numbers_of_three_bytes_keep_their_sign(tmp_path):
    values = np.array([[0, 1, -1, -(1 << 23), (1 << 23) - 1, 300, -300, 70_000, -70_000, 5]])
    header = edf_header([edf_signal("II", 10, "nV", reach=8388607)], 1, bdf=True)
    record = read_ecg(write(tmp_path / "e", header, records_of(values, width=3)))
    assert np.array_equal(np.rint(record.signal[0].astype(float) * 1e6), values[0])


# --- numbers ---


def test_samples_are_scaled_from_the_digital_to_the_physical_range(tmp_path):
    record = read_ecg(
        two_leads(tmp_path, {"low": -3276.8, "high": 3276.7, "least": -32768, "greatest": 32767}, {"low": 32767, "high": -32767})
    )
    assert np.allclose(record.signal[0], DIGITAL[0] / 10_000, atol=1e-6)
    assert np.allclose(record.signal[1], -DIGITAL[1] / 1000, atol=1e-6)  # a range that falls turns the signal, as EDF says


@pytest.mark.parametrize(("unit", "reach"), [("uV", "30000"), ("µV", "30000"), ("mV", "30"), ("V", "0.03"), ("nV", "3e7")])
def test_units_are_the_header_s(tmp_path, unit, reach):
    change = {"unit": unit, "low": f"-{reach}", "high": reach, "least": -30_000, "greatest": 30_000}  # the same voltages in each
    assert np.allclose(read_ecg(two_leads(tmp_path, change, change)).signal, DIGITAL[:2] / 1000, atol=1e-6)


def test_a_unit_that_is_not_stated_is_not_guessed(tmp_path):
    path = two_leads(tmp_path, {"unit": ""}, {"unit": ""})
    with pytest.raises(RecordError, match="unit"):
        read_ecg(path)
    assert np.allclose(read_ecg(path, ReadOptions(unit="uV")).signal, DIGITAL[:2] / 1000, atol=1e-6)


@pytest.mark.parametrize("seconds", [0.5, 1, 2.5])
def test_the_rate_is_samples_over_duration(tmp_path, seconds):
    assert read_ecg(two_leads(tmp_path, seconds=seconds)).rate == 100 / seconds


def test_decimal_commas_and_zero_bytes_between_fields_are_understood(tmp_path):
    path = two_leads(tmp_path, {"low": "-3276,7", "high": "3276,7"}, {"unit": "uV\x00", "label": "II\x00\x00"})
    assert np.allclose(read_ecg(path).signal, DIGITAL[:2] / [[10_000], [1000]], atol=1e-6)


def test_a_recorder_that_was_not_shut_down_leaves_its_number_of_records_open(tmp_path):
    path = two_leads(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:236] + b"-1      " + content[244:])
    assert np.array_equal(read_ecg(path).signal, read_ecg(two_leads(tmp_path)).signal)


# --- leads ---


@pytest.mark.parametrize(
    ("label", "lead"),
    {
        "I": "I", "ECG I": "I", "EKG II": "II", "ECG III": "III", "avr": "aVR", "ECG aVL-Ref": "aVL", "II-ref": "II",
        "EKG-V1": "V1", "ECG_V6": "V6", "ECGV2": "V2", "Lead II": "II", "ECG LA-RA": "I", "ECG LL-RA": "II", "V7": "V7",
        "ECG X": "X", "ECG 1": None, "ECG1": None, "1": None, "ECG": None, "EKG": None, "X": None, "Resp": None, "SpO2": None,
        "EEG Fp1": None, "C3-A2": None, "ECG RA-LA": None, "I-II": None, "EDF Annotations": None,
    }.items(),
)  # fmt: skip
def test_labels_name_leads_and_channel_numbers_do_not(label, lead):
    assert lead_of_label(label) == lead


def test_signals_that_are_no_ecg_are_left_out_whatever_their_rate_and_range(tmp_path):
    signals = [
        edf_signal("EEG Fp1", 200), edf_signal("ECG II", 100), edf_signal("Resp", 10, "", low=0, high=0),
        edf_signal("ECG V1", 100), edf_signal("SpO2", 1, "%"), edf_signal("EDF Annotations", 20, ""),
    ]  # fmt: skip
    rows = [
        np.ones((10, 200)),
        by_second(DIGITAL[1]),
        np.ones((10, 10)),
        by_second(DIGITAL[6]),
        np.ones((10, 1)),
        np.ones((10, 20)),
    ]
    record = read_ecg(write(tmp_path / "e.edf", edf_header(signals, 10, kind="EDF+C"), records_of(*rows)))
    assert record.leads == ("II", "V1")
    assert np.array_equal(np.rint(record.signal * 1000), DIGITAL[[1, 6]])


def test_a_file_without_a_recognisable_lead_is_refused(tmp_path):
    with pytest.raises(RecordError, match="recognisably an ECG lead"):
        read_ecg(two_leads(tmp_path, {"label": "EEG Fp1"}, {"label": "EEG Fp2"}))


def test_channels_called_ecg_are_leads_only_if_the_caller_names_them(tmp_path):
    path = two_leads(tmp_path, {"label": "ECG 1"}, {"label": "ECG 2"})
    with pytest.raises(RecordError, match="does not name its leads"):
        read_ecg(path)
    record = read_ecg(path, ReadOptions(leads=("V1", "V5")))
    assert record.leads == ("V1", "V5") and np.array_equal(np.rint(record.signal * 1000), DIGITAL[:2])


def test_leads_of_several_rates_are_refused(tmp_path):
    signals = [edf_signal("I", 100), edf_signal("II", 200)]
    header = edf_header(signals, 10)
    with pytest.raises(RecordError, match="several sampling rates"):
        read_ecg(write(tmp_path / "e.edf", header, records_of(by_second(DIGITAL[0]), np.ones((10, 200)))))


# --- interruptions ---


def interrupted(tmp_path, onsets, kind="EDF+D", stamp="+{:g}\x14\x14\x00"):
    signals = [edf_signal("II", 100), edf_signal("EDF Annotations", 20, "")]
    rows = by_second(DIGITAL[1])
    texts = [stamp.format(onset).encode().ljust(40, b"\x00") for onset in onsets]
    data = b"".join(rows[number].astype("<i2").tobytes() + text for number, text in enumerate(texts))
    return write(tmp_path / "e.edf", edf_header(signals, len(onsets), kind=kind), data)


def test_gaps_of_an_interrupted_recording_are_nan(tmp_path):
    record = read_ecg(interrupted(tmp_path, [5, 6, 9.25, 10.25]))
    assert record.signal.shape == (1, 625)
    expected = np.full(625, np.nan)
    for place, number in zip((0, 100, 425, 525), range(4), strict=True):
        expected[place : place + 100] = by_second(DIGITAL[1])[number] / 1000
    assert np.allclose(record.signal[0], expected, atol=1e-6, equal_nan=True)


def test_time_stamps_of_an_uninterrupted_recording_make_no_gaps(tmp_path):
    assert read_ecg(interrupted(tmp_path, [0, 1, 5], kind="EDF+C")).signal.shape == (1, 300)


@pytest.mark.parametrize(
    ("onsets", "stamp", "reason"),
    [([0, 0.5, 2], "+{:g}\x14\x14\x00", "overlap"), ([0, 2.0031], "+{:g}\x14\x14\x00", "whole number"),
     ([0, 1], "none", "time stamp"), ([0, 9e8], "+{:.0f}\x14\x14\x00", "announces")],
)  # fmt: skip
def test_time_stamps_that_cannot_be_true_are_refused(tmp_path, onsets, stamp, reason):
    with pytest.raises(RecordError, match=reason):
        read_ecg(interrupted(tmp_path, onsets, stamp=stamp))


# --- who ---


def test_the_patient_field_of_edf_plus_gives_sex_and_age_and_the_code_only_when_asked_for(tmp_path):
    written = {"kind": "EDF+C", "patient": "MCH-0234567 F 02-MAY-1951 Haagse_Harry", "recording": "Startdate 02-MAR-2002 X X X"}
    path = write_edf(tmp_path / "e.edf", heart(), **written)
    record = read_ecg(path)
    assert (record.sex, record.age, record.patient) == ("female", 50, None)
    assert read_ecg(path, ReadOptions(identity=True)).patient == "MCH-0234567"
    assert "Harry" not in repr(read_ecg(path, ReadOptions(identity=True)))


def test_what_is_not_known_is_not_filled_in(tmp_path):
    record = read_ecg(write_edf(tmp_path / "e.edf", heart(), kind="EDF+C", patient="X X X X"), ReadOptions(identity=True))
    assert (record.sex, record.age, record.patient) == (None, None, None)
    free = read_ecg(write_edf(tmp_path / "e.edf", heart(), patient="M 61 years"), ReadOptions(identity=True))
    assert (free.sex, free.age, free.patient) == (None, None, "M 61 years")


# --- refusals ---

REFUSED = {
    "rate unknown": ({"seconds": 0}, {}, "without a duration"),
    "digital range empty": ({}, {"least": 5, "greatest": 5}, "range is empty"),
    "digital range falling": ({}, {"least": 5, "greatest": -5}, "range is empty"),
    "physical range empty": ({}, {"low": 0, "high": 0}, "range is empty"),
    "physical range no number": ({}, {"low": "low"}, "range is empty"),
    "temperature": ({}, {"unit": "degC"}, "not a voltage"),
    "millivolts that are microvolts": ({}, {"unit": "mV", "low": -3276700, "high": 3276700}, "microvolts"),
    "samples no number": ({}, {"samples": "many"}, "number of samples"),
    "more samples": ({}, {"samples": 101}, "announces"),
    "fewer samples": ({}, {"samples": 99}, "announces"),
    "lead twice": ({}, {"label": "ECG II"}, "occurs twice"),
}


@pytest.mark.parametrize(("header", "signal", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_give_other_numbers_is_refused(tmp_path, header, signal, reason):
    second = signal if reason == "microvolts" else {}
    with pytest.raises(RecordError, match=reason):
        read_ecg(two_leads(tmp_path, signal, second, **header))


@pytest.mark.parametrize("records", ["0", "-2", "9", "11", "ten", "-1.5"])
def test_a_number_of_records_that_is_not_the_file_s_is_refused(tmp_path, records):
    path = two_leads(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:236] + records.encode().ljust(8) + content[244:])
    with pytest.raises(RecordError):
        read_ecg(path)
