"""What a drawing is made of, in millimetres of paper, y downwards; `svg.py` and `printing.py` turn it into files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ink = Literal["minor", "major", "trace", "pulse", "tick", "letters", "warning", "speaks-for", "speaks-against"]
Points = NDArray[np.float64]

#: Height of letters that name leads, and of all others, mm.
LEAD_SIZE, SMALL_SIZE = 3.4, 2.8
#: Mean width of a letter over its height. Wide on purpose: fonts differ, and what is too long would leave the paper.
LETTER_WIDTH = 0.58


@dataclass(frozen=True)
class Look:
    """Colour of the classic paper, the CSS variable with which a page changes it, and how wide the pen is, mm."""

    colour: str
    variable: str
    width: float = 0.0
    opacity: float = 1.0


PAPER = Look("#fffafa", "--ecg-paper")
INKS: dict[Ink, Look] = {
    "minor": Look("#f7dede", "--ecg-minor", 0.1),
    "major": Look("#e9b3b3", "--ecg-major", 0.2),
    "trace": Look("#1b2430", "--ecg-trace", 0.3),
    "pulse": Look("#1b2430", "--ecg-trace", 0.3),
    "tick": Look("#1b2430", "--ecg-trace", 0.3),
    "letters": Look("#1b2430", "--ecg-trace"),
    "warning": Look("#9a1b00", "--ecg-warning"),
    "speaks-for": Look("#d55e00", "--ecg-for", 0.0, 0.5),
    "speaks-against": Look("#0072b2", "--ecg-against", 0.0, 0.5),
}


@dataclass(frozen=True)
class Line:
    """A line through `points` [n, 2]; a row that is not finite is a gap in it. `lead` names the lead that it is the trace of."""

    points: Points
    ink: Ink
    lead: str = ""


@dataclass(frozen=True)
class Area:
    """A filled outline [n, 2]."""

    outline: Points
    ink: Ink


@dataclass(frozen=True)
class Words:
    """A text whose baseline begins at (x, y), its letters `size` high."""

    x: float
    y: float
    text: str
    ink: Ink = "letters"
    size: float = SMALL_SIZE


Mark = Line | Area | Words


@dataclass(frozen=True)
class Sheet:
    """A piece of paper, `width` × `height` mm. What stands first lies lowest."""

    width: float
    height: float
    title: str
    description: str
    marks: tuple[Mark, ...]


def polyline(*points: tuple[float, float]) -> Points:
    """Points given one by one."""
    return np.array(points, np.float64)


def width_of(text: str, size: float = SMALL_SIZE) -> float:
    """About how wide a text is, mm."""
    return len(text) * size * LETTER_WIDTH
