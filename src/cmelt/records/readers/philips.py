"""Philips Sierra XML (`restingecgdata`), schemas 1.03 and 1.04 with its revisions: PageWriter, HeartStart MRx, IntelliSpace.

The whole rhythm is in `parsedwaveforms`, nearly always XLI-compressed; representative beats (`repbeats`) are passed over. In
an XLI stream the leads III, aVR, aVL and aVF are what I and II do not explain of them, and are put together again here.
PageWriter and MRx end the strip with a calibration pulse, the same in every lead; it is no ECG, and `Record.calibration` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.readers.demographics import age_at, age_in_years, sex_named
from cmelt.records.readers.limits import refuse_size
from cmelt.records.readers.measurements import plausible
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions, settle_leads, settle_rate, settle_unit
from cmelt.records.readers.xli import decode_xli
from cmelt.records.readers.xml_document import base64_bytes, identifier_of, number_in, parse_document, root_name, text_at
from cmelt.records.record import LEADS, LIMB_LEADS, Record
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt

NAME = "Philips Sierra XML"

_NOT_MEASURED = -(1 << 15)
#: Each quantity's element: as 1.04 calls it, as 1.03 does.
_MEASURED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "heart_rate_bpm": ("heartrate",), "p_ms": ("pdur", "meanpdur"), "pr_ms": ("print", "meanprint"),
    "qrs_ms": ("qrsdur", "meanqrsdur"), "qt_ms": ("qtint", "meanqtint"), "qtc_ms": ("qtcb", "meanqtc"),
    "p_axis_deg": ("pfrontaxis",), "qrs_axis_deg": ("qrsfrontaxis",), "t_axis_deg": ("tfrontaxis",),
})  # fmt: skip


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (by content alone)
    """By the root element."""
    return root_name(head) == "restingecgdata"


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the file at `path`: leads in its order.

    Raises:
        RecordError: not well-formed, no waveform, rate, resolution or lead names, or samples that contradict what is announced.
    """
    where = str(path)
    root = parse_document(path)
    waveform = root.find("waveforms/parsedwaveforms")
    if root.tag != "restingecgdata" or waveform is None:
        raise RecordError(where, "holds no parsed waveforms", "export the ECG with its waveforms")
    _refuse_other_schemas(root, where)
    characteristics = root.find("dataacquisition/signalcharacteristics")
    rate = settle_rate(_stated(waveform, "samplespersecond", characteristics, "samplingrate"), options, where)
    leads = _leads(waveform, characteristics, options, where)
    samples = _samples(waveform, rate, len(leads), where)
    steps = _steps(waveform, characteristics, leads, samples, where)
    millivolts = steps * (_resolution(waveform, characteristics, where) / _microvolts_per_millivolt(options, where))
    signal = millivolts.astype(np.float32)
    refuse_impossible_amplitude(signal, where)
    person = root.find("patient/generalpatientdata")
    patient = text_at(person, "patientid")
    interpretation = _interpretation(root)
    return Record(
        signal=signal,
        rate=rate,
        leads=leads,
        identifier=identifier_of(path, patient),
        report=_report(interpretation),
        patient=(patient or None) if options.identity else None,
        age=_age(root, person),
        sex=sex_named(text_at(person, "sex")),
        origin=where,
        measurements=_measurements(interpretation),
        calibration=_calibration(millivolts),
    )


def _refuse_other_schemas(root: Element, where: str) -> None:
    kind, version = text_at(root, "documentinfo/documenttype"), text_at(root, "documentinfo/documentversion")
    if kind not in ("", "SierraECG", "PhilipsECG") or (version and not version.startswith(("1.03", "1.04"))):
        raise RecordError(where, "a schema other than Sierra 1.03 and 1.04", "export it in one of these")


def _stated(waveform: Element, attribute: str, characteristics: Element | None, element: str) -> float | None:
    """A positive number from the waveform's attribute (1.04), else from the acquisition's element (1.03)."""
    for text in (waveform.get(attribute, ""), text_at(characteristics, element)):
        number = number_in(text)
        if number is not None and number > 0:
            return number
    return None


