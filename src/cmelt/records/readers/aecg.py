"""HL7 annotated ECG (`AnnotatedECG`): rhythm series, as the FDA takes them and many devices export.

A sequence set has one sequence of times (head and increment) and one of samples a lead (origin, scale, digits). Sets that
follow one another without a gap are joined, leads recorded together in different sets are put together, leads recorded in
turns stand at their time with NaN around them. Representative beats (derived series) are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import lead_name
from cmelt.records.readers.aecg_annotations import measurements_of, report_of
from cmelt.records.readers.aecg_time import PER_SECOND, seconds_of
from cmelt.records.readers.demographics import age_at, sex_named
from cmelt.records.readers.limits import refuse_size
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions, settle_rate, settle_unit
from cmelt.records.readers.xml_document import identifier_of, number_in, parse_document, root_name, text_at
from cmelt.records.record import Record, Signal, lead_told
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt

NAME = "HL7 aECG"

#: Numbers in text take a second to read for every ten million.
MOST_DIGITS = 1 << 23
_CHUNK = 1 << 20
_LEAD_PREFIX = "MDC_ECG_LEAD_"


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (by content alone)
    """By the root element."""
    return root_name(head) == "AnnotatedECG"


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the file at `path`: of several ECGs the one that holds most, the first of equals; leads in its order.

    Raises:
        RecordError: not well-formed, no rhythm series, no increment, scale or unit, or numbers that are none.
    """
    where = str(path)
    root = parse_document(path)
    if root.tag != "AnnotatedECG":
        raise RecordError(where, "is not an aECG file", "its root element is not AnnotatedECG")
    series, stretch = _fullest(_rhythm_series(root, where), options, where)
    refuse_impossible_amplitude(stretch.signal, where)
    patient = _patient(root)
    return Record(
        signal=stretch.signal,
        rate=stretch.rate,
        leads=stretch.leads,
        identifier=identifier_of(path, patient),
        report=report_of(root, series),
        patient=(patient or None) if options.identity else None,
        age=_age(root, series),
        sex=sex_named(_of_subject(root, "subjectDemographicPerson/administrativeGenderCode", "code")),
        origin=where,
        measurements=measurements_of(root, series),
    )


@dataclass(frozen=True)
class _Set:
    """One sequence set: `samples` [samples] mV by lead, from `start` (seconds, or None) on."""

    samples: Mapping[str, NDArray[np.float32]]
    rate: float
    start: float | None

    @property
    def length(self) -> int:
        return max(lead.size for lead in self.samples.values())


@dataclass(frozen=True)
class _Stretch:
    """Sets joined: `signal` [leads, samples] mV."""

    signal: Signal
    leads: tuple[str, ...]
    rate: float


def _rhythm_series(root: Element, where: str) -> list[Element]:
    held = [series for series in root.iterfind("component/series") if series.find("component/sequenceSet") is not None]
    codes = [_attribute(series, "code", "code").upper() for series in held]
    rhythms = [series for series, code in zip(held, codes, strict=True) if code == "RHYTHM"]
    others = [series for series, code in zip(held, codes, strict=True) if "BEAT" not in code]
    if not rhythms and not others:
        raise RecordError(where, "holds no rhythm series", "representative beats alone are no ECG: export the rhythm")
    return rhythms or others


def _fullest(held: Sequence[Element], options: ReadOptions, where: str) -> tuple[Element, _Stretch]:
    """The series and its stretch of sets that hold most samples."""
    best: tuple[int, Element, list[_Set]] | None = None
    budget = MOST_DIGITS
    for series in held:
        sets = []
        for element in series.iterfind("component/sequenceSet"):
            budget -= sum(len(digits.text or "") for digits in element.iter("digits")) // 2
            if budget < 0:
                raise RecordError(where, "holds more samples than an ECG has", "cut the record")
            if (one := _sequence_set(element, options, where)) is not None:
                sets.append(one)
        for run in _runs(sets):
            held_here = sum(lead.size for one in run for lead in one.samples.values())
            if best is None or held_here > best[0]:
                best = (held_here, series, run)
    if best is None:
        raise RecordError(where, "the record has no samples", "leave it out")
    return best[1], _joined(best[2], where)


def _runs(sets: Sequence[_Set]) -> list[list[_Set]]:
    """Sets in groups that have one time base without gaps; what repeats a lead at one time begins a new group."""
    runs: list[list[_Set]] = []
    for one in sets:
        if runs and _continues(runs[-1], one):
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _continues(run: Sequence[_Set], one: _Set) -> bool:
    first = run[0]
    if one.rate != first.rate:
        return False
    if one.start is None or first.start is None:  # without times, only leads that are new can belong together
        same_length = one.length == first.length
        return same_length and not any(set(one.samples) & set(other.samples) for other in run)
    slack = 0.5 / one.rate
    end = max((other.start or 0.0) + other.length / other.rate for other in run)
    if not first.start - slack <= one.start <= end + slack:
        return False
    ended = (
        (other.start or 0.0) + other.samples[lead].size / other.rate
        for other in run
        for lead in one.samples
        if lead in other.samples
    )
    return all(until <= one.start + slack for until in ended)


