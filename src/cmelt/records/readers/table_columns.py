"""What the columns of a table are: leads, the time, or neither; and the rate that a column of times implies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import lead_name
from cmelt.records.readers.stated import SIGNAL_NAMES, plain, unit_name
from cmelt.records.record import LEADS

_BRACKETED = re.compile(r"(.*?)\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]")
_SUFFIXED = re.compile(r"(.+?)[_ /](mv|uv|µv|μv|nv|ms|us|µs|s|sec|seconds)", re.IGNORECASE)
#: Leads beyond the twelve: posterior, right-sided, and those of monitors.
_FURTHER_LEADS = re.compile(r"V[7-9]|V[1-9]R|ML(?:I{1,3})|MV[1-6]|MCL[1-6]", re.IGNORECASE)

_TIME_NAMES = frozenset({"time", "times", "t", "timestamp", "elapsed", "elapsedtime"})
_SECONDS: Mapping[str, float] = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3,
    "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "microsecond": 1e-6, "microseconds": 1e-6,
}  # fmt: skip
#: Units that, as a heading of their own, mean a column of times.
_TIME_HEADINGS = frozenset(_SECONDS) - {"s", "us", "µs", "μs"}


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are used.

    Attributes:
        leads: their places.
        names: of the leads; None where the headings do not say.
        unit: of the leads; None likewise.
        time: place of the times, or None.
        seconds: what one of them is in seconds; None where the heading does not say.
    """

    leads: tuple[int, ...]
    names: tuple[str, ...] | None
    unit: str | None
    time: int | None = None
    seconds: float | None = None
    places: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", self.leads if self.time is None else (self.time, *self.leads))


def kind_of(heading: str) -> str | None:
    """ "lead", "time", "signal" (a lead that is not named), or None for a column that is neither."""
    name, _ = _split_unit(heading)
    if not any(letter.isalpha() for letter in name):  # "1" is a number here, though it may name lead I
        return None
    if lead_name(name) in LEADS or _FURTHER_LEADS.fullmatch(lead_name(name)):
        return "lead"
    if plain(name) in _TIME_NAMES or name.strip().lower() in _TIME_HEADINGS:
        return "time"
    return "signal" if plain(name) in SIGNAL_NAMES else None


def choose_columns(headings: Sequence[str] | None, count: int, said: Sequence[str] | None, where: str) -> Columns:
    """Which of `count` columns are leads and which is the time; `said` are the leads that were named otherwise.

    Raises:
        RecordError: no lead, two columns of times, or leads in different units.
    """
    if headings is None:
        # Without headings the columns are all leads, or a first one of times and as many leads as were named.
        timed = count > 1 and len(said or ()) == count - 1
        return Columns(tuple(range(int(timed), count)), None, None, 0 if timed else None)
    kinds = [kind_of(heading) for heading in headings]
    times = [place for place, kind in enumerate(kinds) if kind == "time"]
    leads = [place for place, kind in enumerate(kinds) if kind == "lead"]
    names = tuple(_split_unit(headings[place])[0] for place in leads) or None
    leads = leads or [place for place, kind in enumerate(kinds) if kind == "signal"]
    if not leads or len(times) > 1:
        fault = "has no columns of leads" if not leads else "has two columns of times"
        raise RecordError(where, fault, "name the columns I, II, …, V6 and time (s)")
    units = {unit_name(unit) if unit else None for unit in (_split_unit(headings[place])[1] for place in leads)}
    if len(units) > 1:
        raise RecordError(where, "has leads in different units", "write all of them in mV")
    seconds = None
    if times:
        name, unit = _split_unit(headings[times[0]])
        seconds = _SECONDS.get((unit or name).strip().lower())
        if unit and seconds is None:
            raise RecordError(where, "has times in a unit that is not known", "write them in s, ms or us")
    return Columns(tuple(leads), names, next(iter(units)), times[0] if times else None, seconds)


def rate_of_times(times: NDArray[np.float64], seconds: float | None, told: float | None, where: str) -> float:
    """The sampling rate that `times` imply; `seconds` is what one is in seconds, `told` the rate that was said otherwise.

    Times are printed with few digits, so steps may differ by what rounding makes; a gap or a repeated row may not.

    Raises:
        RecordError: not equidistant, without a unit, or another rate than was told.
    """
    if times.size < 2 or not np.isfinite(times).all():
        raise RecordError(where, "has times that are missing", "write a time in every row, or none and the rate")
    steps = np.diff(times)
    step = float(times[-1] - times[0]) / steps.size
    usual = float(np.median(steps))
    if not steps.min() > 0 or steps.max() > 1.6 * usual or steps.min() < usual / 2.5:
        raise RecordError(where, "has times that are not equidistant", "resample it, or write a row for every sample")
    rounding = float(np.abs(times - times[0] - step * np.arange(times.size)).max())
    tolerance = 2 * rounding / float(times[-1] - times[0]) + 1e-6
    if seconds is None:
        fitting = [scale for scale in (1.0, 1e-3, 1e-6) if told and abs(told * step * scale - 1) <= tolerance]
        if not fitting or told is None:
            raise RecordError(where, "does not say in which unit its times are", 'name their column "time (s)" or "time (ms)"')
        return told
    rate = 1 / (step * seconds)
    if told is not None and abs(told - rate) <= tolerance * rate:
        return told
    whole = round(rate)
    return float(whole) if whole and abs(whole - rate) <= tolerance * rate else rate


def _split_unit(heading: str) -> tuple[str, str | None]:
    """A heading's name and the unit behind it: "I (mV)", "II [uV]", "V1_mV", "time_ms"."""
    text = heading.strip().strip("\"'").strip()
    for pattern in (_BRACKETED, _SUFFIXED):
        if matched := pattern.fullmatch(text):
            return matched[1].strip(), matched[2] or None
    return text, None
