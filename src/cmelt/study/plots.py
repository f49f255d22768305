"""The study's drawings as inline SVG: dots with intervals, a table of shades, a learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from cmelt.evaluation.metrics import Figure
from cmelt.pages import html_table


@dataclass(frozen=True)
class Dot:
    """One line of a forest plot."""

    name: str
    figure: Figure
    kind: str = "model"
    note: str = ""


def forest(dots: Sequence[Dot], title: str, zero: float | None = None) -> str:
    """One dot with its interval a line, on one scale; `zero` is marked (chance, or no difference)."""
    step, left, right, top = 22.0, 190.0, 520.0, 20.0
    low, high = _span(dots, zero)
    height = top + step * len(dots) + 4

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    parts = []
    for tick in _ticks(low, high):
        parts.append(f'<line class="frame" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 5:g}" y2="{height:g}"/>')
        parts.append(f'<text class="axis" x="{x(tick):.1f}" y="11" text-anchor="middle">{tick:g}</text>')
    if zero is not None and low <= zero <= high:
        parts.append(f'<line class="chance" x1="{x(zero):.1f}" x2="{x(zero):.1f}" y1="{top - 5:g}" y2="{height:g}"/>')
    for place, dot in enumerate(dots):
        y, f = top + step * (place + 0.5), dot.figure
        name = dot.name if len(dot.name) <= 30 else dot.name[:29] + "…"
        parts.append(f'<text class="name" x="0" y="{y + 4:.1f}">{escape(name)}</text>')
        if np.isfinite(f.low):
            parts.append(f'<line class="{dot.kind}" x1="{x(f.low):.1f}" x2="{x(f.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        said = f"{dot.name}: {f.text()}"
        parts.append(
            f'<circle class="{dot.kind}" cx="{x(f.value):.1f}" cy="{y:.1f}" r="4"><title>{escape(said)}</title></circle>'
        )
        parts.append(f'<text class="axis" x="{right + 8:g}" y="{y + 4:.1f}">{f.value:.3f}{escape(dot.note)}</text>')
    return _svg("chart forest", right + 66, height, title, parts)


def curve(lines: Sequence[tuple[str, Sequence[tuple[int, Figure]]]], title: str) -> str:
    """Figures with their intervals over the number of pairs, on a logarithmic scale; one line a model."""
    width, height, left, top = 470.0, 210.0, 44.0, 10.0
    points = [(pairs, figure) for _, line in lines for pairs, figure in line]
    low, high = _span([Dot("", figure) for _, figure in points], None)
    first, last = (np.log(float(f([pairs for pairs, _ in points]))) for f in (min, max))

    def place(pairs: int, value: float) -> tuple[float, float]:
        across = (np.log(pairs) - first) / ((last - first) or 1.0)
        return left + 12 + across * (width - 24), top + (1 - (value - low) / (high - low)) * height

    parts = [f'<rect class="frame" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/>']
    for tick in _ticks(low, high):
        y = place(points[0][0], tick)[1]
        parts.append(f'<text class="axis" x="{left - 5:g}" y="{y + 3:.1f}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<line class="frame" x1="{left:g}" x2="{left + width:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for pairs in sorted({pairs for pairs, _ in points}):
        at = place(pairs, low)[0]
        parts.append(f'<text class="axis" x="{at:.1f}" y="{top + height + 13:g}" text-anchor="middle">{pairs:,}</text>')
    for number, (name, line) in enumerate(lines):
        dash = "" if number == 0 else f' stroke-dasharray="{2 + 3 * number} 3"'
        ordered = sorted(line, key=lambda point: point[0])
        places = [place(pairs, figure.value) for pairs, figure in ordered]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="model" d="{path}"{dash}/>')
        for (pairs, figure), (x, y) in zip(ordered, places, strict=True):
            if np.isfinite(figure.low):
                ends = place(pairs, figure.low)[1], place(pairs, figure.high)[1]
                parts.append(f'<line class="model" x1="{x:.1f}" x2="{x:.1f}" y1="{ends[0]:.1f}" y2="{ends[1]:.1f}"/>')
            said = f"{name}, {pairs:,} pairs: {figure.text()}"
            parts.append(f'<circle class="model" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(said)}</title></circle>')
        parts.append(
            f'<text class="name" x="{places[-1][0] - 4:.1f}" y="{places[-1][1] - 8:.1f}" text-anchor="end">{escape(name)}</text>'
        )
    return _svg("chart", left + width + 8, top + height + 18, title, parts)


def shades(names: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], notes: Sequence[str]) -> str:
    """A table of figures in which the cell's shade is the figure: 0.5 is the page's own, 1 the full colour.

    values [rows][columns]; notes [columns] stand below the column's name.
    """
    head = ["", *(f"{escape(name)}<br><small>{escape(note)}</small>" for name, note in zip(columns, notes, strict=True))]
    rows = []
    for name, line in zip(names, values, strict=True):
        rows.append(f"<tr><td>{escape(name)}</td>{''.join(map(_shade, line))}</tr>")
    return html_table(head, rows)


def _shade(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "<td>–</td>"
    share = round(100 * min(1.0, max(0.0, (value - 0.5) / 0.5)) * 0.55)
    return f'<td style="background:color-mix(in srgb, var(--model) {share}%, transparent)">{value:.2f}</td>'


def _span(dots: Sequence[Dot], zero: float | None) -> tuple[float, float]:
    """From the lowest to the highest end of the intervals, rounded outwards; `zero` within."""
    ends = [v for dot in dots for v in (dot.figure.low, dot.figure.value, dot.figure.high) if np.isfinite(v)]
    ends += [] if zero is None else [zero]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    unit = 0.05 if high - low > 0.15 else 0.01
    return float(np.floor(low / unit) * unit), float(np.ceil(high / unit + 1e-9) * unit) if high > low else low + unit


def _ticks(low: float, high: float) -> list[float]:
    """At most seven round values between the two."""
    for unit in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        if (high - low) / unit <= 6:
            break
    first = int(np.ceil(low / unit - 1e-9))
    return [round(n * unit, 4) for n in range(first, int(np.floor(high / unit + 1e-9)) + 1)]


def _svg(kind: str, width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" role="img"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