def _leads(waveform: Element, characteristics: Element | None, options: ReadOptions, where: str) -> tuple[str, ...]:
    labels = waveform.get("leadlabels", "").split()
    if labels:
        count = number_in(waveform.get("numberofleads", "")) or len(labels)
        if count != len(labels):
            raise RecordError(where, "announces another number of leads than it names", "the file is altered: fetch it again")
        return settle_leads(tuple(labels), options, len(labels), where)
    # Schema 1.03 names a set of electrodes instead; its order is known for the standard one alone.
    standard = "STD-12" in (text_at(characteristics, "acquisitiontype"), text_at(characteristics, "leadset").split(" ")[0])
    stated = LEADS if standard else None
    return settle_leads(stated, options, len(stated or options.leads or ()), where)


def _samples(waveform: Element, rate: float, leads: int, where: str) -> int:
    """How many samples a lead is announced to have."""
    duration = number_in(waveform.get("durationperchannel", ""))
    if duration is None or duration <= 0 or duration * rate > 1e18:
        raise RecordError(where, "does not state the duration of its waveforms", "the file is altered: fetch it again")
    samples = round(duration * rate / 1000)
    refuse_size(leads, samples, where)
    return samples


def _resolution(waveform: Element, characteristics: Element | None, where: str) -> float:
    """Microvolts a step."""
    stated = _stated(waveform, "resolution", characteristics, "signalresolution")
    stated = stated or _stated(waveform, "signalresolution", characteristics, "resolution")
    if stated is None:
        raise RecordError(where, "does not state its resolution: its amplitude is unknown", "export it with signalresolution")
    return stated


def _microvolts_per_millivolt(options: ReadOptions, where: str) -> float:
    return units_per_millivolt(settle_unit("uV", options, where), where)  # the schema fixes the unit of its resolution


def _steps(
    waveform: Element, characteristics: Element | None, leads: tuple[str, ...], samples: int, where: str
) -> NDArray[np.float64]:
    """The samples in steps of the resolution, [leads, samples], NaN where nothing was measured."""
    offset = number_in(waveform.get("signaloffset", "") or text_at(characteristics, "signaloffset")) or 0.0
    signed = (waveform.get("signalsigned", "") or text_at(characteristics, "signalsigned")).lower() != "false"
    bits = waveform.get("bitspersample") or waveform.get("nbitspersample") or text_at(characteristics, "bitspersample")
    method = (waveform.get("compression") or waveform.get("compressmethod") or "").upper()
    if waveform.get("compressflag", "").lower() == "false" or method in ("NONE", "UNCOMPRESSED"):
        method = ""
    if (bits or "16") != "16":
        raise RecordError(where, "samples that are not of 16 bits", "export them in 16 bits")
    if not method:
        digital = _plain(waveform, len(leads), samples, signed, where)
    elif method == "XLI" and signed and offset == 0:
        digital = decode_xli(_bytes(waveform, where), len(leads), samples, where)
    else:
        raise RecordError(where, "a compression other than XLI of signed samples", "export the ECG uncompressed or as XLI")
    steps = digital.astype(np.float64)
    if signed:
        steps[digital == _NOT_MEASURED] = np.nan
    steps -= offset
    return _recombined(steps, leads, where) if method else steps


def _plain(waveform: Element, leads: int, samples: int, signed: bool, where: str) -> NDArray[np.integer]:
    """Uncompressed samples, one lead after the other, [leads, samples]."""
    content = _bytes(waveform, where)
    if len(content) != 2 * leads * samples:
        raise RecordError(where, "fewer or more samples than it announces", "the file is truncated or altered: fetch it again")
    return np.frombuffer(content, dtype="<i2" if signed else "<u2").reshape(leads, samples)


