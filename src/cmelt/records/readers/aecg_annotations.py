"""What an HL7 aECG says of its ECG: the device's measurements and its interpretation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from types import MappingProxyType
from xml.etree.ElementTree import Element

from cmelt.records.readers.measurements import plausible
from cmelt.records.readers.xml_document import number_in

#: Codes of each quantity, the standard's before a vendor's own.
_MEASURED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "heart_rate_bpm": ("MDC_ECG_HEART_RATE",),
    "p_ms": ("MDC_ECG_TIME_PD_P",),
    "pr_ms": ("MDC_ECG_TIME_PD_PR",),
    "qrs_ms": ("MDC_ECG_TIME_PD_QRS",),
    "qt_ms": ("MDC_ECG_TIME_PD_QT",),
    "qtc_ms": ("MDC_ECG_TIME_PD_QTC", "MDC_ECG_TIME_PD_QTCB"),
    "p_axis_deg": ("MDC_ECG_ANGLE_P_FRONT", "MINDRAY_ECG_P_AXIS"),
    "qrs_axis_deg": ("MDC_ECG_ANGLE_QRS_FRONT", "MINDRAY_ECG_QRS_AXIS"),
    "t_axis_deg": ("MDC_ECG_ANGLE_T_FRONT", "MINDRAY_ECG_T_AXIS"),
})  # fmt: skip
_STATEMENTS = ("MDC_ECG_INTERPRETATION", "MDC_ECG_INTERPRETATION_STATEMENT", "MDC_ECG_INTERPRETATION_SUMMARY")
_RHYTHM = ("MDC_ECG_RHY",)


def measurements_of(root: Element, series: Element) -> Mapping[str, float]:
    """The measurements of the whole ECG; where a set has them beat by beat, their median. Those of single leads do not count."""
    sets = [_values_by_code(annotation_set) for annotation_set in _sets(root, series)]
    stated: dict[str, float | None] = {}
    for name, codes in _MEASURED.items():
        for code in codes:
            found = next((values[code] for values in sets if code in values), [])
            numbers = [number for value in found if (number := _measured(name, value)) is not None]
            # A 0 or a sentinel under the standard's code must not hide what a vendor's own code says.
            if kept := plausible({name: median(numbers)} if numbers else {}):
                stated[name] = kept[name]
                break
    return plausible(stated)


def report_of(root: Element, series: Element) -> str | None:
    """The interpretation, one statement a line; the rhythm's name where there are no statements. Comments stay out."""
    for codes in (_STATEMENTS, _RHYTHM):
        lines: list[str] = []
        for annotation in _annotations(root, series):
            if _code(annotation) in codes and (value := annotation.find("value")) is not None:
                text = (value.text or "").strip() or value.get("displayName", "")
                lines += [line for line in (" ".join(part.split()) for part in text.splitlines()) if line]
        if lines:
            return "\n".join(dict.fromkeys(lines))
    return None


def _values_by_code(annotation_set: Element) -> dict[str, list[Element]]:
    values: dict[str, list[Element]] = {}
    for annotation in _within(annotation_set):
        if (value := annotation.find("value")) is not None:
            values.setdefault(_code(annotation), []).append(value)
    return values


def _measured(name: str, value: Element) -> float | None:
    """The number, in ms where it is a time; None where its unit says that it is something else."""
    number, unit = number_in(value.get("value", "")), value.get("unit", "").strip().lower()
    if number is None or not name.endswith("_ms"):
        return number if unit != "rad" else None
    return {"": number, "ms": number, "s": number * 1e3, "us": number / 1e3}.get(unit)


def _code(annotation: Element) -> str:
    found = annotation.find("code")
    return found.get("code", "").strip().upper() if found is not None else ""


def _sets(root: Element, series: Element) -> Iterator[Element]:
    """Annotation sets: the series' own, its derived series', the file's."""
    yield from series.iterfind("subjectOf/annotationSet")
    yield from series.iterfind("derivation/derivedSeries/subjectOf/annotationSet")
    yield from root.iterfind("subjectOf/annotationSet")


def _annotations(root: Element, series: Element) -> Iterator[Element]:
    for annotation_set in _sets(root, series):
        yield from _within(annotation_set)


def _within(element: Element) -> Iterator[Element]:
    """Annotations below `element`, in order, without those that a region of interest ties to a single lead."""
    for annotation in element.iterfind("component/annotation"):
        if _of_one_lead(annotation):
            continue
        yield annotation
        yield from _within(annotation)


def _of_one_lead(annotation: Element) -> bool:
    boundaries = annotation.iterfind("support/supportingROI/component/boundary/code")
    return any(code.get("code", "").upper().startswith("MDC_ECG_LEAD") for code in boundaries)
