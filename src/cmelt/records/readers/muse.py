"""GE MUSE XML (`RestingECG`): the rhythm waveform; median beats are passed over.

Most files carry I, II and V1 to V6; III, aVR, aVL and aVF are then computed, and named in `Record.derived`. Samples are
little-endian int16 in base64. `LeadDataCRC32` is the CRC-32 of zlib over the decoded bytes (so in all 144 leads of nine
files of four MUSE versions); converters that write 0 there mean none.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import derive_limb_leads, lead_name
from cmelt.records.readers.demographics import age_in_years, sex_named
from cmelt.records.readers.limits import refuse_size
from cmelt.records.readers.measurements import plausible
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions, settle_rate, settle_unit
from cmelt.records.readers.xml_document import base64_bytes, identifier_of, number_in, parse_document, root_name, text_at
from cmelt.records.record import Record, Signal
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt

NAME = "GE MUSE XML"

_UNITS: Mapping[str, str] = MappingProxyType({"MICROVOLTS": "uV", "MILLIVOLTS": "mV", "NANOVOLTS": "nV", "VOLTS": "V"})
_NOT_MEASURED = -(1 << 15)
#: A file whose waveforms have no type may hold a median beat alone, which lasts 1.2 s.
_SHORTEST_RHYTHM = 2.0
_MEASURED: Mapping[str, str] = MappingProxyType({
    "heart_rate_bpm": "VentricularRate", "p_ms": "PDuration", "pr_ms": "PRInterval", "qrs_ms": "QRSDuration",
    "qt_ms": "QTInterval", "qtc_ms": "QTCorrected", "p_axis_deg": "PAxis", "qrs_axis_deg": "RAxis", "t_axis_deg": "TAxis",
})  # fmt: skip


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (by content alone)
    """By the root element."""
    return root_name(head) == "RestingECG"


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the file at `path`. Leads in its order, computed ones after them.

    Where several rhythm waveforms are there, those that go together (same rate, start and length, other leads) are joined,
    and the one with the most leads is taken, the first of equals.

    Raises:
        RecordError: not well-formed, no rhythm, no gain, unit or rate, sizes or checksums that contradict the samples.
    """
    where = str(path)
    root = parse_document(path)
    if root.tag != "RestingECG":
        raise RecordError(where, "is not a MUSE XML file", "its root element is not RestingECG")
    rhythm = _most_complete([_rhythm(waveform, options, where) for waveform in _rhythm_waveforms(root, where)])
    person = root.find("PatientDemographics")
    patient = text_at(person, "PatientID")
    record = Record(
        signal=rhythm.signal,
        rate=rhythm.rate,
        leads=rhythm.leads,
        identifier=identifier_of(path, patient),
        report=_report(root),
        patient=(patient or None) if options.identity else None,
        age=age_in_years(number_in(text_at(person, "PatientAge")), text_at(person, "AgeUnits")),
        sex=sex_named(text_at(person, "Gender")),
        origin=where,
        measurements=_measurements(root),
    )
    refuse_impossible_amplitude(record.signal, where)
    completed, derived = derive_limb_leads(record)
    return replace(completed, derived=derived)


@dataclass(frozen=True)
class _Rhythm:
    """One rhythm waveform: `signal` [leads, samples] mV."""

    signal: Signal
    leads: tuple[str, ...]
    rate: float
    start: str

    def belongs_with(self, other: _Rhythm) -> bool:
        same = (self.rate, self.start, self.signal.shape[1]) == (other.rate, other.start, other.signal.shape[1])
        return same and not set(self.leads) & set(other.leads)


def _rhythm_waveforms(root: Element, where: str) -> list[Element]:
    waveforms = [waveform for waveform in root.iter("Waveform") if waveform.find("LeadData") is not None]
    rhythms = [waveform for waveform in waveforms if text_at(waveform, "WaveformType").lower() == "rhythm"]
    if not rhythms and len(waveforms) == 1 and not text_at(waveforms[0], "WaveformType"):
        rhythms = waveforms
    if not rhythms:
        raise RecordError(where, "holds no rhythm waveform", "median beats alone are no ECG: export the rhythm")
    return rhythms


def _most_complete(rhythms: Sequence[_Rhythm]) -> _Rhythm:
    joined: list[_Rhythm] = []
    for rhythm in rhythms:
        place = next((number for number, other in enumerate(joined) if other.belongs_with(rhythm)), None)
        if place is None:
            joined.append(rhythm)
        else:
            first = joined[place]
            signal = np.concatenate([first.signal, rhythm.signal])
            joined[place] = replace(first, signal=signal, leads=first.leads + rhythm.leads)
    return max(joined, key=lambda rhythm: len(rhythm.leads))  # max keeps the first of equals


