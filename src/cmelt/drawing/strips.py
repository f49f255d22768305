"""Which stretch of which lead stands where on the paper, and what is to be said beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.drawing.paper import LAYOUTS, RHYTHM_LEADS, Paper
from cmelt.records.quality import is_flat
from cmelt.records.record import LEADS, Record

#: Leads beyond the twelve get a row each, up to so many.
MOST_OTHERS = 12
#: A lead whose middle is this far from zero is drawn around its middle, and says so: amplifiers without a high-pass
#: filter add volts of electrode offset, and no paper would hold the trace, mV.
OFFSET = 1.0
#: Points a millimetre. Above it the extremes of short stretches are kept, so that no spike is lost.
POINTS = 10.0
NOT_RECORDED, NOTHING_MEASURED, FLAT = "not recorded", "nothing measured", "flat"


@dataclass(frozen=True)
class Strip:
    """A stretch of one lead.

    Attributes:
        row: counted from the top.
        begins: of the drawn stretch, s; the strip stands as far from the left end of the row.
        trace: [samples] mV, less `offset`; empty where the lead is not in the record.
        remark: what the paper says beside the lead's name.
    """

    lead: str
    row: int
    begins: float
    trace: NDArray[np.float64]
    offset: float = 0.0
    remark: str = ""


def strips_of(record: Record, paper: Paper) -> list[Strip]:
    """Every strip of the page, for `record` cut to what is drawn."""
    samples = record.signal.shape[1]
    strips: list[Strip] = []
    row = 0
    if any(lead in LEADS for lead in record.leads):
        columns = paper.columns
        part = samples // len(columns)
        for column, leads in enumerate(columns):
            stop = samples if column == len(columns) - 1 else (column + 1) * part
            strips += [_strip(record, lead, row, column * part, stop) for row, lead in enumerate(leads)]
        row = len(columns[0])
        if LAYOUTS[paper.layout].rhythm:
            strips.append(_strip(record, _rhythm_lead(record), row, 0, samples))
            row += 1
    others = [lead for lead in record.leads if lead not in LEADS][:MOST_OTHERS]
    return strips + [_strip(record, lead, row + number, 0, samples) for number, lead in enumerate(others)]


def _strip(record: Record, lead: str, row: int, start: int, stop: int) -> Strip:
    begins = start / record.rate
    if lead not in record.leads:
        return Strip(lead, row, begins, np.zeros(0), remark=NOT_RECORDED)
    whole = record.signal[record.leads.index(lead)]
    trace = whole[start:stop].astype(np.float64)
    if not np.isfinite(trace).any():
        return Strip(lead, row, begins, np.zeros(0), remark=NOTHING_MEASURED)
    middle = float(np.nanmedian(whole))
    offset = middle if abs(middle) > OFFSET else 0.0
    remark = FLAT if is_flat(whole) else (f"{offset:+.1f} mV taken off" if offset else "")
    return Strip(lead, row, begins, trace - offset, offset, remark)


def _rhythm_lead(record: Record) -> str:
    recorded = [lead for lead in RHYTHM_LEADS if lead in record.leads]
    alive = [lead for lead in recorded if not is_flat(record.signal[record.leads.index(lead)])]
    return next(iter(alive or recorded))


def thinned(trace: NDArray[np.float64], rate: float, speed: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times in seconds and values; above `POINTS` a millimetre the lowest and highest of each stretch."""
    stretch = int(np.ceil(2 * rate / (POINTS * speed)))
    if stretch <= 2 or not np.isfinite(trace).all():
        return np.arange(len(trace)) / rate, trace
    whole = len(trace) // stretch * stretch
    folded = trace[:whole].reshape(-1, stretch)
    inside = np.sort(np.stack([folded.argmin(axis=1), folded.argmax(axis=1)], axis=1), axis=1)
    ends = [0, *range(whole, len(trace))]
    kept = np.unique(np.concatenate([(inside + np.arange(len(folded))[:, None] * stretch).ravel(), ends]))
    return kept / rate, trace[kept]
