"""Files in the vendors' native layouts, written byte for byte from simulated signals: encoders of their own, none of ours."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cmelt.records.record import LEADS

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def base64_lines(content: bytes, width: int = 76) -> str:
    """Base64 in lines, as devices write it."""
    text = base64.b64encode(content).decode()
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


# --- GE MUSE -----------------------------------------------------------------------------------------------------------------


def muse_lead(name: str, digital: np.ndarray, units_per_bit: float = 1.0, unit: str = "MICROVOLTS", **changed: str) -> str:
    """One LeadData element of int16 `digital`; `changed` replaces the text of its elements ("" leaves one out)."""
    content = digital.astype("<i2").tobytes()
    fields = {
        "LeadByteCountTotal": str(len(content)), "LeadTimeOffset": "0", "LeadSampleCountTotal": str(len(digital)),
        "LeadAmplitudeUnitsPerBit": f"{units_per_bit:g}", "LeadAmplitudeUnits": unit, "LeadHighLimit": "32767",
        "LeadLowLimit": "-32768", "LeadID": name, "LeadOffsetFirstSample": "0", "FirstSampleBaseline": "0", "LeadSampleSize": "2",
        "LeadOff": "FALSE", "BaselineSway": "FALSE", "LeadDataCRC32": str(zlib.crc32(content)),
        "WaveFormData": base64_lines(content),
    }  # fmt: skip
    fields |= changed
    return "<LeadData>" + "".join(f"<{tag}>{text}</{tag}>\n" for tag, text in fields.items() if text) + "</LeadData>\n"


def muse_waveform(kind: str, lead_data: str, base: str = "100", exponent: str = "0") -> str:
    """One Waveform element."""
    head = f"<WaveformType>{kind}</WaveformType><WaveformStartTime>0</WaveformStartTime>" if kind else ""
    rate = f"<SampleBase>{base}</SampleBase><SampleExponent>{exponent}</SampleExponent>" if base else ""
    sample_type = "<SampleType>CONTINUOUS_SAMPLES</SampleType>"
    return f"<Waveform>{head}{sample_type}{rate}{lead_data}</Waveform>\n"


def muse_rhythm(signal: np.ndarray, leads: Sequence[str] = LEADS, units_per_bit: float = 1.0, rate: str = "100") -> str:
    """A rhythm waveform of `signal` [leads, samples] mV."""
    digital = np.where(np.isfinite(signal), np.rint(signal * 1000 / units_per_bit), -32768)
    return muse_waveform("Rhythm", "".join(muse_lead(*one, units_per_bit) for one in zip(leads, digital, strict=True)), rate)


MEDIAN = muse_waveform("Median", muse_lead("I", np.arange(120)) + muse_lead("II", np.arange(120)))
STATEMENTS = (
    "<DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag><StmtText>Sinus rhythm</StmtText></DiagnosisStatement>"
    "<DiagnosisStatement><StmtText>Anterior infarct</StmtText></DiagnosisStatement>"
    "<DiagnosisStatement><StmtFlag>ENDSLINE</StmtFlag><StmtText>, age undetermined</StmtText></DiagnosisStatement>"
)
MEASURED = (
    "<RestingECGMeasurements><VentricularRate>72</VentricularRate><PRInterval>160</PRInterval><QRSDuration>90</QRSDuration>"
    "<QTInterval>29999</QTInterval><QTCorrected>410</QTCorrected><PAxis>50</PAxis><RAxis>-30</RAxis><TAxis>32767</TAxis>"
    "</RestingECGMeasurements>"
)


def muse(waveforms: str, diagnosis: str = "", person: str = "", measurements: str = MEASURED) -> str:
    """A whole MUSE document."""
    demographics = (
        person or "<PatientID>0815-4711</PatientID><PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender>"
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n<RestingECG>\n'
        "<MuseInfo><MuseVersion>9.0.7.17363</MuseVersion></MuseInfo>\n"
        f"<PatientDemographics>{demographics}</PatientDemographics>\n{measurements}\n"
        f"{diagnosis or f'<Diagnosis><Modality>RESTING</Modality>{STATEMENTS}</Diagnosis>'}\n{waveforms}</RestingECG>\n"
    )


def write_muse(path: Path, signal: np.ndarray, leads: Sequence[str] = LEADS, **options: object) -> Path:
    """A MUSE file of `signal` [leads, samples] mV with a median waveform before it."""
    path.write_text(muse(MEDIAN + muse_rhythm(signal, leads, **options)), encoding="latin-1")  # type: ignore[arg-type]
    return path


# --- Philips Sierra ----------------------------------------------------------------------------------------------------------


def lzw(content: bytes) -> bytes:
    """LZW with codes of ten bits, most significant bit first; 1023 ends it."""
    table = {bytes((byte,)): byte for byte in range(256)}
    codes, word = [], b""
    for byte in content:
        longer = word + bytes((byte,))
        if longer in table:
            word = longer
            continue
        codes.append(table[word])
        if len(table) < 1023:
            table[longer] = len(table)
        word = bytes((byte,))
    codes += [table[word], 1023]
    bits = "".join(f"{code:010b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def xli_chunk(samples: Sequence[int]) -> bytes:
    """One channel of int16 `samples` as XLI: header, then packed bytes, all high ones before all low ones."""
    x = [int(value) for value in samples]
    curvature = [2 * x[i - 1] - x[i - 2] - x[i] for i in range(2, len(x))]  # of samples 2, 3, ...
    stored = [*x[:2], *(value + 64 for value in curvature[1:]), 64]
    wrapped = [value & 0xFFFF for value in stored]
    packed = lzw(bytes(value >> 8 for value in wrapped) + bytes(value & 0xFF for value in wrapped))
    first = (curvature[0] + 0x8000) % 0x10000 - 0x8000
    return struct.pack("<ihh", len(packed), 1, first) + packed


def residuals(digital: np.ndarray, leads: Sequence[str] = LEADS) -> np.ndarray:
    """What I and II leave of III, aVR, aVL and aVF, in whole steps, [leads, samples] integers."""
    row = {lead: digital[number].astype(int) for number, lead in enumerate(leads)}
    left = dict(row)
    if "III" in row:
        left["III"] = row["II"] - row["I"] - row["III"]
        left["aVR"] = -((row["I"] + row["II"]) // 2) - row["aVR"]
        left["aVL"] = (row["I"] - row["III"]) // 2 - row["aVL"]
        left["aVF"] = (row["II"] + row["III"]) // 2 - row["aVF"]
    return np.stack([left[lead] for lead in leads])


def xli(digital: np.ndarray, leads: Sequence[str] = LEADS, channels: int = 16) -> bytes:
    """A whole XLI stream of integers [leads, samples], filled up with empty channels as PageWriters do."""
    stored = residuals(digital, leads)
    empty = np.zeros(digital.shape[1], dtype=int)
    return b"".join(xli_chunk(row) for row in [*stored, *([empty] * (channels - len(stored)))])


def calibrated(digital: np.ndarray, step: float = 1.0, rate: int = 100) -> np.ndarray:
    """`digital` with the calibration pulse behind it: rest, 0.2 s of 1 mV, rest, in every lead."""
    pulse = np.zeros(round(0.4 * rate))
    pulse[round(0.1 * rate) : round(0.3 * rate)] = 1000 / step
    return np.concatenate([digital, np.tile(pulse, (len(digital), 1))], axis=1)


SIERRA_STATEMENTS = (
    '<severity code="AB" id="4">- ABNORMAL ECG -</severity>'
    "<statement><statementcode>SR</statementcode><leftstatement>SINUS RHYTHM</leftstatement>"
    "<rightstatement>normal P axis, V-rate 50-99</rightstatement></statement>"
    "<statement><leftstatement>------ PROBABLE LVH ------</leftstatement><rightstatement/></statement>"
)
SIERRA_MEASURED = (
    "<globalmeasurements><heartrate>64</heartrate><print>164</print><qrsdur>102</qrsdur><qtint>399</qtint><qtcb>412</qtcb>"
    "<pfrontaxis>27</pfrontaxis><qrsfrontaxis>Indeterminate</qrsfrontaxis><tfrontaxis>80</tfrontaxis></globalmeasurements>"
)
OLD_MEASURED = (
    "<interpretationmeasurements><heartrate>41</heartrate><meanprint>151</meanprint><meanqrsdur>135</meanqrsdur>"
    "<meanqtint>476</meanqtint><meanqtc>393</meanqtc><qrsfrontaxis>-21</qrsfrontaxis></interpretationmeasurements>"
)


def sierra(
    waveforms: str, version: str = "1.04", age: str = "<dateofbirth>1951-01-01</dateofbirth>", characteristics: str = ""
) -> str:
    """A whole Sierra document, without an XML declaration (its encoding is the writer's)."""
    old = version == "1.03"
    stated = characteristics or (
        "<samplingrate>100</samplingrate><signalresolution>1</signalresolution><acquisitiontype>STD-12</acquisitiontype>"
        "<bitspersample>16</bitspersample><signaloffset>0</signaloffset><signalsigned>True</signalsigned><leadset>STD-12</leadset>"
        if old
        else "<samplingrate>100</samplingrate><resolution>1</resolution><acquisitiontype>10-WIRE</acquisitiontype>"
    )
    return (
        '<restingecgdata xmlns="http://www3.medical.philips.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        f"<documentinfo><documenttype>{'Sierra' if old else 'Philips'}ECG</documenttype>"
        f"<documentversion>{version}</documentversion></documentinfo>\n"
        '<reportinfo date="2020-05-18" time="15:48:11"/>\n<dataacquisition date="2020-05-18" time="15:48:11">'
        f"<signalcharacteristics>{stated}</signalcharacteristics></dataacquisition>\n"
        f'<patient><generalpatientdata><patientid>0815-4711</patientid><age defaultage="50">{age}</age><sex>Male</sex>'
        "</generalpatientdata></patient>\n"
        f"<interpretations><interpretation>{OLD_MEASURED if old else SIERRA_MEASURED}"
        "<mdsignatureline>Electronically signed by: Dr Who</mdsignatureline>"
        f"{SIERRA_STATEMENTS}</interpretation></interpretations>\n<waveforms>{waveforms}"
        '<repbeats dataencoding="Base64"><repbeat leadname="I">AAAA</repbeat></repbeats></waveforms></restingecgdata>\n'
    )


def sierra_waveform(content: bytes | str, samples: int, attributes: Mapping[str, str] | None = None, rate: int = 100) -> str:
    """A `parsedwaveforms` element of 1.04 for 12 leads; `attributes` replaces some of its attributes ("" leaves one out)."""
    stated = {
        "dataencoding": "Base64", "compression": "XLI", "numberofleads": "12", "leadlabels": " ".join(LEADS),
        "durationperchannel": str(samples * 1000 // rate), "samplespersecond": str(rate), "resolution": "1", "signaloffset": "0",
        "signalsigned": "True", "bitspersample": "16",
    } | dict(attributes or {})  # fmt: skip
    written = " ".join(f'{name}="{text}"' for name, text in stated.items() if text)
    return f"<parsedwaveforms {written}>{base64_lines(content) if isinstance(content, bytes) else content}</parsedwaveforms>"


def old_waveform(content: bytes, samples: int, rate: int = 100) -> str:
    """A `parsedwaveforms` element of 1.03, which names no leads."""
    stated = 'compressflag="True" compressmethod="XLI" dataencoding="Base64" nbitspersample="16"'
    return f'<parsedwaveforms {stated} durationperchannel="{samples * 1000 // rate}">{base64_lines(content)}</parsedwaveforms>'


def write_philips(path: Path, signal: np.ndarray, encoding: str = "utf-8") -> Path:
    """A 1.04 file of `signal` [12, samples] mV at 100 Hz, XLI-compressed."""
    digital = np.rint(signal * 1000).astype(int)
    document = sierra(sierra_waveform(xli(digital), digital.shape[1]))
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>\n{document}'.encode(encoding))
    return path


# --- HL7 aECG ----------------------------------------------------------------------------------------------------------------


def aecg_sequence(code: str, value: str) -> str:
    """One sequence of a sequence set."""
    return f'<component><sequence><code code="{code}" codeSystem="2.16.840.1.113883.6.24"/>{value}</sequence></component>\n'


def aecg_times(head: str = "20021122091000.000", increment: str = "0.01", unit: str = "s") -> str:
    """Absolute times from `head` on, or relative ones where `head` is short."""
    absolute = len(head) >= 14
    kind, code = ("GLIST_TS", "TIME_ABSOLUTE") if absolute else ("GLIST_PQ", "TIME_RELATIVE")
    of_head = "" if absolute else ' unit="s"'
    stated = f'<head value="{head}"{of_head}/><increment value="{increment}" unit="{unit}"/>'
    return aecg_sequence(code, f'<value xsi:type="{kind}">{stated}</value>')


def aecg_lead(name: str, digits: Sequence[float], scale: str = "1", unit: str = "uV", origin: str = "0") -> str:
    """A lead's samples."""
    numbers = " ".join(f"{digit:g}" for digit in digits)
    stated = f'<origin value="{origin}" unit="{unit}"/><scale value="{scale}" unit="{unit}"/><digits>{numbers}</digits>'
    return aecg_sequence(f"MDC_ECG_LEAD_{name.upper()}", f'<value xsi:type="SLIST_PQ">{stated}</value>')


def aecg_set(signal: np.ndarray, leads: Sequence[str] = LEADS, times: str | None = None) -> str:
    """A sequence set of `signal` [leads, samples] mV in steps of 1 µV."""
    rows = "".join(aecg_lead(lead, np.rint(row * 1000)) for lead, row in zip(leads, signal, strict=True))
    return f"<component><sequenceSet>{aecg_times() if times is None else times}{rows}</sequenceSet></component>\n"


def aecg_annotation(code: str, value: str = "", unit: str = "", inside: str = "", lead: str = "") -> str:
    """An annotation: a quantity with its unit, or a text without; tied to one lead where `lead` names it."""
    quantity = f'<value xsi:type="PQ" value="{value}" unit="{unit}"/>' if unit else f'<value xsi:type="ST">{value}</value>'
    region = f'<component><boundary><code code="MDC_ECG_LEAD_{lead}"/></boundary></component>'
    tied = f"<support><supportingROI>{region}</supportingROI></support>" if lead else ""
    return f'<component><annotation><code code="{code}"/>{quantity if value else ""}{tied}{inside}</annotation></component>\n'


AECG_ANNOTATIONS = (
    aecg_annotation("MDC_ECG_HEART_RATE", "57", "bpm")
    + aecg_annotation("MDC_ECG_TIME_PD_QRS", "74", "ms", lead="I")
    + aecg_annotation("MDC_ECG_TIME_PD_PR", "0.192", "s")
    + aecg_annotation("MDC_ECG_TIME_PD_QRS", "88", "ms")
    + aecg_annotation("MDC_ECG_TIME_PD_QTc", "0", "ms")
    + aecg_annotation("MDC_ECG_ANGLE_QRS_FRONT", "-61", "deg")
    + aecg_annotation(
        "MDC_ECG_INTERPRETATION",
        inside=aecg_annotation("MDC_ECG_INTERPRETATION_STATEMENT", "Rythme sinusal")
        + aecg_annotation("MDC_ECG_INTERPRETATION_SUMMARY", "ECG limite")
        + aecg_annotation("MDC_ECG_INTERPRETATION_COMMENT", "Dr Who"),
    )
)


def aecg_series(sets: str, code: str = "RHYTHM", annotations: str = AECG_ANNOTATIONS) -> str:
    """A series with a representative beat derived from it."""
    beat = aecg_set(np.zeros((12, 60)), times=aecg_times("0.000"))
    derived = f'<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/>{beat}</derivedSeries></derivation>'
    marks = f"<subjectOf><annotationSet>{annotations}</annotationSet></subjectOf>" if annotations else ""
    return f'<component><series><code code="{code}"/>{sets}{derived}{marks}</series></component>\n'


def aecg(series: str) -> str:
    """A whole aECG document."""
    subject = (
        '<subject><trialSubject><id root="1.2.3" extension="0815-4711"/><subjectDemographicPerson>'
        '<administrativeGenderCode code="F"/><birthTime value="19530508"/></subjectDemographicPerson></trialSubject></subject>'
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!-- FDA Annotated ECG -->\n'
        '<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" type="Observation">\n'
        '<id root="61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"/><effectiveTime><center value="20021122091000"/></effectiveTime>\n'
        f"<componentOf><timepointEvent><componentOf><subjectAssignment>{subject}</subjectAssignment></componentOf></timepointEvent>"
        f"</componentOf>\n{series}</AnnotatedECG>\n"
    )


def write_aecg(path: Path, signal: np.ndarray, leads: Sequence[str] = LEADS) -> Path:
    """An aECG file of `signal` [leads, samples] mV at 100 Hz."""
    path.write_text(aecg(aecg_series(aecg_set(signal, leads))), encoding="utf-8")
    return path
