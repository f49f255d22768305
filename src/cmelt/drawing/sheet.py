"""An ECG laid out on its paper: grid, header, rows of strips with their calibration pulse, evidence, notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cmelt.drawing.evidence import BAR as EVIDENCE_BAR
from cmelt.drawing.evidence import Evidence, Overlay, bars, overlay_of
from cmelt.drawing.filtering import monitor_filter
from cmelt.drawing.header import facts_of, faults_of, in_lines, printable, scale_of
from cmelt.drawing.marks import LEAD_SIZE, SMALL_SIZE, Ink, Line, Mark, Points, Sheet, Words, polyline, width_of
from cmelt.drawing.paper import LONGEST, Paper
from cmelt.drawing.strips import FLAT, Strip, strips_of, thinned
from cmelt.errors import RecordError
from cmelt.pages.notice import NOTICE
from cmelt.records.record import Record, without_calibration
from cmelt.records.units import refuse_impossible_amplitude

#: Distance of the heavy lines, and the empty border, mm. What begins or lies on a heavy line is read off at a glance.
HEAVY = 5.0
MARGIN = 5.0
#: Room of a header on the narrowest paper, mm.
NARROWEST = 120.0
#: A row's room above and below its zero line at 10 mm/mV: at least, and at most; what is larger runs into the next row.
LEAST_ABOVE, LEAST_BELOW, MOST = 12.0, 10.0, 45.0
LINE_HEIGHT = 4.0
#: What is farther from its zero line has left the paper; renderers need not follow it, mm.
FARTHEST = 1000.0
#: The pulse: 1 mV for a fifth of a second.
PULSE_SECONDS, PULSE_EDGE = 0.2, 1.5


def sheet_of(record: Record, paper: Paper, evidence: Evidence | None = None, title: str = "", framed: bool = True) -> Sheet:
    """`record` on paper.

    Args:
        title: first line of the header, and the drawing's name; nothing of a patient.
        framed: with header and notice; without, for a page that has its own, the scale alone stands below.
    Raises:
        RecordError: the page would begin after the record's end, or microvolts that are called millivolts.
        ConfigError: evidence that does not fit the record.
    """
    heart = without_calibration(record)
    where = record.origin or record.identifier or "record"
    refuse_impossible_amplitude(heart.signal, where)
    if paper.start >= heart.seconds:
        raise RecordError(where, f"has {heart.seconds:g} s, and is to be drawn from {paper.start:g} s on", "begin earlier")
    drawn = _stretch(heart, paper)
    strips = strips_of(drawn, paper)
    overlay = None if evidence is None else overlay_of(evidence, heart, EVIDENCE_BAR / paper.speed)
    left = MARGIN + pulse_room(paper.speed)
    width = left + max(_up_to_heavy(drawn.seconds * paper.speed), NARROWEST) + MARGIN
    marks: list[Mark] = []
    top = MARGIN
    if framed:
        own: list[tuple[str, Ink]] = [(printable(title, 200), "letters")] if title else []
        marks += _lines_of_text([*own, *_header(heart, paper, overlay, width - 2 * MARGIN)], top)
        top += LINE_HEIGHT * len(marks)
    for row in range(strips[-1].row + 1):
        in_row = [strip for strip in strips if strip.row == row]
        above, below = _extent(in_row, paper.gain)
        baseline = _up_to_heavy(top + above)
        marks += [_pulse(baseline, paper), *_row(in_row, drawn.rate, paper, (left, baseline), top, overlay)]
        top = baseline + below
    footer = in_lines([NOTICE], width - 2 * MARGIN) if framed else in_lines(scale_of(heart, paper), width - 2 * MARGIN)
    inks: Ink = "warning" if framed else "letters"
    marks += _lines_of_text([(line, inks) for line in footer], top + 1.0)
    height = _up_to_heavy(top + 1.0 + LINE_HEIGHT * len(footer) + 2.0)
    said = f"{len(heart.leads)} leads. {', '.join(scale_of(heart, paper))}. {NOTICE}"
    return Sheet(width, height, printable(title, 200) or "ECG", said, (*_grid(width, height), *marks))


def pulse_room(speed: float) -> float:
    """Left of the traces, mm."""
    return _up_to_heavy(PULSE_SECONDS * speed + 2 * PULSE_EDGE)


def _up_to_heavy(length: float) -> float:
    return float(np.ceil(length / HEAVY - 1e-9) * HEAVY)


def _stretch(record: Record, paper: Paper) -> Record:
    """What of the record is drawn, filtered or not. The filter sees the whole record, so that it begins before the page does."""
    signal = monitor_filter(record.signal, record.rate) if paper.filtered else record.signal
    first = round(paper.start * record.rate)
    return replace(record, signal=signal[:, first : first + max(1, round(LONGEST * record.rate))])


def _header(record: Record, paper: Paper, overlay: Overlay | None, width: float) -> list[tuple[str, Ink]]:
    lines: list[tuple[str, Ink]] = [(line, "letters") for line in in_lines(scale_of(record, paper), width)]
    lines += [(line, "letters") for line in in_lines(facts_of(record), width)]
    if overlay is not None:
        words = "evidence: orange above the line speaks for, blue below it against; the tallest bar is the strongest"
        lines += [(line, "letters") for line in in_lines([words], width)]
    return lines + [(line, "warning") for line in in_lines(faults_of(record), width)]


def _lines_of_text(lines: Sequence[tuple[str, Ink]], top: float) -> list[Words]:
    return [Words(MARGIN, top + SMALL_SIZE + number * LINE_HEIGHT, text, ink) for number, (text, ink) in enumerate(lines)]


def _extent(strips: Sequence[Strip], gain: float) -> tuple[float, float]:
    """Millimetres that a row needs above and below its zero line."""
    values = np.concatenate([strip.trace for strip in strips])
    values = values[np.isfinite(values)]
    high, low = (float(values.max()), float(values.min())) if len(values) else (0.0, 0.0)
    scale = max(gain / 10.0, 0.5)
    above = min(MOST * scale, max(LEAST_ABOVE * scale, high * gain + 5.0))
    return max(above, gain + 1.0), min(MOST * scale, max(LEAST_BELOW * scale, -low * gain + 3.0))


def _row(
    strips: Sequence[Strip], rate: float, paper: Paper, origin: tuple[float, float], top: float, overlay: Overlay | None
) -> list[Mark]:
    """Evidence lowest, then traces, then names."""
    below: list[Mark] = []
    marks: list[Mark] = []
    left, baseline = origin
    for strip in strips:
        x = left + strip.begins * paper.speed
        marks += _strip(strip, rate, paper, (x, baseline), top)
        if overlay is not None and len(strip.trace):
            begins = paper.start + strip.begins
            window = (begins, begins + len(strip.trace) / rate)
            below += bars(overlay, strip.lead, window, paper.speed, (x, baseline))
    return below + marks


def _strip(strip: Strip, rate: float, paper: Paper, origin: tuple[float, float], top: float) -> list[Mark]:
    """One lead's trace with its name, a remark, and the short stroke that marks where it begins."""
    x, baseline = origin
    name = printable(strip.lead) or "no name"
    marks: list[Mark] = [Line(polyline((x, baseline - 3.0), (x, baseline + 3.0)), "tick")]
    if np.isfinite(strip.trace).any():
        at, height = thinned(strip.trace, rate, paper.speed)
        points = np.stack([x + at * paper.speed, baseline - np.clip(height * paper.gain, -FARTHEST, FARTHEST)], axis=1)
        marks.append(Line(points, "trace", name))
    label = top + LEAD_SIZE + 0.6
    marks.append(Words(x + 1.0, label, name, size=LEAD_SIZE))
    if strip.remark:
        # Words of an empty place stand where the trace would be: nobody takes an empty place for a flat lead.
        at_trace = not len(strip.trace) or strip.remark == FLAT
        place = (x + 1.0, baseline - 1.0) if at_trace else (x + 3.0 + width_of(name, LEAD_SIZE), label)
        marks.append(Words(*place, strip.remark, "warning"))
    return marks


def _pulse(baseline: float, paper: Paper) -> Line:
    left, edge, width = MARGIN, PULSE_EDGE, PULSE_SECONDS * paper.speed
    x = np.cumsum([left, edge, 0.0, width, 0.0, edge])
    return Line(np.stack([x, baseline - paper.gain * np.array([0, 0, 1, 1, 0, 0])], axis=1), "pulse")


def _grid(width: float, height: float) -> list[Line]:
    """A line each millimetre and a stronger one each five."""
    steps: tuple[tuple[Ink, float], ...] = (("minor", 1.0), ("major", HEAVY))
    return [Line(_ruled(width, height, step), ink) for ink, step in steps]


def _ruled(width: float, height: float, step: float) -> Points:
    x, y = np.arange(0.0, width + 0.01, step), np.arange(0.0, height + 0.01, step)
    gap = np.nan
    down = np.stack([np.stack([x, x, x * gap]), np.stack([x * 0, x * 0 + height, x * gap])], axis=-1)
    across = np.stack([np.stack([y * 0, y * 0 + width, y * gap]), np.stack([y, y, y * gap])], axis=-1)
    return np.concatenate([down.transpose(1, 0, 2).reshape(-1, 2), across.transpose(1, 0, 2).reshape(-1, 2)])
