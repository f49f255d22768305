"""GE MUSE XML in its corners: waveforms that go together, leads in pieces, units, checksums, lines of a report."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import aecg, muse, philips
from vendor_files import muse as muse_file
from vendor_files import muse_lead, muse_waveform
from xml_documents import fault_of, read


def rhythm(*leads: str, kind: str = "Rhythm", **rate: str) -> str:
    return muse_waveform(kind, "".join(leads), **rate)


def one(name: str = "I", samples: int = 1000, **changed: str) -> str:
    return muse_lead(name, np.arange(samples) % 700, **changed)


def test_rhythms_of_another_rate_start_or_length_are_not_joined(tmp_path):
    two = rhythm(one("I"), one("II"))
    assert read(tmp_path, muse_file(two + rhythm(one("V1")))).leads[:3] == ("I", "II", "V1")
    for other in (rhythm(one("V1"), base="200"), rhythm(one("V1", 999)),
                  rhythm(one("V1")).replace("<WaveformStartTime>0", "<WaveformStartTime>5")):  # fmt: skip
        assert read(tmp_path, muse_file(two + other)).leads == ("I", "II", "III", "aVR", "aVL", "aVF")
        assert read(tmp_path, muse_file(other + two)).leads[:2] == ("I", "II")


def test_an_untyped_waveform_is_a_rhythm_where_it_is_alone_and_two_seconds_long(tmp_path):
    def untyped(samples: int) -> str:
        return rhythm(one("V1", samples), kind="").replace("<SampleType>", "<WaveformType> </WaveformType><SampleType>")

    none = "holds no rhythm waveform (median beats alone are no ECG: export the rhythm)"
    assert read(tmp_path, muse_file(untyped(200))).signal.shape == (1, 200)
    assert fault_of(tmp_path, muse_file(untyped(199))) == none
    assert fault_of(tmp_path, muse_file(untyped(300) * 2)) == none
    assert fault_of(tmp_path, muse_file(rhythm(one(), kind="Median"))) == none
    assert read(tmp_path, muse_file(rhythm(one("V1", 150), kind="RHYTHM"))).signal.shape == (1, 150)


@pytest.mark.parametrize(("base", "exponent", "rate"), [("5", "2", 500), ("5", "10", None), ("5", "-10", None), ("0", "2", None)])
def test_a_rate_is_stated_by_a_base_and_a_small_power_of_ten(tmp_path, base, exponent, rate):
    document = muse_file(rhythm(one("V1"), base=base, exponent=exponent))
    if rate is None:
        assert fault_of(tmp_path, document).startswith("does not state its sampling rate")
    else:
        assert read(tmp_path, document).rate == rate


def test_pieces_of_a_lead_come_in_any_order_and_must_meet(tmp_path):
    steps = np.arange(900) % 500

    def piece(start: int, stop: int, first: int) -> str:
        return muse_lead("V1", steps[start:stop], LeadOffsetFirstSample=str(first))

    whole = muse_lead("V2", steps, LeadOffsetFirstSample="0")
    for pieces in ((piece(0, 300, 0), piece(300, 900, 300)), (piece(300, 900, 300), whole, piece(0, 300, 0))):
        record = read(tmp_path, muse_file(rhythm(*pieces, *(() if whole in pieces else (whole,)))))
        assert np.allclose(record.signal[record.leads.index("V1")], steps / 1000, atol=1e-6)
    twice = "a lead that occurs twice, or has gaps (rename or drop one of them)"
    for first in (299, 301):
        assert fault_of(tmp_path, muse_file(rhythm(piece(0, 300, 0), piece(300, 900, first)))) == twice
    apart = "leads that do not cover the same time (export leads that were recorded together)"
    assert fault_of(tmp_path, muse_file(rhythm(whole, muse_lead("V1", steps, LeadOffsetFirstSample="1")))) == apart
    assert fault_of(tmp_path, muse_file(rhythm(whole, muse_lead("V1", steps[1:])))) == apart
    late = read(tmp_path, muse_file(rhythm(muse_lead("V1", steps, LeadOffsetFirstSample="50"))))
    assert late.signal.shape == (1, 900)


def test_units_and_checksums_are_as_devices_write_them(tmp_path):
    for unit, millivolts in (("NANOVOLTS", 1e-6), ("volts", 1e3), ("mV", 1.0)):
        lead = muse_lead("V1", np.array([1, -2] * 200), 0.01 if millivolts == 1e3 else 1, unit)
        scale = 0.01 * millivolts if millivolts == 1e3 else millivolts
        assert read(tmp_path, muse_file(rhythm(lead))).signal[0, :2] == pytest.approx([scale, -2 * scale], rel=1e-5)
    content = (np.arange(1000) % 700).astype("<i2").tobytes()
    signed = str(zlib.crc32(content) - (1 << 32))
    assert read(tmp_path, muse_file(rhythm(one("V1", LeadDataCRC32=signed)))).rate == 100
    assert read(tmp_path, muse_file(rhythm(one("V1", LeadSampleSize="", LeadSampleCountTotal="")))).rate == 100
    for name, text in (("LeadDataCRC32", "1.5"), ("LeadTimeOffset", "x"), ("LeadOffsetFirstSample", str((1 << 40) + 1))):
        told = "a count, offset or checksum that is no whole number (the file is altered: fetch it again)"
        assert fault_of(tmp_path, muse_file(rhythm(one("V1", **{name: text})))) == told
    count = "fewer or more samples than it announces for a lead (the file is truncated or altered: fetch it again)"
    assert fault_of(tmp_path, muse_file(rhythm(one("V1", WaveFormData="")))) == count
    halves = one("V1").replace("<WaveFormData>", "<WaveFormData></WaveFormData><WaveFormData>")
    assert read(tmp_path, muse_file(rhythm(halves))).signal.shape == (1, 1000)


def test_a_statement_goes_on_where_the_one_before_did_not_end_its_line(tmp_path):
    def said(*texts: str) -> str:
        flagged = (f"<DiagnosisStatement><StmtText>{text.rstrip('|')}</StmtText>"
                   f"{'<StmtFlag>OTHER</StmtFlag><StmtFlag> endsline </StmtFlag>' if text.endswith('|') else ''}"
                   "</DiagnosisStatement>" for text in texts)  # fmt: skip
        return f"<Diagnosis>{''.join(flagged)}</Diagnosis>"

    def report(*texts: str) -> str | None:
        return read(tmp_path, muse_file(rhythm(one("V1")), said(*texts))).report

    assert report("Sinus  rhythm", "with PACs|", "Infarct", ", old", ". Also", "; more|", "End") == (
        "Sinus rhythm with PACs\nInfarct, old. Also; more\nEnd"
    )
    assert report("|", " |") is None


def test_what_was_measured_first_stands_in_for_what_was_edited(tmp_path):
    original = "<OriginalRestingECGMeasurements><VentricularRate>50</VentricularRate></OriginalRestingECGMeasurements>"
    edited = "<RestingECGMeasurements><VentricularRate>72</VentricularRate><PDuration>100</PDuration></RestingECGMeasurements>"
    document = rhythm(one("V1"))
    assert dict(read(tmp_path, muse_file(document, measurements=original)).measurements) == {"heart_rate_bpm": 50}
    both = read(tmp_path, muse_file(document, measurements=original + edited)).measurements
    assert dict(both) == {"heart_rate_bpm": 72, "p_ms": 100}
    sentinels = edited.replace("72", "0").replace("100", "29999")
    assert dict(read(tmp_path, muse_file(document, measurements=sentinels + original)).measurements) == {"heart_rate_bpm": 50}
    assert dict(read(tmp_path, muse_file(document, measurements="<x/>")).measurements) == {}


def test_other_documents_are_no_muse_or_aecg_files(tmp_path):
    (tmp_path / "x.xml").write_text("<Other/>")
    for reader, fault in ((muse, "is not a MUSE XML file (its root element is not RestingECG)"),
                          (aecg, "is not an aECG file (its root element is not AnnotatedECG)"),
                          (philips, "holds no parsed waveforms (export the ECG with its waveforms)")):  # fmt: skip
        with pytest.raises(RecordError) as caught:
            reader.read(tmp_path / "x.xml")
        assert str(caught.value) == f"{tmp_path / 'x.xml'}: {fault}"
