"""Philips Sierra XML in its corners: schemas, where things are stated, signs and offsets, pulses, interpretations, age."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest

from cmelt.records.record import LEADS
from ecg_files import heart
from vendor_files import calibrated, old_waveform, sierra, sierra_waveform, xli
from xml_documents import fault_of, read

HEART = heart()
STEPS = np.rint(HEART * 1000).astype(int)


def new(attributes: dict[str, str] | None = None, content: bytes | None = None, samples: int = 1000, **whole: str) -> str:
    return sierra(sierra_waveform(xli(STEPS[:, :samples]) if content is None else content, samples, attributes), **whole)


def test_only_sierra_s_own_schemas_are_read(tmp_path):
    good = new()
    known = (("", ""), ("SierraECG", "1.03"), ("PhilipsECG", "1.04.02"))
    for kind, version in (*known, ("OtherECG", "1.04"), ("PhilipsECG", "1.05")):
        document = good.replace(">PhilipsECG<", f">{kind}<").replace(">1.04<", f">{version}<")
        if (kind, version) in known:
            assert read(tmp_path, document).rate == 100
        else:
            assert fault_of(tmp_path, document) == "a schema other than Sierra 1.03 and 1.04 (export it in one of these)"


def test_what_the_waveform_leaves_out_the_acquisition_may_state(tmp_path):
    assert read(tmp_path, new({"samplespersecond": "0"})).rate == 100
    assert read(tmp_path, new({"samplespersecond": "", "durationperchannel": "5000"}).replace(
        "<samplingrate>100", "<samplingrate>200")).rate == 200  # fmt: skip
    doubled = new({"resolution": ""}).replace("<resolution>1<", "<resolution>2<")
    assert np.allclose(read(tmp_path, doubled).signal, 2 * HEART, atol=2e-3)
    elsewhere = new({"resolution": "", "signalresolution": "2"})
    assert np.allclose(read(tmp_path, elsewhere).signal, 2 * HEART, atol=2e-3)
    assert read(tmp_path, new({"numberofleads": ""})).leads == LEADS
    assert fault_of(tmp_path, new({"numberofleads": "11"})) == (
        "announces another number of leads than it names (the file is altered: fetch it again)"
    )
    for duration in ("0", "-5", "1" + "0" * 30, "long"):
        told = "does not state the duration of its waveforms (the file is altered: fetch it again)"
        assert fault_of(tmp_path, new({"durationperchannel": duration})) == told


def test_sets_of_electrodes_are_known_by_either_name(tmp_path):
    old = sierra(old_waveform(xli(STEPS), 1000), version="1.03")
    other = old.replace("<acquisitiontype>STD-12", "<acquisitiontype>OTHER")
    for told in (other, old.replace("<leadset>STD-12", "<leadset>X"), other.replace("<leadset>STD-12", "<leadset>STD-12 mason")):
        assert read(tmp_path, told).leads == LEADS


def test_signed_and_unsigned_offset_and_missing_samples(tmp_path):
    plain = {"compression": ""}
    unsigned = (STEPS + 32768).astype("<u2").tobytes()
    record = read(tmp_path, new(plain | {"signalsigned": "False", "signaloffset": "32768"}, unsigned))
    assert np.allclose(record.signal, HEART, atol=6e-4)
    for how in (
        {"compression": "none"},
        {"compressflag": "False"},
        {"bitspersample": ""},
        {"bitspersample": "", "nbitspersample": "16"},
    ):
        content = STEPS.astype("<i2").tobytes() if "bitspersample" not in how else None
        assert np.allclose(read(tmp_path, new(how, content)).signal, HEART, atol=6e-4)
    held = new(plain, STEPS.astype("<i2").tobytes()).replace("<resolution>", "<signaloffset>7</signaloffset><resolution>")
    assert np.allclose(read(tmp_path, held.replace('signaloffset="0" ', "")).signal, HEART - 0.007, atol=6e-4)
    compressed = "a compression other than XLI of signed samples (export the ECG uncompressed or as XLI)"
    for wrong in ({"signalsigned": "false"}, {"signaloffset": "5"}, {"compression": "LZW"}):
        assert fault_of(tmp_path, new(wrong)) == compressed
    for bits in ({"bitspersample": "", "nbitspersample": "12"}, {"bitspersample": "12"}):
        assert fault_of(tmp_path, new(bits)) == "samples that are not of 16 bits (export them in 16 bits)"
    missing = STEPS.copy()
    missing[6, 40] = -32768
    found = np.isnan(read(tmp_path, new(content=xli(missing))).signal)
    assert found.sum() == 1 and found[6, 40]
    assert fault_of(tmp_path, new({"dataencoding": "hex"})) == "waveforms that are not in base64 (export them in base64)"


def test_limb_leads_need_those_that_explain_them(tmp_path):
    def faulty(*leads: str) -> str:
        named = {"leadlabels": " ".join(leads), "numberofleads": str(len(leads))}
        return fault_of(tmp_path, sierra(sierra_waveform(xli(STEPS[: len(leads)], ("V1",) * len(leads)), 1000, named)))

    assert faulty("II", "aVR", "V1") == "lead aVR cannot be put together without I and II (export all limb leads)"
    assert faulty("I", "III", "V1") == "lead III cannot be put together without I and II (export all limb leads)"
    for lead in ("aVL", "aVF"):
        assert faulty("I", "II", lead) == "leads aVL and aVF cannot be put together without III (export all limb leads)"


def test_a_pulse_is_told_by_its_millivolt_in_all_of_three_leads_or_more(tmp_path):
    pulsed = calibrated(STEPS)
    record = read(tmp_path, sierra(sierra_waveform(xli(pulsed), pulsed.shape[1])))
    assert record.calibration == pulsed.shape[1] - 1000
    for leads in (3, 2):
        named = {"leadlabels": " ".join(("V1", "V2", "V3")[:leads]), "numberofleads": str(leads)}
        document = sierra(sierra_waveform(xli(pulsed[6 : 6 + leads], ("V1", "V2", "V3")[:leads]), pulsed.shape[1], named))
        assert read(tmp_path, document).calibration == (40 if leads == 3 else 0)
    lower = calibrated(STEPS, step=2.0)
    assert read(tmp_path, sierra(sierra_waveform(xli(lower), lower.shape[1]))).calibration == 0


def test_the_latest_interpretation_is_that_of_the_last_date_and_time_and_of_equals_the_last(tmp_path):
    def interpretation(text: str, date: str = "", time: str = "") -> str:
        when = f' date="{date}"' * bool(date) + f' time="{time}"' * bool(time)
        return f"<interpretation{when}><statement><leftstatement>{text}</leftstatement></statement></interpretation>"

    def report(*held: str) -> str | None:
        document = re.sub(
            "(?s)<interpretations>.*</interpretations>", f"<interpretations>{''.join(held)}</interpretations>", new()
        )
        return read(tmp_path, document).report

    assert report(interpretation("A", "2020-05-18", "10:00"), interpretation("B", "2020-05-17", "23:00")) == "A"
    assert report(interpretation("A", "2020-05-18", "10:00"), interpretation("B", "2020-05-18", "09:00")) == "A"
    assert report(interpretation("A"), interpretation("B")) == "B"
    assert report(interpretation("A", "2020-05-18"), interpretation("B")) == "A"
    assert report() is None
    assert report("<interpretation><severity>- </severity></interpretation>") is None


def test_age_comes_in_any_unit_and_the_date_from_acquisition_or_report(tmp_path):
    for age, years in (("<years>61</years><months>6</months>", 61), ("<weeks>26</weeks>", 0.5), ("<days>73</days>", 0.2),
                       ("<hours>4383</hours>", 0.5), ("<years>x</years><months>6</months>", 0.5)):  # fmt: skip
        assert read(tmp_path, new(age=age)).age == pytest.approx(years, abs=0.01)
    born = new(age="<dateofbirth>1951-05-19</dateofbirth>")
    assert read(tmp_path, born.replace('<dataacquisition date="2020-05-18"', '<dataacquisition date="2021-05-19"')).age == 70
    reported = re.sub("<dataacquisition[^>]*>(.*)</dataacquisition>", r"<other>\1</other>", born, flags=re.DOTALL)
    assert read(tmp_path, reported.replace('<reportinfo date="2020-05-18"', '<reportinfo date="2022-05-19"')).age == 71


def test_measurements_of_either_group_by_either_name(tmp_path):
    groups = ("<globalmeasurements><heartrate>64</heartrate><meanqrsdur>99</meanqrsdur><pdur>-</pdur></globalmeasurements>"
              "<interpretationmeasurements><heartrate>41</heartrate><qrsdur>135</qrsdur><meanpdur>101</meanpdur>"
              "</interpretationmeasurements>")  # fmt: skip
    document = re.sub("<globalmeasurements>.*</globalmeasurements>", groups, new())
    assert dict(read(tmp_path, document).measurements) == {"heart_rate_bpm": 64, "qrs_ms": 99, "p_ms": 101}


def test_a_chunk_that_is_cut_or_too_long_is_told(tmp_path):
    whole = xli(STEPS)
    (size,) = struct.unpack_from("<i", whole)
    told = {
        whole[: 8 + size + 7]: "holds fewer compressed channels than it announces (the file is truncated: fetch it again)",
        struct.pack("<i", 0) + whole[4:]: "a compressed channel is cut off (the file is truncated or altered: fetch it again)",
        struct.pack("<i", 9) + whole[4:]: "a compressed channel has another length than it announces (fetch the file again)",
    }
    for content, fault in told.items():
        assert fault_of(tmp_path, new(content=content)) == fault
    assert fault_of(tmp_path, new({"durationperchannel": "1747650"})) == (
        "announces more compressed samples than an ECG has (cut the record)"
    )
