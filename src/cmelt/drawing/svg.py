"""A sheet as stand-alone SVG whose unit is the millimetre. Colours are CSS variables with the classic paper as default."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from cmelt.drawing.marks import INKS, PAPER, Area, Line, Look, Mark, Points, Sheet, Words


def svg_of(sheet: Sheet) -> str:
    """The SVG element. Traces are `<path class="trace" data-lead="II">`; a page restyles it through `--ecg-…` variables."""
    size = f'width="{sheet.width:g}mm" height="{sheet.height:g}mm" viewBox="0 0 {sheet.width:g} {sheet.height:g}"'
    paper = f'<rect width="{sheet.width:g}" height="{sheet.height:g}" {_paint("fill", PAPER)}/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" class="ecg"><title>{escape(sheet.title)}</title>'
        f"<desc>{escape(sheet.description)}</desc>{paper}{''.join(map(_element, sheet.marks))}</svg>"
    )


def _element(mark: Mark) -> str:
    look = INKS[mark.ink]
    if isinstance(mark, Words):
        font = f'font-family="system-ui,sans-serif" font-size="{mark.size:g}" xml:space="preserve"'
        return f'<text x="{mark.x:.2f}" y="{mark.y:.2f}" {font} {_paint("fill", look)}>{escape(mark.text)}</text>'
    if isinstance(mark, Area):
        return f'<path class="{mark.ink}" d="{_path(mark.outline)}Z" {_paint("fill", look)} fill-opacity="{look.opacity:g}"/>'
    return _line(mark, look)


def _line(line: Line, look: Look) -> str:
    lead = f" data-lead={quoteattr(line.lead)}" if line.lead else ""
    pen = f'fill="none" stroke-width="{look.width:g}" stroke-linejoin="round" {_paint("stroke", look)}'
    return f'<path class="{line.ink}"{lead} d="{_path(line.points)}" {pen}/>'


def _paint(what: str, look: Look) -> str:
    """The colour twice: programs that know no CSS variables drop the style and keep the attribute."""
    return f'{what}="{look.colour}" style="{what}:var({look.variable},{look.colour})"'


def _path(points: Points) -> str:
    """A gap in the measurement is a gap in the line."""
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    begins = finite & ~np.concatenate([[False], finite[:-1]])
    rows = zip(points.tolist(), finite.tolist(), begins.tolist(), strict=True)
    return "".join(f"{'M' if begin else 'L'}{x:.2f} {y:.2f}" for (x, y), drawn, begin in rows if drawn)
