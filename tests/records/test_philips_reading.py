"""Philips Sierra XML: XLI unpacked, limb leads put together again, the calibration pulse told from the heart."""

from __future__ import annotations

import re
import struct
import time

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.fingerprint import fingerprint
from cmelt.records.leads import check_limb_leads
from cmelt.records.quality import quality_flags
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.readers.xli import decode_xli, inflate_lzw
from cmelt.records.record import LEADS, without_calibration
from cmelt.records.standard import standardise
from ecg_files import heart
from vendor_files import calibrated, lzw, old_waveform, residuals, sierra, sierra_waveform, write_philips, xli, xli_chunk

HEART = heart()
STEPS = np.rint(HEART * 1000).astype(int)
SAMPLES = STEPS.shape[1]


def read(tmp_path, document: str, options: ReadOptions | None = None, name: str = "ecg.xml"):
    path = tmp_path / name
    path.write_text(document, encoding="utf-8")
    return read_ecg(path, options or ReadOptions())


def new(attributes: dict[str, str] | None = None, content: bytes | None = None, **parts: str) -> str:
    return sierra(sierra_waveform(xli(STEPS) if content is None else content, SAMPLES, attributes), **parts)


@pytest.mark.parametrize("seed", range(5))
def test_lzw_gives_back_what_was_packed(seed):
    rng = np.random.default_rng(seed)
    for content in (
        rng.bytes(5000),
        rng.bytes(900) * 6,
        b"\0" * 5000,
        b"ab" * 2500,
        bytes(rng.integers(0, 3, 5000, dtype=np.uint8)),
        b"x",
    ):
        assert inflate_lzw(lzw(content), 6000) == content


def test_lzw_gives_little_more_than_it_is_allowed():
    assert len(inflate_lzw(lzw(b"\0" * 100_000), 1000)) < 1000 + 1023


@pytest.mark.parametrize("seed", range(5))
def test_xli_gives_back_samples_even_where_differences_leave_16_bits(seed):
    rng = np.random.default_rng(seed)
    channels = np.stack([rng.integers(-32768, 32768, 300), np.cumsum(rng.integers(-40, 41, 300)), np.tile([32767, -32768], 150)])
    stream = b"".join(xli_chunk(channel) for channel in channels)
    assert np.array_equal(decode_xli(stream, 3, 300, "here"), channels)


def test_bytes_that_fill_up_a_chunk_are_no_samples():
    packed = lzw(b"\0\0\0\0\1\2\3\4" + b"\0")  # four samples, and one byte more
    stream = struct.pack("<ihh", len(packed), 1, 0) + packed
    assert decode_xli(stream, 1, 4, "here").shape == (1, 4)


def test_leads_come_back_by_name(tmp_path):
    record = read(tmp_path, new())
    assert record.leads == LEADS and record.rate == 100 and record.derived == ()
    assert np.allclose(record.signal, HEART, atol=6e-4)
    order = ("V1", "II", "I", "III", "aVL", "aVR", "aVF")
    rows = STEPS[[LEADS.index(lead) for lead in order]]
    named = {"leadlabels": " ".join(order), "numberofleads": "7"}
    record = read(tmp_path, sierra(sierra_waveform(xli(rows, order), SAMPLES, named)))
    assert record.leads == order and np.array_equal(np.rint(record.signal * 1000), rows)


def test_limb_leads_keep_what_i_and_ii_do_not_explain(tmp_path):
    noisy = STEPS + np.random.default_rng(0).integers(-30, 31, STEPS.shape)
    record = read(tmp_path, new(content=xli(noisy)))
    assert np.array_equal(np.rint(record.signal * 1000), noisy)


def test_limb_leads_that_cannot_be_put_together_are_refused(tmp_path):
    for leads in (("I", "III", "V1"), ("I", "II", "aVF")):
        named = {"leadlabels": " ".join(leads), "numberofleads": "3"}
        stored = b"".join(xli_chunk(row) for row in STEPS[:3])
        with pytest.raises(RecordError, match="put together"):
            read(tmp_path, sierra(sierra_waveform(stored, SAMPLES, named)))


@pytest.mark.parametrize("version", ["1.04", "1.04.01", "1.04.02"])
def test_the_revisions_of_1_04_are_read(version, tmp_path):
    assert read(tmp_path, new(version=version)).signal.shape == (12, SAMPLES)


def test_1_03_names_a_set_of_electrodes_and_its_resolution_elsewhere(tmp_path):
    record = read(tmp_path, sierra(old_waveform(xli(STEPS), SAMPLES), version="1.03", age="<years>50</years>"))
    assert record.leads == LEADS and np.allclose(record.signal, HEART, atol=6e-4)
    assert record.age == 50
    assert record.measurements == {
        "heart_rate_bpm": 41,
        "pr_ms": 151,
        "qrs_ms": 135,
        "qt_ms": 476,
        "qtc_ms": 393,
        "qrs_axis_deg": -21,
    }


