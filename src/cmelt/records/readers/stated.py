"""What an array file states beside its numbers: rate, unit and leads, under the many names that writers give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.leads import lead_name
from cmelt.records.record import LEADS

#: What files call things; compared as `plain` has them.
SIGNAL_NAMES = frozenset({"signal", "signals", "ecg", "data", "val", "tracing", "tracings"})
RATE_NAMES = frozenset(
    {"rate", "ratehz", "fs", "fshz", "sfreq", "samplingrate", "samplingratehz", "samplerate", "sampleratehz"}
    | {"samplingfrequency", "samplingfrequencyhz", "samplefrequency", "samplefreq", "samplingfreq", "frequency"}
)
UNIT_NAMES = frozenset({"unit", "units"})
LEADS_NAMES = frozenset({"lead", "leads", "leadname", "leadnames", "channel", "channels", "channelnames", "signame", "signames"})
#: Scalings that some multiply with and others divide by: not to be overlooked, and not to be guessed.
GAIN_NAMES = frozenset({"gain", "gains", "adcgain", "scale", "scaling", "scalefactor", "resolution", "baseline", "offset"})
_SEX_NAMES = frozenset({"sex", "gender"})
_PATIENT_NAMES = frozenset({"patient", "patientid"})
KNOWN_NAMES = SIGNAL_NAMES | RATE_NAMES | UNIT_NAMES | LEADS_NAMES | GAIN_NAMES | _SEX_NAMES | _PATIENT_NAMES | {"report", "age"}

_UNITS: Mapping[str, str] = {
    "µv": "uV", "μv": "uV", "uv": "uV", "microvolt": "uV", "microvolts": "uV",
    "mv": "mV", "millivolt": "mV", "millivolts": "mV", "v": "V", "volt": "V", "volts": "V", "nv": "nV",
}  # fmt: skip
_SEXES: Mapping[str, str] = {"m": "male", "male": "male", "f": "female", "female": "female"}
_HERTZ = re.compile(r"([0-9]+(?:[.,][0-9]+)?(?:e[0-9]+)?)\s*(?:hz|hertz|samples/s|sps)?", re.IGNORECASE)

_Fact = TypeVar("_Fact")


@dataclass(frozen=True)
class Stated:
    """What a file says of its numbers; None where it says nothing.

    Attributes:
        rate: Hz.
        unit: of every lead.
        leads: their names, as spelled.
        report, age, sex, patient: as in `Record`.
    """

    rate: float | None = None
    unit: str | None = None
    leads: tuple[str, ...] | None = None
    report: str | None = None
    age: float | None = None
    sex: str | None = None
    patient: str | None = None


def plain(name: str) -> str:
    """A name without case, spaces and punctuation: "Sampling_Rate" is "samplingrate"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def unit_name(spelling: str) -> str:
    """The usual spelling of a unit of voltage; others come back stripped, to be refused where they are used."""
    return _UNITS.get(spelling.strip().lower(), spelling.strip())


def facts_of(named: Mapping[str, object], where: str) -> Stated:
    """What the entries of `named` say, each under any of the names known here.

    Raises:
        RecordError: two entries contradict each other, one cannot be read, or a gain is stated.
    """
    for name, value in named.items():
        if plain(name) in GAIN_NAMES and not _changes_nothing(plain(name), value):
            fault = "states a gain or an offset, which some multiply with and others divide by"
            raise RecordError(where, fault, "write the numbers in mV, without it")
    return Stated(
        rate=_one(named, RATE_NAMES, lambda value: as_rate(value, where), where),
        unit=_one(named, UNIT_NAMES, lambda value: _as_unit(value, where), where),
        leads=_one(named, LEADS_NAMES, lambda value: as_names(value, where), where),
        report=_one(named, {"report"}, as_text, where),
        age=_one(named, {"age"}, _as_age, where),
        sex=_one(named, _SEX_NAMES, lambda value: _SEXES.get((as_text(value) or "").lower()), where),
        patient=_one(named, _PATIENT_NAMES, as_text, where),
    )


def as_rate(value: object, where: str) -> float:
    """A sampling rate as number, one-element array or text ("500", "512 hertz").

    Raises:
        RecordError: it is none.
    """
    single = _single(value)
    if isinstance(single, str):
        matched = _HERTZ.fullmatch(single.strip())
        single = float(matched[1].replace(",", ".")) if matched else None
    if isinstance(single, bool) or not isinstance(single, int | float) or not 0 < single < float("inf"):
        raise RecordError(where, "states a sampling rate that is no positive number", "write it in Hz")
    return float(single)


def as_text(value: object) -> str | None:
    """A text as string, bytes, number or one-element array of these; None where there is none."""
    single = _single(value)
    return None if single is None else str(single).strip() or None


def as_names(value: object, where: str) -> tuple[str, ...]:
    """Names as a sequence of texts, or as one text with commas, semicolons or spaces between.

    Raises:
        RecordError: they are none.
    """
    parts: list[str]
    text = as_text(value)
    if text is not None and re.search(r"[,;|]", text):
        parts = re.split(r"[,;|]", text)
    elif text is not None:
        parts = [text] if lead_name(text) in LEADS else text.split()
    else:
        items = value.ravel().tolist() if isinstance(value, np.ndarray) else value
        parts = [as_text(part) or "" for part in items] if isinstance(items, Sequence) else []
    names = tuple(part.strip(" '\"[]()") for part in parts)
    # Bare numbers are counts or indices of leads, not their names.
    if not names or any(not re.search(r"[A-Za-z]", name) for name in names):
        raise RecordError(where, "states names of leads that cannot be read", "write one name a lead")
    return names


def _single(value: object) -> str | int | float | None:
    """The one text or number in `value`; None where it holds none or several."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0].item() if value.size == 1 else None
    elif isinstance(value, list | tuple):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float) else None


def _one(
    named: Mapping[str, object], names: frozenset[str] | set[str], read: Callable[[object], _Fact | None], where: str
) -> _Fact | None:
    facts = [read(value) for name, value in named.items() if plain(name) in names]
    found = [fact for fact in facts if fact is not None]
    if any(fact != found[0] for fact in found[1:]):
        raise RecordError(where, f"states two values for its {min(names, key=len)}", "keep the right one")
    return found[0] if found else None


def _as_unit(value: object, where: str) -> str | None:
    """One unit, or one a lead where all are the same."""
    texts: object = value.ravel().tolist() if isinstance(value, np.ndarray) else value
    several = texts if isinstance(texts, list | tuple) else [texts]
    units = {unit_name(as_text(text) or "") for text in several}
    if len(units) > 1:
        raise RecordError(where, "has leads in different units", "write all of them in mV")
    return next(iter(units), None) or None


def _as_age(value: object) -> float | None:
    """Years; None where it is no plausible age (NaN in some archives)."""
    try:
        age = float(_single(value) or "nan")
    except ValueError:
        return None
    return age if 0 < age <= 130 else None


def _changes_nothing(name: str, value: object) -> bool:
    neutral = 0.0 if name in ("baseline", "offset") else 1.0
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iuf" and bool((value == neutral).all())
    return value == neutral
