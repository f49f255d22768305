"""DICOM waveforms: numbers, leads and groups as the standard has them, the device's own words, and what is refused."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest

from binary_files import code, dicom, dicom_group, save_dicom, write_dicom
from cmelt.errors import RecordError
from cmelt.records.leads import check_limb_leads
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.readers.lead_codes import lead_in_words, lead_of_code
from cmelt.records.record import LEADS
from ecg_files import heart

pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR AS")

SYNTAXES = {"implicit": "1.2.840.10008.1.2", "explicit": "1.2.840.10008.1.2.1", "deflated": "1.2.840.10008.1.2.1.99"}
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def read_group(tmp_path, item, **options):
    return read_ecg(save_dicom(tmp_path / "e.dcm", dicom(item)), ReadOptions(**options))


# --- a real file ---


def test_a_real_file_has_the_numbers_that_its_bytes_have(data_dir):
    path = data_dir / "vendor-formats" / "dicom-ecg" / "waveform_ecg.dcm"
    record = read_ecg(path)
    content = path.read_bytes()
    # By hand: the first Waveform Data element (5400,1010), OW, its length, then 12 interleaved leads of 1.25 µV a step.
    at = content.index(b"\x00\x54\x10\x10OW\x00\x00")
    (length,) = struct.unpack_from("<I", content, at + 8)
    assert length == 10_000 * 12 * 2
    by_hand = np.array(struct.unpack_from("<120000h", content, at + 12)).reshape(10_000, 12).T * 1.25 / 1000
    assert np.allclose(record.signal, by_hand, atol=1e-6)
    assert record.leads == LEADS and record.rate == 1000
    assert check_limb_leads(record.signal, record.leads).error < 0.01


def test_a_real_file_gives_what_the_device_printed(data_dir):
    record = read_ecg(data_dir / "vendor-formats" / "dicom-ecg" / "waveform_ecg.dcm")
    assert record.report == "RITMO SINUSALE\nECG NORMALE"
    assert (record.age, record.sex, record.patient) == (42, "female", None)
    assert dict(record.measurements) == {
        "heart_rate_bpm": 61.1, "pr_ms": 161, "qrs_ms": 75, "qt_ms": 368, "qtc_ms": 370, "p_axis_deg": 74, "qrs_axis_deg": 52,
        "t_axis_deg": 57,
    }  # fmt: skip


def test_the_rate_and_the_axis_of_a_real_signal_are_those_that_its_device_measured(data_dir):
    record = read_ecg(data_dir / "vendor-formats" / "dicom-ecg" / "waveform_ecg.dcm")
    slope = np.abs(np.diff(record.signal[1]))
    beats = np.flatnonzero(slope > 0.5 * np.sort(slope)[-20])
    onsets = beats[np.concatenate([[True], np.diff(beats) > 300])]
    assert 60_000 / np.diff(onsets).mean() == pytest.approx(record.measurements["heart_rate_bpm"], abs=2)
    windows = [record.signal[:, at - 40 : at + 60] for at in onsets[1:-1]]
    areas = np.mean([(window - window[:, :10].mean(axis=1, keepdims=True)).sum(axis=1) for window in windows], axis=0)
    axis = np.degrees(np.arctan2(areas[5] * 2 / np.sqrt(3), areas[0]))
    assert axis == pytest.approx(record.measurements["qrs_axis_deg"], abs=15)


def test_the_patient_s_number_is_read_only_when_asked_for(tmp_path):
    path = write_dicom(tmp_path / "e.dcm", heart())
    assert read_ecg(path).patient is None
    record = read_ecg(path, ReadOptions(identity=True))
    assert (record.patient, record.age, record.sex) == ("P-77", 61, "female")
    assert "P-77" not in repr(read_ecg(path))


# --- encodings ---


@pytest.mark.parametrize("kind", ["SB", "UB", "SS", "US", "SL", "UL"])
def test_every_linear_sample_type_gives_the_same_signal(tmp_path, kind):
    signal = np.clip(heart(), -1.2, 1.2)
    step = 10.0 if kind in ("SB", "UB") else 1.0
    record = read_group(tmp_path, dicom_group(signal, kind=kind, per_step=step))
    assert np.allclose(record.signal, signal, atol=0.51 * step / 1000)


@pytest.mark.parametrize("kind", ["MB", "AB"])
def test_companded_samples_are_refused(tmp_path, kind):
    item = dicom_group(np.clip(heart(), -1.2, 1.2), kind="SB", per_step=10.0)
    item.WaveformSampleInterpretation = kind
    with pytest.raises(RecordError, match=kind):
        read_group(tmp_path, item)


@pytest.mark.parametrize(
    ("syntax", "preamble"), [("implicit", True), ("implicit", False), ("explicit", True), ("explicit", False), ("deflated", True)]
)
def test_every_encoding_gives_the_same_signal(tmp_path, syntax, preamble):
    record = read_ecg(save_dicom(tmp_path / "e", dicom(dicom_group(heart())), SYNTAXES[syntax], preamble))
    assert np.allclose(record.signal, heart(), atol=6e-4) and record.leads == LEADS


def test_big_endian_samples_are_turned(tmp_path):
    item = dicom_group(heart())
    item.WaveformData = np.frombuffer(item.WaveformData, "<i2").astype(">i2").tobytes()
    for preamble in (True, False):
        record = read_ecg(save_dicom(tmp_path / "e", dicom(item), "1.2.840.10008.1.2.2", preamble))
        assert np.allclose(record.signal, heart(), atol=6e-4)


@pytest.mark.parametrize(("unit", "per_step"), [("uV", 1.0), ("mV", 0.001), ("V", 1e-6)])
def test_units_and_sensitivities_are_applied(tmp_path, unit, per_step):
    item = dicom_group(heart(), unit=unit, per_step=per_step)
    assert np.allclose(read_group(tmp_path, item).signal, heart(), atol=6e-4)
    for channel in item.ChannelDefinitionSequence:
        channel.ChannelSensitivityCorrectionFactor = "1.5"
    assert np.allclose(read_group(tmp_path, item).signal, 1.5 * heart(), atol=1e-3)


def test_the_baseline_is_in_units_of_the_sensitivity_not_in_steps(tmp_path):
    item = dicom_group(heart(), per_step=2.0)
    item.ChannelDefinitionSequence[0].ChannelBaseline = "100"
    record = read_group(tmp_path, item)
    assert np.allclose(record.signal[0], heart()[0] + 0.1, atol=2e-3)
    assert np.allclose(record.signal[1:], heart()[1:], atol=2e-3)


def test_padding_is_nan(tmp_path):
    item = dicom_group(heart())
    digital = np.frombuffer(item.WaveformData, "<i2").reshape(-1, 12).copy()
    digital[100:130, 4] = -32768
    item.WaveformData = digital.tobytes()
    item.add_new(0x5400100A, "OW", struct.pack("<h", -32768))
    missing = np.isnan(read_group(tmp_path, item).signal)
    assert missing.sum() == 30 and missing[4, 100:130].all()


def test_a_padding_value_of_0_does_not_tear_holes_where_the_signal_crosses_0(tmp_path):
    item = dicom_group(heart())
    digital = np.frombuffer(item.WaveformData, "<i2").reshape(-1, 12).copy()
    digital[700:, 2] = 0  # a lead that ended early
    digital[50, 3] = 0
    item.WaveformData = digital.tobytes()
    item.add_new(0x5400100A, "OW", b"\x00\x00")
    missing = np.isnan(read_group(tmp_path, item).signal)
    assert missing[2, 700:].all() and missing[3].sum() == 0


# --- leads ---


@pytest.mark.parametrize(
    ("value", "lead"),
    {
        "2:1": "I", "2:2": "II", "2:61": "III", "2:62": "aVR", "2:63": "aVL", "2:64": "aVF", "2:3": "V1", "2:8": "V6",
        "5.6.3-9-1": "I", "5.6.3-9-61": "III", "5.6.3-9-64": "aVF", "5.6.3-9-8": "V6", "MDC_ECG_LEAD_AVR": "aVR",
        "131135": "aVL", "2:65": "-aVR", "2:66": "V8", "2:21": None, "5.6.3-9-31": None, "5.6.3-9-0": None, "109072": None,
    }.items(),
)  # fmt: skip
def test_lead_codes_are_those_of_the_standard(value, lead):
    assert lead_of_code(value) == lead


@pytest.mark.parametrize(
    ("words", "lead"),
    [("Lead I (Einthoven)", "I"), ("Lead aVR", "aVR"), ("aVR, augmented voltage, right", "aVR"), ("Lead V1", "V1"), ("I", "I"),
     ("Lead 2", "II"), ("1", None), ("ECG 2", None), ("Arterial pressure", None), ("Unspecified lead", None), ("", None)],
)  # fmt: skip
def test_leads_in_words_are_understood_and_channel_numbers_are_no_leads(words, lead):
    assert lead_in_words(words) == lead


def test_leads_come_by_name_in_the_file_s_order(tmp_path):
    order = LEADS[::-1]
    record = read_group(tmp_path, dicom_group(heart()[::-1], leads=order))
    assert record.leads == order and np.allclose(record.signal, heart()[::-1], atol=6e-4)


def test_a_code_that_contradicts_its_meaning_is_refused(tmp_path):
    item = dicom_group(heart())
    item.ChannelDefinitionSequence[0].ChannelSourceSequence[0].CodeMeaning = "Lead V6"
    with pytest.raises(RecordError, match="code says I, its meaning V6"):
        read_group(tmp_path, item)


def test_channels_that_are_no_ecg_are_left_out(tmp_path):
    item = dicom_group(np.vstack([heart(), heart()[:1]]), leads=[*LEADS, "I"])
    source = item.ChannelDefinitionSequence[12].ChannelSourceSequence[0]
    source.CodeValue, source.CodeMeaning = "2:18000", "Arterial pressure"
    item.ChannelDefinitionSequence[12].ChannelSensitivityUnitsSequence[0].CodeValue = "mm[Hg]"
    assert read_group(tmp_path, item).leads == LEADS


def test_eight_leads_of_a_twelve_lead_object_imply_the_other_four(tmp_path):
    rows = [LEADS.index(lead) for lead in EIGHT]
    record = read_group(tmp_path, dicom_group(heart()[rows], leads=EIGHT))
    assert record.derived == ("III", "aVR", "aVL", "aVF")
    by_name = record.signal[[record.leads.index(lead) for lead in LEADS]]
    assert np.allclose(by_name, heart(), atol=2e-3)
    whole = dicom(dicom_group(heart()[:2], leads=("I", "II")), sop_class="1.2.840.10008.5.1.4.1.1.9.1.3")
    assert read_ecg(save_dicom(tmp_path / "holter.dcm", whole)).leads == ("I", "II")


# --- groups ---


@pytest.mark.parametrize("first", [True, False])
def test_an_averaged_beat_is_not_the_recording(tmp_path, first):
    rhythm, beat = dicom_group(heart()), dicom_group(heart(1)[:, :90])
    beat.WaveformOriginality, beat.MultiplexGroupLabel = "DERIVED", "MEDIAN BEAT"
    groups = (beat, rhythm) if first else (rhythm, beat)
    assert np.allclose(read_ecg(save_dicom(tmp_path / "e", dicom(*groups))).signal, heart(), atol=6e-4)


def test_a_file_of_averaged_beats_alone_is_refused(tmp_path):
    beat = dicom_group(heart()[:, :90])
    beat.WaveformOriginality, beat.MultiplexGroupLabel = "DERIVED", ""
    with pytest.raises(RecordError, match="averaged beats only"):
        read_group(tmp_path, beat)


def test_groups_one_after_the_other_are_laid_out_in_time(tmp_path):
    groups = []
    for number in range(4):
        rows = slice(3 * number, 3 * number + 3)
        group = dicom_group(heart()[rows, 250 * number : 250 * (number + 1)], leads=LEADS[rows])
        group.MultiplexGroupTimeOffset = str(2500 * number)
        groups.append(group)
    strip = dicom_group(heart()[1:2], leads=("II",))
    strip.MultiplexGroupTimeOffset = "0"
    record = read_ecg(save_dicom(tmp_path / "e", dicom(*groups, strip)))
    assert set(record.leads) == set(LEADS) and record.signal.shape == (12, 1000)
    for lead, row in zip(record.leads, record.signal, strict=True):
        place = LEADS.index(lead)
        begin = place // 3 * 250
        expected = np.full(1000, np.nan) if lead != "II" else heart()[1]
        expected[begin : begin + 250] = heart()[place, begin : begin + 250]
        assert np.allclose(row, expected, atol=6e-4, equal_nan=True)


def test_groups_whose_times_are_not_stated_are_not_laid_side_by_side(tmp_path):
    groups = [dicom_group(heart()[rows], leads=LEADS[rows]) for rows in (slice(0, 6), slice(6, 11))]
    assert read_ecg(save_dicom(tmp_path / "e", dicom(*groups))).leads == LEADS[:6]


# --- annotations ---


def annotation(value, scheme="MDC", meaning="", number=None, unit="ms", text=None):
    item = pydicom.Dataset()
    item.ReferencedWaveformChannels, item.AnnotationGroupNumber = [1, 0], 0
    if text is not None:
        item.UnformattedTextValue = text
        return item
    item.ConceptNameCodeSequence = [code(value, scheme, meaning)]
    item.MeasurementUnitsCodeSequence = [code(unit, "UCUM", unit)]
    item.NumericValue = str(number)
    return item


def annotated(tmp_path, *items):
    return read_ecg(save_dicom(tmp_path / "e.dcm", dicom(dicom_group(heart()), annotations=items)))


def test_measurements_are_taken_by_their_codes(tmp_path):
    record = annotated(
        tmp_path, annotation("2:16016", number=72, unit="/min"), annotation("2:15872", number=0.16, unit="s"),
        annotation("8633-0", "LN", "QRS duration", 98), annotation("2:16132", number=-30, unit="deg"),
        annotation("5.10.3-15", "SCPECG", "QRS Axis", 86, "ms"), annotation("zz", "99X", "QT interval global", 400),
    )  # fmt: skip
    assert dict(record.measurements) == pytest.approx(
        {"heart_rate_bpm": 72, "pr_ms": 160, "qrs_ms": 98, "qrs_axis_deg": -30, "t_axis_deg": 86, "qt_ms": 400}
    )


def test_sentinels_units_that_are_not_stated_and_per_lead_numbers_are_no_measurements(tmp_path):
    record = annotated(
        tmp_path, annotation("2:16156", number=29999), annotation("2:15872", number=0),
        annotation("2:16160", number=400, unit=""), annotation("2:7936", number=90),
        annotation("2:16016", number=32767, unit="/min"),
    )  # fmt: skip
    assert dict(record.measurements) == {}


def test_statements_are_the_report_and_marks_in_time_are_not(tmp_path):
    mark = annotation("", text="N")
    mark.TemporalRangeType, mark.ReferencedSamplePositions = "POINT", 100
    coded = annotation("18844-1", "LN", "ECG impression", 1)
    del coded.NumericValue
    coded.ConceptCodeSequence = [code("D3-31520", "SRT", "Sinus tachycardia")]
    record = annotated(tmp_path, annotation("", text="Vorhofflimmern "), mark, annotation("", text="Überleitung schnell"), coded)
    assert record.report == "Vorhofflimmern\nÜberleitung schnell\nSinus tachycardia"


@pytest.mark.parametrize(
    ("stated", "years"), [("061Y", 61), ("012M", 1), ("026W", 0.5), ("", None), ("999Y", None), ("abc", None)]
)
def test_age_is_in_years(tmp_path, stated, years):
    whole = dicom(dicom_group(heart()))
    whole.PatientAge = stated
    assert read_ecg(save_dicom(tmp_path / "e", whole)).age == (pytest.approx(years, abs=0.01) if years is not None else None)


def test_age_follows_from_the_dates_where_it_is_not_stated(tmp_path):
    whole = dicom(dicom_group(heart()))
    del whole.PatientAge
    whole.PatientBirthDate = "19500201"  # the study is of 2020-01-31
    assert read_ecg(save_dicom(tmp_path / "e", whole)).age == 69


# --- refusals ---


def _without(name):
    def change(item):
        delattr(item, name)

    return change


def _each_channel(name, value):
    def change(item):
        for number, channel in enumerate(item.ChannelDefinitionSequence):
            if value is None:
                delattr(channel, name)
            else:
                setattr(channel, name, value(number) if callable(value) else value)

    return change


def _set(name, value):
    return lambda item: setattr(item, name, value)


REFUSED = {
    "rate 0": (_set("SamplingFrequency", "0"), "sampling rate"),
    "rate absent": (_without("SamplingFrequency"), "SamplingFrequency"),
    "samples absent": (_without("NumberOfWaveformSamples"), "NumberOfWaveformSamples"),
    "too many samples": (_set("NumberOfWaveformSamples", 1001), "bytes of waveform"),
    "too few samples": (_set("NumberOfWaveformSamples", 999), "bytes of waveform"),
    "no data": (_without("WaveformData"), "bytes of waveform"),
    "a channel too many": (_set("NumberOfWaveformChannels", 13), "number of channels"),
    "width": (_set("WaveformBitsAllocated", 8), "another width"),
    "sensitivity absent": (_each_channel("ChannelSensitivity", None), "sensitivity"),
    "sensitivity 0": (_each_channel("ChannelSensitivity", "0"), "sensitivity"),
    "unit absent": (_each_channel("ChannelSensitivityUnitsSequence", None), "unit"),
    "pressure": (_each_channel("ChannelSensitivityUnitsSequence", lambda _: [code("mm[Hg]", "UCUM", "")]), "not a voltage"),
    "microvolts as millivolts": (
        _each_channel("ChannelSensitivityUnitsSequence", lambda _: [code("mV", "UCUM", "")]),
        "microvolts",
    ),
    "skew": (_each_channel("ChannelSampleSkew", str), "skewed"),
    "lead twice": (_each_channel("ChannelSourceSequence", lambda n: [code(f"2:{min(n + 1, 8)}", "MDC", "")]), "occurs twice"),
    "no lead": (_each_channel("ChannelSourceSequence", lambda _: [code("2:18000", "MDC", "Pressure")]), "no ECG leads"),
    "sign not carried": (_each_channel("WaveformBitsStored", 8), "sign is ambiguous"),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_give_other_numbers_is_refused(tmp_path, change, reason):
    item = dicom_group(heart())
    change(item)
    with pytest.raises(RecordError, match=reason):
        read_group(tmp_path, item)


def test_a_multiplexer_s_delay_of_less_than_a_sample_is_no_skew(tmp_path):
    item = dicom_group(heart())
    for number, channel in enumerate(item.ChannelDefinitionSequence):
        channel.ChannelSampleSkew = f"{number / 12:.3f}"
    assert read_group(tmp_path, item).signal.shape == (12, 1000)


@pytest.mark.parametrize(
    ("sop_class", "what"), [("1.2.840.10008.5.1.4.1.1.2", "CT Image"), ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF")]
)
def test_other_dicom_objects_are_refused_by_name(tmp_path, sop_class, what):
    with pytest.raises(RecordError, match=what):
        read_ecg(save_dicom(tmp_path / "e.dcm", dicom(sop_class=sop_class)))


def test_a_rate_that_the_caller_states_otherwise_is_refused(tmp_path):
    with pytest.raises(RecordError, match="was said to have"):
        read_group(tmp_path, dicom_group(heart()), rate=500)


def test_the_first_files_of_a_process_may_be_read_by_several_threads_at_once(tmp_path):
    """pydicom's modules import one another in a circle; threads that came to it by different ones found halves of them."""
    explicit = write_dicom(tmp_path / "a.dcm", heart())
    implicit = save_dicom(tmp_path / "b.dcm", dicom(dicom_group(heart())), syntax="1.2.840.10008.1.2")
    program = f"""
import threading
from pathlib import Path
from cmelt.records.readers import dicom
together, found = threading.Barrier(8), []
def read(path):
    together.wait()
    try:
        found.append(dicom.read(Path(path)).rate)
    except Exception as error:
        found.append(repr(error))
threads = [threading.Thread(target=read, args=(path,)) for path in ({str(explicit)!r}, {str(implicit)!r}) * 4]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert len(found) == 8 and len(set(found)) == 1 and isinstance(found[0], float), found
"""
    for _ in range(4):  # chance decides who comes first
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
