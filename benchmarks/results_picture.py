"""The picture of all targets, `RESULTS.svg`: how many times better than asked each figure is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import Figure, bound_of
from results_page import Kept, number

#: Of middling lightness: they are read on white and on black alike.
_INK, _REACHED, _MISSED = "#808890", "#1f9e89", "#e0533d"
_ROW, _TOP = 0.27, 1.1
#: Margins beyond these are drawn at the edge: a figure 1,000 times better than asked would press the others together.
_MOST = 100.0


@dataclass(frozen=True)
class Mark:
    """One line of the picture: the figure's margin, its lowest and highest round's, and what is written beside it."""

    label: str
    margin: float
    low: float
    high: float
    reached: bool
    heading: str


def marks_of(kept: Sequence[Kept]) -> list[Mark]:
    """A mark for each figure whose target names a number."""
    found = []
    for one in kept:
        for figure in one.figures:
            mark = _mark(figure, one.heading)
            found += [mark] if mark else []
    return found


def _mark(figure: Figure, heading: str) -> Mark | None:
    bound = bound_of(figure.target)
    if bound is None or figure.met is None:
        return None
    middle = bound.margin(figure.value)
    low, high = sorted(bound.margin(figure.value if end is None else end) for end in (figure.low, figure.high))
    told = f"{figure.what}: {number(figure.value)} {figure.unit}".strip() + f" ({figure.target})"
    return Mark(told, middle, min(low, middle), max(high, middle), figure.met, heading)


def write_picture(where: Path, kept: Sequence[Kept]) -> None:
    """Draw the marks as an SVG whose text is text, the same bytes for the same figures."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    marks = marks_of(kept)
    style = {"svg.fonttype": "none", "svg.hashsalt": "cmelt", "font.family": "sans-serif", "font.size": 9,
             "text.color": _INK, "axes.edgecolor": _INK, "xtick.color": _INK, "axes.labelcolor": _INK}  # fmt: skip
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(11, _TOP + _ROW * max(1, len(marks))))
        _draw(axes, marks)
        figure.tight_layout()
        figure.savefig(where, transparent=True, metadata={"Date": None, "Title": "Each figure against its target"})
        plt.close(figure)


def _draw(axes: Any, marks: Sequence[Mark]) -> None:
    for row, mark in enumerate(marks):
        colour = _REACHED if mark.reached else _MISSED
        low, middle, high = (_within(value) for value in (mark.low, mark.margin, mark.high))
        axes.plot([low, high], [row, row], color=colour, linewidth=2, alpha=0.6, solid_capstyle="round")
        axes.plot([middle], [row], "o" if mark.reached else "X", color=colour, markersize=6)
        axes.plot([1, middle], [row, row], color=colour, linewidth=0.6, alpha=0.6)
    axes.axvline(1, color=_INK, linewidth=1)
    axes.set_xscale("log")
    ends = [_within(value) for mark in marks for value in (mark.low, mark.high)] + [1.0]
    axes.set_xlim(min(0.5, min(ends) / 1.3), max(2.0, max(ends) * 1.3))
    axes.set_ylim(max(1, len(marks)) - 0.4, -0.6)
    axes.set_yticks(range(len(marks)), [mark.label for mark in marks])
    axes.tick_params(axis="y", length=0, labelcolor=_INK)
    ticks = [
        tick
        for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
        if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]
    ]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("times better than the target; ✕ missed; bars: all rounds")
    axes.grid(axis="x", color=_INK, linewidth=0.4, alpha=0.35)
    axes.spines[["top", "left", "right"]].set_visible(False)


def _within(margin: float) -> float:
    return min(max(margin, 1 / _MOST), _MOST) if math.isfinite(margin) else _MOST
