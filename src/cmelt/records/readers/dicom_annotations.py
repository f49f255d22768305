"""What a DICOM waveform's annotations say: the device's global measurements, and the interpretation's statements.

Codes of measurements: CID 3227, 3228, 3229 and TID 3713 (MDC), the SCP-ECG clauses that older devices write, LOINC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cmelt.records.readers.measurements import plausible

_STATEMENT_WORDS = ("interpretation", "statement", "diagnos", "conclusion", "impression", "finding")
_MEASUREMENT_CODES: Mapping[str, tuple[str, ...]] = {
    "heart_rate_bpm": ("2:16016", "8867-4", "76282-3", "5.10.2.5-1"),
    "p_ms": ("2:16184",),
    "pr_ms": ("2:15872", "8625-6", "5.13.5-7"),
    "qrs_ms": ("2:16156", "8633-0", "5.13.5-9"),
    "qt_ms": ("2:16160", "8634-8", "5.13.5-11"),
    "qtc_ms": ("2:15876", "8636-3", "5.10.2.5-5", "2:15880"),
    "p_axis_deg": ("2:16128", "8626-4", "5.10.3-11"),
    "qrs_axis_deg": ("2:16132", "8632-2", "9997-8", "5.10.3-13"),
    "t_axis_deg": ("2:16136", "8638-9", "5.10.3-15"),
    "rr_ms": ("2:16168", "2:16000", "5.10.2.1-3"),
}
_MEASUREMENT_WORDS: Mapping[str, tuple[str, ...]] = {
    "heart_rate_bpm": ("ventricular heart rate", "ventricular rate", "heart rate", "vrate"),
    "p_ms": ("p duration",),
    "pr_ms": ("pr interval",),
    "qrs_ms": ("qrs duration",),
    "qt_ms": ("qt interval",),
    "qtc_ms": ("qtc interval", "corrected qt interval"),
    "p_axis_deg": ("p axis", "p wave axis"),
    "qrs_axis_deg": ("qrs axis", "r axis", "r wave axis"),
    "t_axis_deg": ("t axis", "t wave axis"),
    "rr_ms": ("rr interval",),
}
_BY_CODE = {code: name for name, codes in _MEASUREMENT_CODES.items() for code in codes}
_BY_WORDS = {words: name for name, spellings in _MEASUREMENT_WORDS.items() for words in spellings}


def measurements_and_report(parsed: Any) -> tuple[Mapping[str, float], str | None]:
    """Global measurements, and the interpretation's statements one a line. Marks at a point of time are neither."""
    found: dict[str, float | None] = {}
    statements = []
    for item in parsed.get("WaveformAnnotationSequence") or []:
        if item.get("TemporalRangeType") not in (None, "") or item.get("ReferencedSamplePositions") is not None:
            continue
        text = _statement(item)
        if text:
            statements.append(text)
        name, value = _measurement(item)
        if name is not None and value is not None:
            found.setdefault(name, value)
    rr = found.pop("rr_ms", None)
    if rr:
        found.setdefault("heart_rate_bpm", round(60_000 / rr, 1))  # a device that states the mean RR interval alone
    return plausible(found), "\n".join(statements) or None


def _statement(item: Any) -> str | None:
    text = text_of(item, "UnformattedTextValue")
    if text is not None:
        return "\n".join(line.strip() for line in text.splitlines() if line.strip())
    named = (text_of(code, "CodeMeaning") or "" for code in item.get("ConceptNameCodeSequence") or [])
    if any(word in name.lower() for name in named for word in _STATEMENT_WORDS):
        return next((text_of(code, "CodeMeaning") for code in item.get("ConceptCodeSequence") or []), None)
    return None


def _measurement(item: Any) -> tuple[str | None, float | None]:
    """A numeric annotation of the whole record as (name, value in its unit)."""
    concept = next(iter(item.get("ConceptNameCodeSequence") or []), None)
    number = item.get("NumericValue")
    if concept is None or number in (None, ""):
        return None, None
    name = measurement_of(text_of(concept, "CodeValue") or "", text_of(concept, "CodeMeaning") or "")
    value = float(number[0] if isinstance(number, Sequence) and not isinstance(number, str) else number)
    if name is None or not name.endswith("_ms"):
        return name, value  # converters write "ms" for axes: what is in degrees or a minute is so by its name
    unit = next((text_of(code, "CodeValue") or "" for code in item.get("MeasurementUnitsCodeSequence") or []), "")
    return name, {"ms": value, "s": value * 1000}.get(unit)


def measurement_of(code: str, words: str) -> str | None:
    """The measurement (a name of `record.MEASUREMENTS`, or "rr_ms") that a concept means: by its code, else in words.

    Codes go first: some converters write the T axis's code with the QRS axis's meaning.
    """
    plain = re.sub(r"[,\s]+", " ", words.lower().replace("global", "").replace("frontal", "")).strip(" \x00")
    return _BY_CODE.get(code.strip(" \x00")) or _BY_WORDS.get(plain)


def text_of(item: Any, keyword: str) -> str | None:
    """An element's value as stripped text, None where it is absent or empty."""
    value = item.get(keyword)
    text = "" if value is None else str(value).strip(" \x00\t\r\n")
    return text or None