def test_a_set_of_electrodes_whose_order_is_not_known_needs_the_caller(tmp_path):
    document = sierra(old_waveform(xli(STEPS), SAMPLES), version="1.03").replace("STD-12", "EASI")
    with pytest.raises(RecordError, match="name its leads"):
        read(tmp_path, document)
    assert read(tmp_path, document, ReadOptions(leads=LEADS)).leads == LEADS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_files_in_utf_16_are_read_whatever_their_name(encoding, tmp_path):
    path = write_philips(tmp_path / "record.dat", HEART, encoding)  # the name of a WFDB signal, without a header beside it
    assert np.allclose(read_ecg(path).signal, HEART, atol=6e-4)


def test_amplitude_is_what_the_file_states(tmp_path):
    assert np.allclose(read(tmp_path, new({"resolution": "5.00"})).signal, HEART * 5, atol=3e-3)
    nowhere = new({"resolution": ""}).replace("<resolution>1</resolution>", "")
    with pytest.raises(RecordError, match="resolution"):
        read(tmp_path, nowhere)
    with pytest.raises(RecordError, match="unit"):
        read(tmp_path, new(), ReadOptions(unit="mV"))


def test_the_rate_must_be_stated(tmp_path):
    nowhere = new({"samplespersecond": ""}).replace("<samplingrate>100</samplingrate>", "")
    with pytest.raises(RecordError, match="sampling rate"):
        read(tmp_path, nowhere)
    assert read(tmp_path, nowhere, ReadOptions(rate=100)).rate == 100


def test_the_calibration_pulse_is_no_ecg(tmp_path):
    pulsed = calibrated(STEPS)
    record = read(tmp_path, sierra(sierra_waveform(xli(pulsed), pulsed.shape[1])))
    assert record.signal.shape == pulsed.shape  # as long as the file says
    heart_only = without_calibration(record)
    assert heart_only.signal.shape == (12, SAMPLES) and without_calibration(heart_only) is heart_only
    # The pulse, equal in all leads, breaks Einthoven: what judges a record must not see it.
    assert not check_limb_leads(record.signal, record.leads).consistent
    assert not any(flag.startswith("limb") for flag in quality_flags(record))
    assert fingerprint(record) == fingerprint(heart_only)
    assert np.array_equal(standardise(record, 100.0).signal, standardise(heart_only, 100.0).signal)
    rested = calibrated(np.concatenate([STEPS, np.zeros((12, 25))], axis=1))
    told = read(tmp_path, sierra(sierra_waveform(xli(rested), rested.shape[1])))
    assert without_calibration(told).signal.shape == (12, SAMPLES)


def test_a_flat_end_without_a_pulse_is_kept_and_a_pulse_alone_is_no_record(tmp_path):
    rested = np.concatenate([STEPS, np.zeros((12, 25), dtype=int)], axis=1)
    assert read(tmp_path, sierra(sierra_waveform(xli(rested), rested.shape[1]))).signal.shape == (12, SAMPLES + 25)
    alone = calibrated(np.zeros((12, 60)))
    with pytest.raises(RecordError, match="no ECG"):
        read(tmp_path, sierra(sierra_waveform(xli(alone), 100)))


@pytest.mark.parametrize(
    "said", [{"compression": ""}, {"compression": "", "signaloffset": "100"}, {"compression": "Uncompressed"}]
)
def test_uncompressed_samples_are_read_lead_by_lead(said, tmp_path):
    offset = int(said.get("signaloffset", "0"))
    stored = STEPS.copy() + offset
    stored[3, 7] = -32768
    record = read(tmp_path, new(said, stored.astype("<i2").tobytes()))
    assert np.isnan(record.signal[3, 7]) and np.count_nonzero(np.isnan(record.signal)) == 1
    assert np.allclose(record.signal[[0, 4, 11]], HEART[[0, 4, 11]], atol=6e-4)


def test_statements_and_severity_become_the_report_without_the_signature(tmp_path):
    record = read(tmp_path, new())
    assert record.report == "SINUS RHYTHM, normal P axis, V-rate 50-99\nPROBABLE LVH\nABNORMAL ECG"


def test_the_latest_interpretation_counts(tmp_path):
    edited = "<statement><leftstatement>EDITED</leftstatement></statement>"
    earlier = f'<interpretation date="2020-05-18" time="16:00:00">{edited}</interpretation>'
    document = new().replace("<interpretations>", "<interpretations>" + earlier)
    assert read(tmp_path, document).report == "EDITED"


def test_measurements_are_the_device_s_and_words_are_none(tmp_path):
    assert dict(read(tmp_path, new()).measurements) == {
        "heart_rate_bpm": 64, "pr_ms": 164, "qrs_ms": 102, "qt_ms": 399, "qtc_ms": 412, "p_axis_deg": 27, "t_axis_deg": 80,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("age", "years"),
    [("<dateofbirth>1951-05-19</dateofbirth>", 68), ("<dateofbirth>1951-05-18</dateofbirth>", 69), ("<months>6</months>", 0.5),
     ("<dateofbirth>2020-02-18</dateofbirth>", 0.25), ("<dateofbirth/>", None), ("<dateofbirth>XXXX</dateofbirth>", None)],
)  # fmt: skip
def test_age_is_that_at_the_recording_and_the_device_s_default_is_nobody_s(age, years, tmp_path):
    assert read(tmp_path, new(age=age)).age == years


