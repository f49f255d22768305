"""An ECG on its paper as stand-alone SVG: 25 mm/s, 10 mm/mV, three rows of four columns and a rhythm strip.

Lengths in the drawing are millimetres. Colours are CSS variables with the classic paper as default, so that a page can restyle
them for dark backgrounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

SPEED, GAIN = 25.0, 10.0  # mm a second, mm a millivolt
LONGEST = 10.0  # seconds; the rest of a longer record is not drawn
COLUMNS: tuple[tuple[str, ...], ...] = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
RHYTHM = "II"
LEFT, MARGIN = 10.0, 3.0  # mm: room for the calibration pulse, and around
#: Points drawn a second: a tenth of a millimetre of paper each. Above it, extremes of short stretches are kept.
DENSITY = 250.0

_PAPER = "fill:var(--ecg-paper,#fffafa)"
_MINOR = "fill:none;stroke:var(--ecg-minor,#f7dede);stroke-width:.1"
_MAJOR = "fill:none;stroke:var(--ecg-major,#e9b3b3);stroke-width:.2"
_TRACE = "fill:none;stroke:var(--ecg-trace,#1b2430);stroke-width:.3;stroke-linejoin:round"
_LETTERS = "fill:var(--ecg-trace,#1b2430);font:3.4px system-ui,sans-serif"


def draw_ecg(millivolts: NDArray[np.floating], rate: float, leads: Sequence[str], title: str = "ECG") -> str:
    """millivolts [leads, samples] at `rate` Hz → an SVG element with the twelve leads as 3 × 4 and lead II below.

    The four columns show consecutive quarters of the record, as machines print it; the rhythm strip shows all of it. A lead that
    is not among `leads`, or not finite, is left blank. Rows are as high as their traces need.
    """
    signal = np.asarray(millivolts, np.float64)[:, : int(LONGEST * rate)]
    seconds = signal.shape[1] / rate
    strips = _strips(signal, rate, leads)
    width = LEFT + seconds * SPEED + 2 * MARGIN
    parts: list[str] = []
    top = MARGIN
    for row in range(4):
        in_row = [strip for strip in strips if strip[0] == row]
        above, below = _extent([trace for _, _, _, trace in in_row])
        baseline = top + above
        parts.append(_calibration(MARGIN, baseline))
        for _, name, start, trace in in_row:
            parts.append(_strip(name, trace, rate, LEFT + MARGIN + start * SPEED, baseline, top + 4.0))
        top = baseline + below
    height = float(np.ceil((top + MARGIN + 4.0) / 5.0) * 5.0)
    scale = f"{SPEED:g} mm/s   {GAIN:g} mm/mV   {rate:g} Hz"
    parts.append(f'<text x="{LEFT + MARGIN:g}" y="{height - 2:g}" style="{_LETTERS}" xml:space="preserve">{scale}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" role="img" class="ecg">'
        f"<title>{escape(title)}</title>{_grid(width, height)}{''.join(parts)}</svg>"
    )


def _strips(signal: NDArray[np.float64], rate: float, leads: Sequence[str]) -> list[tuple[int, str, float, NDArray[np.float64]]]:
    """(row, lead, start in seconds, trace) of every strip of the sheet."""
    place = {name: row for row, name in enumerate(leads)}
    quarter = signal.shape[1] // 4
    strips = []
    for column, names in enumerate(COLUMNS):
        for row, name in enumerate(names):
            if name in place:
                start = column * quarter
                stop = start + quarter if column < 3 else signal.shape[1]
                strips.append((row, name, start / rate, signal[place[name], start:stop]))
    if RHYTHM in place:
        strips.append((3, RHYTHM, 0.0, signal[place[RHYTHM]]))
    return strips


def _extent(traces: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Millimetres that a row needs above and below its baseline: at least 12 and 10, at most 45."""
    finite = np.concatenate([trace[np.isfinite(trace)] for trace in traces]) if traces else np.zeros(0)
    high, low = (float(finite.max()), float(finite.min())) if len(finite) else (0.0, 0.0)
    return min(45.0, max(12.0, high * GAIN + 5.0)), min(45.0, max(10.0, -low * GAIN + 3.0))


def _strip(name: str, trace: NDArray[np.float64], rate: float, left: float, baseline: float, label_at: float) -> str:
    """One lead's trace with its name and the short stroke that marks where it begins."""
    label = f'<text x="{left + 1:.1f}" y="{label_at:.1f}" style="{_LETTERS}">{escape(name)}</text>'
    mark = f'<path d="M{left:.2f} {baseline - 3:.2f}v6" style="{_TRACE}"/>'
    if not np.isfinite(trace).any():
        return label + mark
    at, height = _thinned(trace, rate)
    x, y = left + at * SPEED, baseline - height * GAIN
    # A gap in the measurement is a gap in the line.
    begins = np.concatenate([[True], ~np.isfinite(y[:-1])])
    points = [f"{'M' if b else 'L'}{px:.2f} {py:.2f}" for px, py, b in zip(x, y, begins, strict=True) if np.isfinite(py)]
    return f'{label}{mark}<path d="{"".join(points)}" style="{_TRACE}"/>'


def _thinned(trace: NDArray[np.float64], rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times in seconds and values; above DENSITY the lowest and highest of each stretch, so that no spike is lost."""
    stretch = int(np.ceil(2 * rate / DENSITY))
    if stretch <= 2 or not np.isfinite(trace).all():
        return np.arange(len(trace)) / rate, trace
    whole = len(trace) // stretch * stretch
    folded = trace[:whole].reshape(-1, stretch)
    inside = np.sort(np.stack([folded.argmin(axis=1), folded.argmax(axis=1)], axis=1), axis=1)
    kept = np.unique(np.concatenate([(inside + np.arange(len(folded))[:, None] * stretch).ravel(), np.arange(whole, len(trace))]))
    return kept / rate, trace[kept]


def _calibration(left: float, baseline: float) -> str:
    """One millivolt for a fifth of a second."""
    return f'<path d="M{left:.2f} {baseline:.2f}h1.5v{-GAIN:g}h5v{GAIN:g}h1.5" style="{_TRACE}"/>'


def _grid(width: float, height: float) -> str:
    """Paper with a line each millimetre and a stronger one each five."""

    def lines(step: float) -> str:
        across = "".join(f"M{x:g} 0v{height:g}" for x in np.arange(0.0, width, step))
        return across + "".join(f"M0 {y:g}h{width:g}" for y in np.arange(0.0, height + 0.01, step))

    paper = f'<rect width="{width:g}" height="{height:g}" style="{_PAPER}"/>'
    return f'{paper}<path d="{lines(1.0)}" style="{_MINOR}"/><path d="{lines(5.0)}" style="{_MAJOR}"/>'
