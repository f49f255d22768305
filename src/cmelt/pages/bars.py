"""Counts as inline SVG: bars with their names, and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

_NAMES, _WIDTH, _STEP = 190.0, 300.0, 19.0


@dataclass(frozen=True)
class Bar:
    """One bar: its name, how long it is, and what is written behind it."""

    name: str
    value: float
    note: str = ""


def bar_chart(bars: Sequence[Bar], title: str) -> str:
    """Horizontal bars, one below the other, on one scale from zero."""
    most = max((bar.value for bar in bars), default=0.0) or 1.0
    parts = []
    for row, bar in enumerate(bars):
        middle = _STEP * (row + 0.5)
        length = _WIDTH * bar.value / most
        note = bar.note or f"{bar.value:,g}"
        name = bar.name if len(bar.name) <= 30 else bar.name[:29] + "…"
        parts.append(
            f'<text class="name" x="{_NAMES - 6:g}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="bar" x="{_NAMES:g}" y="{middle - 6:.1f}" width="{max(length, 0.7):.1f}" height="12" rx="1.5">'
            f"<title>{escape(bar.name)}: {bar.value:g}</title></rect>"
            f'<text class="axis" x="{_NAMES + length + 5:.1f}" y="{middle + 3.5:.1f}">{escape(note)}</text>'
        )
    return _svg("chart bars", _NAMES + _WIDTH + 90, _STEP * len(bars) + 2, title, parts)


def histogram(values: ArrayLike, edges: ArrayLike, title: str, unit: str = "") -> str:
    """How many of `values` lie between neighbouring `edges`; values outside are counted into the first and last bar."""
    limits = np.asarray(edges, np.float64)
    clipped = np.clip(np.asarray(values, np.float64), limits[0], np.nextafter(limits[-1], -np.inf))
    counts = np.histogram(clipped, limits)[0]
    left, width, height, bottom = 46.0, 500.0, 110.0, 118.0
    most = float(counts.max(initial=0)) or 1.0
    step = width / len(counts)
    parts = []
    for place, count in enumerate(counts):
        tall = height * float(count) / most
        parts.append(
            f'<rect class="bar" x="{left + place * step + 0.5:.2f}" y="{bottom - tall:.1f}" width="{max(step - 1, 0.5):.2f}" '
            f'height="{tall:.1f}"><title>{limits[place]:g} to {limits[place + 1]:g}{unit}: {count:,}</title></rect>'
        )
    parts.append(f'<line class="frame" x1="{left:g}" x2="{left + width:g}" y1="{bottom}" y2="{bottom}"/>')
    for place in (0, len(counts) // 2, len(counts)):
        at = f'x="{left + place * step:.1f}" y="{bottom + 14:g}" text-anchor="middle"'
        parts.append(f'<text class="axis" {at}>{limits[place]:g}{unit}</text>')
    parts.append(f'<text class="axis" x="{left - 5:g}" y="{bottom - height + 8:g}" text-anchor="end">{most:,.0f}</text>')
    parts.append(f'<text class="axis" x="{left - 5:g}" y="{bottom:g}" text-anchor="end">0</text>')
    return _svg("chart bars", _NAMES + _WIDTH + 90, bottom + 20, title, parts)


def _svg(kind: str, width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" role="img"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