def _rhythm(waveform: Element, options: ReadOptions, where: str) -> _Rhythm:
    base, exponent = (number_in(text_at(waveform, name)) for name in ("SampleBase", "SampleExponent"))
    rate = settle_rate(base * 10.0 ** (exponent or 0.0) if base and abs(exponent or 0) < 10 else None, options, where)
    if text_at(waveform, "SampleType").upper() not in ("", "CONTINUOUS_SAMPLES"):
        raise RecordError(where, "samples that are not continuous", "export the rhythm as continuous samples")
    if len({_whole(text_at(lead, "LeadTimeOffset"), where) for lead in waveform.iter("LeadData")}) > 1:
        raise RecordError(where, "leads that begin at different times", "export leads that were recorded together")
    stretches: dict[str, list[tuple[int, NDArray[np.float32]]]] = {}
    held = 0
    for lead in waveform.iter("LeadData"):
        name = lead_name(text_at(lead, "LeadID"))
        if not name:
            raise RecordError(where, "a lead without a name", "it must be stated in LeadID")
        first = _whole(text_at(lead, "LeadOffsetFirstSample"), where)
        samples = _millivolts(lead, options, where)
        held += first + samples.size
        refuse_size(1, held, where)
        stretches.setdefault(name, []).append((first, samples))
    signal = _placed(stretches, where)
    if not text_at(waveform, "WaveformType") and signal.shape[1] < _SHORTEST_RHYTHM * rate:
        raise RecordError(where, "holds no rhythm waveform", "median beats alone are no ECG: export the rhythm")
    return _Rhythm(signal, tuple(stretches), rate, text_at(waveform, "WaveformStartTime") or "0")


def _placed(stretches: Mapping[str, Sequence[tuple[int, NDArray[np.float32]]]], where: str) -> Signal:
    """The leads, [leads, samples]; one that is cut in pieces is put together. All must cover the same time without gaps."""
    extents = set()
    rows = []
    for lead in stretches.values():
        ordered = sorted(lead, key=lambda stretch: stretch[0])
        ends = [first + samples.size for first, samples in ordered]
        if any(first != end for (first, _), end in zip(ordered[1:], ends, strict=False)):
            raise RecordError(where, "a lead that occurs twice, or has gaps", "rename or drop one of them")
        extents.add((ordered[0][0], ends[-1]))
        rows.append(np.concatenate([samples for _, samples in ordered]))
    if len(extents) > 1:
        raise RecordError(where, "leads that do not cover the same time", "export leads that were recorded together")
    refuse_size(len(rows), rows[0].size, where)
    return np.stack(rows)


def _millivolts(lead: Element, options: ReadOptions, where: str) -> NDArray[np.float32]:
    """One LeadData's samples in mV."""
    digital = _digital(lead, where)
    per_step = number_in(text_at(lead, "LeadAmplitudeUnitsPerBit"))
    if per_step is None or per_step <= 0:
        raise RecordError(where, "a lead without LeadAmplitudeUnitsPerBit: its amplitude is unknown", "state it")
    stated = text_at(lead, "LeadAmplitudeUnits")
    unit = settle_unit(_UNITS.get(stated.upper(), stated) if stated else None, options, where)
    millivolts = np.empty(digital.size, dtype=np.float32)  # computed in float64 without keeping it
    np.multiply(digital, per_step / units_per_millivolt(unit, where), out=millivolts, dtype=np.float64, casting="same_kind")
    millivolts[digital == _NOT_MEASURED] = np.nan
    return millivolts


def _digital(lead: Element, where: str) -> NDArray[np.int16]:
    if text_at(lead, "LeadSampleSize") not in ("", "2"):
        raise RecordError(where, "samples that are not of two bytes", "MUSE writes samples of two bytes")
    content = b"".join(base64_bytes(data.text or "", where) for data in lead.findall("WaveFormData"))
    stated = _whole(text_at(lead, "LeadSampleCountTotal") or str(len(content) // 2), where)
    if not content or len(content) != 2 * stated:
        raise RecordError(
            where, "fewer or more samples than it announces for a lead", "the file is truncated or altered: fetch it again"
        )
    checksum = _whole(text_at(lead, "LeadDataCRC32"), where)
    if checksum and zlib.crc32(content) != checksum % (1 << 32):
        raise RecordError(where, "the checksum of a lead fails", "the file is altered: fetch it again")
    return np.frombuffer(content, dtype="<i2")


def _whole(text: str, where: str) -> int:
    """A stated whole number; 0 where nothing is stated."""
    number = number_in(text or "0")
    if number is None or number != int(number) or abs(number) > 1 << 40:
        raise RecordError(where, "a count, offset or checksum that is no whole number", "the file is altered: fetch it again")
    return int(number)


def _report(root: Element) -> str | None:
    """The statements as printed, one a line: the edited diagnosis, else what the device said first."""
    for name in ("Diagnosis", "OriginalDiagnosis"):
        lines = [""]
        for statement in root.iterfind(f"{name}/DiagnosisStatement"):
            text = " ".join(text_at(statement, "StmtText").split())
            # A statement goes on where the one before it did not end the line: "Anterior infarct" + ", age undetermined".
            lines[-1] += text if not lines[-1] or text.startswith((",", ".", ";")) else f" {text}"
            if any((flag.text or "").strip().upper() == "ENDSLINE" for flag in statement.findall("StmtFlag")):
                lines.append("")
        report = "\n".join(line.strip() for line in lines if line.strip())
        if report:
            return report
    return None


def _measurements(root: Element) -> Mapping[str, float]:
    for group in ("RestingECGMeasurements", "OriginalRestingECGMeasurements"):
        stated = {name: number_in(text_at(root, f"{group}/{tag}")) for name, tag in _MEASURED.items()}
        if measured := plausible(stated):
            return measured
    return plausible({})