def test_the_patient_is_read_only_when_asked_for(tmp_path):
    assert read(tmp_path, new()).patient is None
    assert read(tmp_path, new(), ReadOptions(identity=True)).patient == "0815-4711"
    assert read(tmp_path, new(), name="0815-4711.xml").identifier == ""


GOOD = new()
FAULTS = {
    "claims a huge chunk": (new(content=struct.pack("<ihh", 2**31 - 1, 1, 0) + xli(STEPS)[8:]), "cut off"),
    "claims a negative chunk": (new(content=struct.pack("<ihh", -5, 1, 0) + xli(STEPS)[8:]), "cut off"),
    "too few channels": (new(content=b"".join(xli_chunk(row) for row in residuals(STEPS)[:11])), "fewer compressed"),
    "claims 10^12 samples": (new({"durationperchannel": "1" + "0" * 13}), "announces"),
    "claims ten minutes": (new({"durationperchannel": "1800000"}), "compressed samples"),
    "another duration": (new({"durationperchannel": "9000"}), "another length"),
    "no duration": (new({"durationperchannel": ""}), "duration"),
    "another number of leads": (new({"numberofleads": "11"}), "names"),
    "another compression": (new({"compression": "Huffman"}), "compression"),
    "24 bits": (new({"bitspersample": "24"}), "16 bits"),
    "hexadecimal": (new({"dataencoding": "Hex"}), "base64"),
    "not base64": (re.sub(r'("True" bitspersample="16">...)', r"\1!!", GOOD), "base64"),
    "a lead twice": (new({"leadlabels": " ".join((*LEADS[:11], "I"))}), "twice"),
    "no waveforms": (re.sub(r"(?s)<parsedwaveforms.*</parsedwaveforms>", "", GOOD), "no parsed waveforms"),
    "another schema": (GOOD.replace("<documentversion>1.04", "<documentversion>2.0"), "schema"),
    "uncompressed and short": (new({"compression": ""}, STEPS.astype("<i2").tobytes()[:-2]), "fewer or more"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_contradictions_and_claims_are_refused_within_a_second(name, tmp_path):
    document, fault = FAULTS[name]
    start = time.process_time()
    with pytest.raises(RecordError, match=fault):
        read(tmp_path, document)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("tenth", range(10))
def test_truncated_files_are_errors(tenth, tmp_path):
    with pytest.raises(RecordError):
        read(tmp_path, GOOD[: len(GOOD) * tenth // 10])


REAL = {
    "129DYPRG.XML": (5264, {"heart_rate_bpm": 41, "qrs_ms": 135, "qrs_axis_deg": -21}, 50),
    "2020-5-18_15-48-11.xml": (5300, {"heart_rate_bpm": 64, "qrs_ms": 102, "qrs_axis_deg": 22}, 69),
    "ad4d3d80-d165_1-04_orig.xml": (5300, {"heart_rate_bpm": 41, "qrs_ms": 102, "qrs_axis_deg": 85}, 32),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_obey_einthoven_to_the_last_sample(name, data_dir):
    whole = read_ecg(data_dir / "vendor-formats/philips-sierra-xml" / name)
    assert whole.signal.shape == (12, 5500)  # 11 s, as the file says
    record = without_calibration(whole)
    samples, measured, age = REAL[name]
    assert record.signal.shape == (12, samples) and record.rate == 500 and record.age == age
    assert measured.items() <= dict(record.measurements).items()
    assert check_limb_leads(record.signal, record.leads).error < 0.03
    assert record.report and "ECG" in record.report


def test_a_real_file_equals_its_twin_that_another_program_decoded(data_dir):
    """The twin went through another, lossy, conversion: single samples differ by up to four steps of 5 µV."""
    folder = data_dir / "vendor-formats/philips-sierra-xml"
    ours = read_ecg(folder / "ad4d3d80-d165_1-04_orig.xml")
    twin = (folder / "ad4d3d80-d165_1-04_converted.xml").read_text()
    rhythm = twin.split('code="REPRESENTATIVE_BEAT"')[0]
    digits = {lead.lower(): text for lead, text in re.findall(r'code="MDC_ECG_LEAD_(\w+)".*?<digits>([^<]+)<', rhythm, re.DOTALL)}
    assert len(digits) == 12
    for lead, row in zip(ours.leads, ours.signal, strict=True):
        other = np.array(digits[lead.lower()].split(), dtype=float)[: row.size] * 5 / 1000
        assert np.abs(row - other).max() < 0.0201, lead
        assert np.corrcoef(row, other)[0, 1] > 0.995, lead
