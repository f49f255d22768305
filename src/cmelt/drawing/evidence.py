"""What speaks for a finding and what against it, drawn along the trace: bars above the zero line for, below it against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmelt.drawing.marks import Area, Ink
from cmelt.errors import ConfigError
from cmelt.records.record import Record

#: Width of a bar, and the height of the strongest, mm.
BAR, TALLEST = 1.0, 9.0


class Evidence(Protocol):
    """What can be drawn over an ECG: signed numbers along leads, such as an explanation of a score.

    Attributes:
        leads: names, each of which the record has.
        seconds: [samples] the time of each value from the beginning of the record, rising; or its length in all, s, where the
            values are evenly spread.
        values: [leads, samples], above zero where the ECG speaks for what was asked.
    """

    @property
    def leads(self) -> Sequence[str]:
        """Names of the leads."""

    @property
    def seconds(self) -> ArrayLike:
        """Times, or the length."""

    @property
    def values(self) -> NDArray[np.floating]:
        """The evidence."""


@dataclass(frozen=True)
class Overlay:
    """Checked evidence: times [samples] s, values [samples] by lead, and the largest bar, to which the others are scaled."""

    times: NDArray[np.float64]
    values: Mapping[str, NDArray[np.float64]]
    largest: float


def overlay_of(evidence: Evidence, record: Record, seconds_a_bar: float) -> Overlay:
    """`evidence` fit to be drawn over `record`.

    Raises:
        ConfigError: it does not fit: shape, leads that the record lacks, times beyond it, or numbers that are none.
    """
    values = np.asarray(evidence.values, np.float64)
    leads = tuple(evidence.leads)
    if values.ndim != 2 or values.shape[0] != len(leads) or not values.shape[1] or len(set(leads)) < len(leads):
        fault = f"{len(leads)} leads, values of shape {list(values.shape)}"
        raise ConfigError("evidence", fault, "give [leads, samples], each lead once")
    if not np.isfinite(values).all():
        raise ConfigError("evidence", "holds numbers that are not finite", "give 0 where there is none")
    times = _times(evidence.seconds, values.shape[1], record.seconds)
    # Leads that a model computed or was given as zeros have a place in an explanation and none on this paper.
    by_lead = {lead: row for lead, row in zip(leads, values, strict=True) if lead in record.leads}
    if not by_lead:
        raise ConfigError("evidence", "is of none of the record's leads", f"the record has {', '.join(record.leads)}")
    edges = np.arange(0.0, record.seconds + seconds_a_bar, seconds_a_bar)
    largest = max(float(np.abs(_means(times, row, edges)).max()) for row in by_lead.values())
    return Overlay(times, by_lead, largest)


def bars(overlay: Overlay, lead: str, window: tuple[float, float], speed: float, origin: tuple[float, float]) -> list[Area]:
    """Bars of `lead` within `window` (from, to; s of the record), whose left end at zero millivolts is `origin` on the paper."""
    if lead not in overlay.values or not overlay.largest:
        return []
    first, last = window
    edges = np.append(np.arange(first, last - 1e-9, BAR / speed), last)
    heights = _means(overlay.times, overlay.values[lead], edges) / overlay.largest * TALLEST
    across = origin[0] + (edges - first) * speed
    speaks_for = _steps(across, np.maximum(heights, 0.0), origin[1], "speaks-for")
    return speaks_for + _steps(across, np.minimum(heights, 0.0), origin[1], "speaks-against")


def _steps(across: NDArray[np.float64], heights: NDArray[np.float64], baseline: float, ink: Ink) -> list[Area]:
    """One outline for each run of bars that are not nothing."""
    some = np.abs(heights) >= 0.05  # half the width of a grid line
    edges = np.flatnonzero(np.diff(np.concatenate([[0], some.astype(np.int8), [0]])))
    areas = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        x = np.repeat(across[start : stop + 1], 2)
        y = baseline - np.concatenate([[0.0], np.repeat(heights[start:stop], 2), [0.0]])
        areas.append(Area(np.stack([x, y], axis=1), ink))
    return areas


def _times(seconds: ArrayLike, samples: int, longest: float) -> NDArray[np.float64]:
    times = np.asarray(seconds, np.float64)
    if times.ndim == 0:
        times = (np.arange(samples) + 0.5) * float(times) / samples
    if times.shape != (samples,) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ConfigError("evidence", "its seconds are not one rising time for each value", "give [samples], or the length")
    if not 0 <= times[0] < longest:  # it may end later: models pad short records
        raise ConfigError(
            "evidence", f"lies at {times[0]:g} to {times[-1]:g} s of a record of {longest:g} s", "give its own times"
        )
    return times


def _means(times: NDArray[np.float64], values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the values between edges [n + 1] → [n]; where none falls in between, the one before if it reaches there."""
    place = np.searchsorted(times, edges)
    total = np.concatenate([[0.0], np.cumsum(values)])
    count = np.diff(place)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    before = np.maximum(place[:-1] - 1, 0)
    held = np.where((place[:-1] > 0) & (edges[:-1] < times[before] + step), values[before], 0.0)
    return np.where(count > 0, np.diff(total[place]) / np.maximum(count, 1), held)
