"""How an ECG is put on paper: the arrangement of leads, speed, gain, which stretch, and whether it is filtered first."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

from cmelt.errors import ConfigError
from cmelt.records.record import LEADS

LayoutName = Literal["3x4+1", "6x2", "12x1"]
#: mm a second, mm a millivolt: what paper ECGs are printed with.
SPEEDS, GAINS = (12.5, 25.0, 50.0), (5.0, 10.0, 20.0)
#: What is drawn of a record, s; a machine prints as much on one page.
LONGEST = 10.0


@dataclass(frozen=True)
class Layout:
    """Columns of leads, top to bottom, that follow one another in time; and whether one lead is drawn below over all of it."""

    columns: tuple[tuple[str, ...], ...]
    rhythm: bool = False


LAYOUTS: dict[LayoutName, Layout] = {
    "3x4+1": Layout((LEADS[:3], LEADS[3:6], LEADS[6:9], LEADS[9:]), rhythm=True),
    "6x2": Layout((LEADS[:6], LEADS[6:])),
    "12x1": Layout((LEADS,)),
}
#: The lead drawn over the whole length; the next one where it is not recorded, or flat.
RHYTHM_LEADS = ("II", "V1", "I", *LEADS)


@dataclass(frozen=True)
class Paper:
    """Choices of the reader.

    Attributes:
        speed: mm a second.
        gain: mm a millivolt.
        start: where in the record the page begins, s.
        filtered: whether 0.5 to 40 Hz are drawn instead of everything; the page says which.
    """

    layout: LayoutName = "3x4+1"
    speed: float = 25.0
    gain: float = 10.0
    start: float = 0.0
    filtered: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("layout", self.layout, get_args(LayoutName)),
            ("speed", self.speed, SPEEDS),
            ("gain", self.gain, GAINS),
        ):
            if value not in known:
                shown = ", ".join(str(one) if isinstance(one, str) else f"{one:g}" for one in known)
                raise ConfigError(name, f"{value!r} is none that paper ECGs have", f"one of {shown}")
        if not (isfinite(self.start) and self.start >= 0):
            raise ConfigError("start", f"{self.start} is no place in a record", "seconds from its beginning, 0 or more")

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The leads of each column."""
        return LAYOUTS[self.layout].columns