def _bytes(waveform: Element, where: str) -> bytes:
    if waveform.get("dataencoding", "Base64").lower() != "base64":
        raise RecordError(where, "waveforms that are not in base64", "export them in base64")
    return base64_bytes(waveform.text or "", where)


def _recombined(steps: NDArray[np.float64], leads: tuple[str, ...], where: str) -> NDArray[np.float64]:
    """The leads III, aVR, aVL and aVF from I, II and what these leave of them; halves are rounded as the device does."""
    row = {lead: steps[number] for number, lead in enumerate(leads)}
    residual = [lead for lead in LIMB_LEADS[2:] if lead in row]
    if residual and not ("I" in row and "II" in row):
        raise RecordError(where, f"lead {residual[0]} cannot be put together without I and II", "export all limb leads")
    if ("aVL" in row or "aVF" in row) and "III" not in row:
        raise RecordError(where, "leads aVL and aVF cannot be put together without III", "export all limb leads")
    if "III" in row:
        row["III"][:] = row["II"] - row["I"] - row["III"]
    explained = {
        "aVR": lambda: -np.floor((row["I"] + row["II"]) / 2),
        "aVL": lambda: np.floor((row["I"] - row["III"]) / 2),
        "aVF": lambda: np.floor((row["II"] + row["III"]) / 2),
    }
    for lead, of_others in explained.items():
        if lead in row:
            row[lead][:] = of_others() - row[lead]
    return steps


def _calibration(millivolts: NDArray[np.float64]) -> int:
    """Samples at the end of `millivolts` [leads, samples] where all leads are one, if these hold a pulse of 1 mV; else none.

    In the files known the stretch is rest, 0.2 s of exactly 1 mV and 0.1 s of rest; ECGs of 10 s rest for half a second before.
    """
    differing = np.flatnonzero((millivolts != millivolts[0]).any(axis=0))
    end = int(differing[-1]) + 1 if differing.size else 0
    pulse = millivolts[0, end:]
    if millivolts.shape[0] < 3 or not np.array_equal(np.unique(pulse), [0.0, 1.0]):
        return 0
    return int(pulse.size)


def _interpretation(root: Element) -> Element | None:
    """The latest interpretation: the device's, or an edited one after it."""
    held = root.findall("interpretations/interpretation")
    return max(enumerate(held), key=lambda one: (one[1].get("date", ""), one[1].get("time", ""), one[0]))[1] if held else None


def _report(interpretation: Element | None) -> str | None:
    """Statements and, after them, the severity, one a line; signatures stay out."""
    if interpretation is None:
        return None
    lines = []
    for statement in interpretation.findall("statement"):
        parts = (" ".join(text_at(statement, side).split()).strip("- ") for side in ("leftstatement", "rightstatement"))
        lines.append(", ".join(part for part in parts if part))
    lines.append(text_at(interpretation, "severity").strip("- "))
    return "\n".join(line for line in lines if line) or None


def _measurements(interpretation: Element | None) -> Mapping[str, float]:
    if interpretation is None:
        return plausible({})
    stated: dict[str, float | None] = dict.fromkeys(_MEASURED)
    for group in ("globalmeasurements", "interpretationmeasurements"):
        for name, tags in _MEASURED.items():
            for tag in tags:
                if stated[name] is None:
                    stated[name] = number_in(text_at(interpretation, f"{group}/{tag}"))
    return plausible(stated)


def _age(root: Element, person: Element | None) -> float | None:
    """Stated in a unit, or between the dates of birth and recording; `defaultage` is the device's setting, not the patient's."""
    for unit in ("years", "months", "weeks", "days", "hours"):
        stated = age_in_years(number_in(text_at(person, f"age/{unit}")), unit)
        if stated is not None:
            return stated
    recorded = next(
        (found.get("date", "") for found in map(root.find, ("dataacquisition", "reportinfo")) if found is not None), ""
    )
    return age_at(text_at(person, "age/dateofbirth"), recorded)
