"""DICOM waveforms in their corners: padding, signs, skews, units, groups beside and after one another; what is said of faults."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from binary_files import code, dicom, dicom_group, save_dicom
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions
from cmelt.records.readers import dicom as dicom_reader
from cmelt.records.readers.dicom_annotations import measurement_of, measurements_and_report
from cmelt.records.record import LEADS
from ecg_files import heart

pydicom = pytest.importorskip("pydicom")
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")
HOLTER = "1.2.840.10008.5.1.4.1.1.9.1.3"
ALTERED = "the file is altered: fetch it again"


def read(tmp_path, *groups, whole=None, **said):
    made = whole if whole is not None else dicom(*groups, sop_class=HOLTER)
    return dicom_reader.read(save_dicom(tmp_path / "e.dcm", made), ReadOptions(**said))


def fault_of(tmp_path, *groups, whole=None) -> str:
    with pytest.raises(RecordError) as caught:
        read(tmp_path, *groups, whole=whole)
    assert caught.value.where == str(tmp_path / "e.dcm")
    return f"{caught.value.fault} ({caught.value.remedy})"


def group(rows: slice = slice(0, 3), samples: slice = slice(None), offset: float | None = None, **how):
    item = dicom_group(heart()[rows, samples], leads=LEADS[rows], **how)
    if offset is not None:
        item.MultiplexGroupTimeOffset = f"{offset:g}"
    return item


def changed(name: str, value, channel: int | None = None, **how):
    item = group(**how)
    setattr(item if channel is None else item.ChannelDefinitionSequence[channel], name, value)
    return item


# --- groups ---


def test_averaged_beats_are_known_by_their_label_or_by_being_derived_and_short(tmp_path):
    averaged = "holds averaged beats only, no recording (export the rhythm from the ECG system)"
    for label in ("Median Beat", "AVERAGED", "template 1", "representative", "mean"):
        assert fault_of(tmp_path, changed("MultiplexGroupLabel", label)) == averaged
    for samples, label, known in ((199, "", True), (200, "", False), (199, "RHYTHM", False)):
        item = group(samples=slice(0, samples))
        item.WaveformOriginality, item.MultiplexGroupLabel = "DERIVED", label
        if known:
            assert fault_of(tmp_path, item) == averaged
        else:
            assert read(tmp_path, item).signal.shape == (3, samples)
    short = group(samples=slice(0, 100))
    short.MultiplexGroupLabel = ""
    assert read(tmp_path, short).signal.shape == (3, 100)


def test_the_original_the_fuller_and_the_longer_group_goes_first(tmp_path):
    derived = group(slice(0, 6))
    derived.WaveformOriginality = "DERIVED"
    assert read(tmp_path, derived, group(slice(6, 9))).leads == LEADS[6:9]
    assert read(tmp_path, group(slice(0, 2)), group(slice(6, 9))).leads == LEADS[6:9]
    assert read(tmp_path, group(slice(0, 3), slice(0, 900)), group(slice(6, 9))).leads == LEADS[6:9]
    assert read(tmp_path, group(slice(0, 3), slice(0, 900), rate=50.0), group(slice(6, 9))).leads == LEADS[:3]


def test_groups_of_one_rate_and_kind_are_put_together_where_all_tell_their_time(tmp_path):
    both = group(slice(0, 3), offset=0), group(slice(3, 6), slice(0, 500), offset=2500)
    record = read(tmp_path, *both)
    assert record.leads == LEADS[:6] and record.signal.shape == (6, 1000) and record.rate == 100
    np.testing.assert_allclose(record.signal[3:, 250:750], heart()[3:6, :500], atol=6e-4)
    assert np.isnan(record.signal[3:, :250]).all() and np.isnan(record.signal[3:, 750:]).all()
    later = read(tmp_path, group(slice(0, 3), offset=1000), group(slice(3, 6), slice(0, 500), offset=500))
    assert later.signal.shape == (6, 1050) and np.isnan(later.signal[0, :50]).all() and np.isfinite(later.signal[3, :500]).all()
    overlapping = group(slice(0, 2), slice(0, 400), offset=0), group(slice(1, 4), offset=0)
    assert read(tmp_path, *overlapping).signal[LEADS[:4].index("II")].shape == (1000,)
    other = group(slice(6, 9), rate=200.0, offset=0)
    assert read(tmp_path, group(slice(0, 6), offset=0), other).leads == LEADS[:6]
    derived = group(slice(6, 9), offset=0)
    derived.WaveformOriginality = "DERIVED"
    assert read(tmp_path, group(slice(0, 3), offset=0), derived).leads == LEADS[:3]
    assert read(tmp_path, group(slice(0, 3), offset=0), group(slice(3, 6))).leads == LEADS[:3]


# --- leads ---


def test_leads_are_named_by_code_by_meaning_or_by_label(tmp_path):
    item = group()
    first, second, third = item.ChannelDefinitionSequence
    first.ChannelSourceSequence = [code("zz", "99X", "Lead V4")]
    second.ChannelSourceSequence = [code("2:0", "MDC", "electrode"), code("2:8", "MDC", "")]
    del third.ChannelSourceSequence
    third.ChannelLabel = "lead aVL"
    assert read(tmp_path, item).leads == ("V4", "V6", "aVL")
    third.ChannelLabel = "3"
    assert read(tmp_path, item).leads == ("V4", "V6")
    first.ChannelSourceSequence = [code("2:1", "MDC", "Lead II")]
    told = "a channel's code says I, its meaning II (correct the channel's source)"
    assert fault_of(tmp_path, item) == told
    fewer = changed("NumberOfWaveformChannels", 2)
    assert (
        fault_of(tmp_path, fewer) == "defines another number of channels than it announces (the file is altered: fetch it again)"
    )


def test_what_a_file_holds_instead_of_an_ecg_is_told(tmp_path):
    pictures = dicom(sop_class="1.2.840.10008.5.1.4.1.1.2")
    assert fault_of(tmp_path, whole=pictures) == (
        "is a DICOM CT Image Storage, which holds no waveform (an ECG must be stored as a waveform)"
    )
    unknown = dicom(sop_class="1.2.3.4.5")
    assert "is a DICOM object of a class that is not known, which holds" in fault_of(tmp_path, whole=unknown)
    item = group()
    for channel in item.ChannelDefinitionSequence:
        channel.ChannelSourceSequence = [code("2:18000", "MDC", "Pressure")]
    assert fault_of(tmp_path, item).endswith("whose channels are no ECG leads (leave it out)")


# --- samples ---


def test_what_is_wrong_with_samples_is_told(tmp_path):
    assert fault_of(tmp_path, changed("SamplingFrequency", "0")) == "sampling rate 0 Hz (it must be a positive number)"
    assert fault_of(tmp_path, changed("SamplingFrequency", "1e6")) == "sampling rate 1e+06 Hz (it must be a positive number)"
    without = group()
    del without.SamplingFrequency
    assert fault_of(tmp_path, without) == "a waveform without its SamplingFrequency (the file is incomplete: export it again)"
    store = "store them as linear integers of 8, 16 or 32 bits"
    assert fault_of(tmp_path, changed("WaveformSampleInterpretation", "MB")) == f"samples companded to MB ({store})"
    assert fault_of(tmp_path, changed("WaveformSampleInterpretation", "XX")) == f"samples of a kind that no ECG has ({store})"
    assert fault_of(tmp_path, changed("WaveformBitsAllocated", 8)) == f"samples in SS of another width ({ALTERED})"
    more = changed("NumberOfWaveformSamples", 1001)
    told = "6000 bytes of waveform where 6006 are announced (the file is truncated or altered: fetch it again)"
    assert fault_of(tmp_path, more) == told
    assert (
        fault_of(tmp_path, changed("ChannelSensitivity", "0", 1))
        == "a lead's sensitivity of 0 (it must be a number other than 0)"
    )
    for name, fault in (("ChannelSensitivity", "sensitivity"), ("ChannelSensitivityUnitsSequence", "unit")):
        item = group()
        delattr(item.ChannelDefinitionSequence[2], name)
        assert fault_of(tmp_path, item) == f"a lead without its {fault}: its amplitude is unknown (state it in the file)"


def test_an_odd_number_of_bytes_is_filled_up(tmp_path):
    item = dicom_group(np.clip(heart()[:1, :999], -1.2, 1.2), leads=("I",), kind="SB", per_step=10.0)
    item.WaveformData = bytes(item.WaveformData) + b"\0" * (len(item.WaveformData) % 2)
    assert read(tmp_path, item).signal.shape == (1, 999)


@pytest.mark.parametrize(
    ("kind", "value", "raw"), [("SS", -32768, "<h"), ("SS", 32767, "<h"), ("US", 65535, "<H"), ("SL", -(2**31), "<i")]
)
def test_a_padding_value_at_the_end_of_the_range_was_never_measured(tmp_path, kind, value, raw):
    item = group(kind=kind)
    digital = np.frombuffer(
        item.WaveformData, raw.replace("h", "i2").replace("H", "u2").replace("<i", "<i4").replace("i42", "i2")
    )
    digital = digital.reshape(-1, 3).copy()
    digital[[5, 900], [0, 2]] = value
    item.WaveformData = digital.tobytes()
    item.add_new(0x5400100A, "OW", struct.pack(raw, value))
    missing = np.isnan(read(tmp_path, item).signal)
    assert missing.sum() == 2 and missing[0, 5] and missing[2, 900]


def test_any_other_padding_value_counts_where_nothing_moves_for_half_a_second(tmp_path):
    item = group()
    digital = np.frombuffer(item.WaveformData, "<i2").reshape(-1, 3).copy()
    digital[digital == 7] = 8
    digital[100:149, 0], digital[200:250, 0], digital[:50, 1], digital[950:, 2] = 7, 7, 7, 7
    item.WaveformData = digital.tobytes()
    item.add_new(0x5400100A, "OW", struct.pack("<h", 7))
    missing = np.isnan(read(tmp_path, item).signal)
    assert missing[0].nonzero()[0].tolist() == list(range(200, 250))
    assert missing[1].sum() == 50 and missing[2].sum() == 50 and missing[2, 950:].all()
    empty = group()
    empty.add_new(0x5400100A, "OW", b"")
    assert not np.isnan(read(tmp_path, empty).signal).any()


def test_a_sign_that_is_not_carried_through_is_told(tmp_path):
    for value, fits in ((2047, True), (2048, False), (-2048, True), (-2049, False)):
        item = group()
        digital = np.zeros((1000, 3), "<i2")
        digital[::2], digital[4, 1] = 1, value
        item.WaveformData = digital.tobytes()
        for channel in item.ChannelDefinitionSequence:
            channel.WaveformBitsStored = 12
        if fits:
            assert read(tmp_path, item).signal[1, 4] == pytest.approx(value / 1000)
        else:
            told = "samples beyond the 12 bits they are stored in (their sign is ambiguous: convert it)"
            assert fault_of(tmp_path, item) == told


def test_channels_a_sample_apart_are_skewed(tmp_path):
    told = "channels that are skewed in time against one another (align the channels first)"
    for name, value, fits in (("ChannelSampleSkew", "0.99", True), ("ChannelSampleSkew", "1", False),
                              ("ChannelSampleSkew", "-1", False), ("ChannelTimeSkew", "0.0099", True),
                              ("ChannelTimeSkew", "0.01", False)):  # fmt: skip
        item = changed(name, value, 1)
        if name == "ChannelTimeSkew":
            for channel in item.ChannelDefinitionSequence:
                del channel.ChannelSampleSkew
        if fits:
            assert read(tmp_path, item).signal.shape == (3, 1000)
        else:
            assert fault_of(tmp_path, item) == told


def test_units_come_by_code_else_by_their_meaning(tmp_path):
    for value, meaning, scale in (("uV", "microvolt", 1), ("", "Microvolts", 1), ("", "millivolt", 1000),
                                  ("mV", "microvolt", 1000), ("", "nanovolts", 1e-3)):  # fmt: skip
        item = group(per_step=1.0)
        for channel in item.ChannelDefinitionSequence:
            unit = code(value, "UCUM", meaning)
            if not value:
                del unit.CodeValue
            channel.ChannelSensitivityUnitsSequence = [unit]
            if scale == 1000:
                channel.ChannelSensitivity = "0.001"
        expected = heart()[:3] * (1 if scale == 1000 else scale)
        np.testing.assert_allclose(read(tmp_path, item).signal, expected, atol=6e-4)


# --- who, when, what was said ---


def test_age_is_stated_or_follows_from_birth_and_the_first_date_there_is(tmp_path):
    whole = dicom(group(), sop_class=HOLTER)
    for stated, years in (
        ("061Y", 61),
        ("018M", 1.5),
        ("052W", 52 * 7 / 365.25),
        ("073D", 73 / 365.25),
        ("Y", None),
        ("61", None),
        ("06 Y", 6),
    ):
        whole.PatientAge = stated
        assert read(tmp_path, whole=whole).age == (None if years is None else pytest.approx(years)), stated
    del whole.PatientAge
    whole.PatientBirthDate = "19500615"
    assert read(tmp_path, whole=whole).age == 69
    whole.ContentDate = "20210615"
    assert read(tmp_path, whole=whole).age == 71
    whole.AcquisitionDateTime = "20220615120000"
    assert read(tmp_path, whole=whole).age == 72
    whole.PatientSex = "O"
    assert read(tmp_path, whole=whole).sex is None


def test_a_character_set_that_nobody_knows_makes_texts_odd_and_not_samples(tmp_path):
    whole = dicom(group(), sop_class=HOLTER)
    whole.SpecificCharacterSet = "ISO_IR 192"
    path = save_dicom(tmp_path / "e.dcm", whole)
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"NOTHING 12"))
    assert dicom_reader.read(path).signal.shape == (3, 1000)


def note(**elements):
    item = pydicom.Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def measured(*items):
    whole = pydicom.Dataset()
    whole.WaveformAnnotationSequence = pydicom.sequence.Sequence(items)
    numbers, report = measurements_and_report(whole)
    return dict(numbers), report


def number(code_: str, value, unit: str = "ms", meaning: str = "", **more):
    return note(ConceptNameCodeSequence=[code(code_, "MDC", meaning)], NumericValue=value,
                MeasurementUnitsCodeSequence=[code(unit, "UCUM", "")], **more)  # fmt: skip


def test_measurements_are_the_first_of_their_name_in_their_unit():
    assert measured(number("2:15872", "160"), number("2:15872", "170")) == ({"pr_ms": 160}, None)
    assert measured(number("2:16160", "0.4", "s"), number("2:16156", "90", "min")) == ({"qt_ms": 400}, None)
    assert measured(number("2:16168", "800")) == ({"heart_rate_bpm": 75}, None)
    assert measured(number("2:16168", "800"), number("2:16016", "60", "/min")) == ({"heart_rate_bpm": 60}, None)
    assert measured(number("2:16128", "41", "ms"), number("2:16136", ["7", "8"], "deg")) == (
        {"p_axis_deg": 41, "t_axis_deg": 7},
        None,
    )
    assert measured(
        number("2:15872", "160", TemporalRangeType="POINT"), number("2:16160", "400", ReferencedSamplePositions=5)
    ) == ({}, None)
    assert measured(number("2:15872", "160", TemporalRangeType="")) == ({"pr_ms": 160}, None)
    assert measured(note(NumericValue="5"), note(ConceptNameCodeSequence=[code("2:15872", "MDC", "")])) == ({}, None)
    assert measured() == ({}, None)


@pytest.mark.parametrize(
    ("code_", "words", "name"),
    [(" 2:16016\0", "", "heart_rate_bpm"), ("zz", "Ventricular Heart Rate", "heart_rate_bpm"),
     ("", "QT Interval, Global", "qt_ms"),
     ("", "Frontal  P  Axis", "p_axis_deg"), ("5.10.3-15", "QRS axis", "t_axis_deg"), ("", "RR interval", "rr_ms"),
     ("zz", "ST level", None)],
)  # fmt: skip
def test_what_is_measured_is_known_by_code_else_in_words(code_, words, name):
    assert measurement_of(code_, words) == name


def test_statements_are_texts_and_coded_conclusions():
    text = note(UnformattedTextValue=" Sinus \r\n\r\n rhythm ")
    conclusion = note(
        ConceptNameCodeSequence=[code("x", "LN", "ECG Diagnosis")], ConceptCodeSequence=[code("y", "SRT", "Flutter")]
    )
    other = note(ConceptNameCodeSequence=[code("x", "LN", "Device")], ConceptCodeSequence=[code("y", "SRT", "Model 5")])
    bare = note(ConceptNameCodeSequence=[code("x", "LN", "Finding")])
    assert measured(text, conclusion, other, bare)[1] == "Sinus\nrhythm\nFlutter"