def _joined(run: Sequence[_Set], where: str) -> _Stretch:
    rate, begin = run[0].rate, run[0].start or 0.0
    offsets = [round(((one.start or 0.0) - begin) * rate) for one in run]
    leads = tuple(dict.fromkeys(lead for one in run for lead in one.samples))
    length = max(offset + one.length for offset, one in zip(offsets, run, strict=True))
    refuse_size(len(leads), length, where)
    signal = np.full((len(leads), length), np.nan, dtype=np.float32)
    for offset, one in zip(offsets, run, strict=True):
        for lead, samples in one.samples.items():
            signal[leads.index(lead), offset : offset + samples.size] = samples
    return _Stretch(signal, leads, rate)


def _sequence_set(element: Element, options: ReadOptions, where: str) -> _Set | None:
    """One set read, or None where its leads are empty."""
    increment: float | None = None
    start: float | None = None
    samples: dict[str, NDArray[np.float32]] = {}
    for sequence in element.iterfind("component/sequence"):
        code, value = _attribute(sequence, "code", "code").strip(), sequence.find("value")
        if value is None:
            continue
        if code.upper().startswith("TIME"):
            increment = _increment(value, where)
            start = seconds_of(_attribute(value, "head", "value"), _attribute(value, "head", "unit"), code.upper())
        elif value.find("digits") is not None:
            name = _lead(code, where)
            if name in samples:
                raise RecordError(where, f"lead {lead_told(name)} occurs twice in a sequence set", "rename or drop one of them")
            if (read_ := _millivolts(value, options, where)).size:
                samples[name] = read_
    if not samples:
        return None
    if len({lead.size for lead in samples.values()}) > 1:
        raise RecordError(where, "leads of different lengths in a sequence set", "the file is altered: fetch it again")
    return _Set(samples, settle_rate(increment, options, where), start)


def _increment(value: Element, where: str) -> float | None:
    """Samples a second from the time between two; None where none is stated."""
    stated = value.find("increment")
    if stated is None:
        return None
    number, unit = number_in(stated.get("value", "")), PER_SECOND.get(stated.get("unit", "").strip())
    if number is None or not number > 0 or unit is None:
        raise RecordError(
            where, "an increment of time that is no number of s, ms, us or ns", "the file is altered: fetch it again"
        )
    return unit / number


def _lead(code: str, where: str) -> str:
    name = lead_name(code)
    if name.upper().startswith(_LEAD_PREFIX):
        name = name[len(_LEAD_PREFIX) :]
    if not name:
        raise RecordError(where, "a sequence without the code of its lead", "it must be stated")
    return name


def _millivolts(value: Element, options: ReadOptions, where: str) -> NDArray[np.float32]:
    """origin + scale × digits, in mV."""
    text = text_at(value, "digits")
    if not text:
        return np.empty(0, dtype=np.float32)
    scale, origin = _voltage(value, "scale", options, where), _voltage(value, "origin", options, where)
    if not scale:
        raise RecordError(where, "a lead without a scale: its amplitude is unknown", "state it")
    parts = []
    for piece in _pieces(text):
        try:
            digits = np.array(piece.split(), dtype=np.float64)
        except ValueError:
            raise RecordError(where, "digits that are not numbers", "the file is altered: fetch it again") from None
        if np.isinf(digits).any():
            raise RecordError(where, "digits that are not numbers", "the file is altered: fetch it again")
        parts.append(((origin or 0.0) + scale * digits).astype(np.float32))
    return np.concatenate(parts)


def _pieces(text: str) -> Iterator[str]:
    """`text` in parts that end between two numbers, so that no list of a whole file's numbers is made."""
    start = 0
    while start < len(text):
        end = start + _CHUNK
        while end < len(text) and not text[end].isspace():
            end += 1
        yield text[start:end]
        start = end


def _voltage(value: Element, name: str, options: ReadOptions, where: str) -> float | None:
    """`origin` or `scale` in mV; None where it is not stated."""
    found = value.find(name)
    if found is None or not found.get("value", "").strip():
        return None
    number = number_in(found.get("value", ""))
    if number is None:
        raise RecordError(where, f"a lead whose {name} is not a number", "the file is altered: fetch it again")
    if number == 0:
        return 0.0
    return number / units_per_millivolt(settle_unit(found.get("unit") or None, options, where), where)


def _attribute(element: Element | None, path: str, name: str) -> str:
    found = element.find(path) if element is not None else None
    return found.get(name, "") if found is not None else ""


def _of_subject(root: Element, path: str, name: str) -> str:
    """An attribute of the trial's subject, which some devices describe in two elements."""
    found = (element.get(name, "").strip() for element in root.iterfind(f".//subject/trialSubject/{path}"))
    return next((text for text in found if text), "")


def _patient(root: Element) -> str:
    """The subject's number: as trials number them, as devices add it, or the identifier's root."""
    added = next((text_at(person, "PatientID") for person in root.iterfind(".//trialSubject/subjectDemographicPerson")), "")
    return _of_subject(root, "id", "extension") or added or _of_subject(root, "id", "root")


def _age(root: Element, series: Element) -> float | None:
    birth = _of_subject(root, "subjectDemographicPerson/birthTime", "value")
    for element in (series, root):
        for end in ("low", "center", "high"):
            if recorded := _attribute(element, f"effectiveTime/{end}", "value"):
                return age_at(birth, recorded)
    return None
