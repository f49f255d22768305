"""Hearts and their middle beats, worked out slowly: what quick sums of `cmelt.records` are held against."""

from __future__ import annotations

from functools import cache

import numpy as np

from cmelt.records.beats import Beats
from cmelt.records.polarity import ALL_NEEDED
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

#: Where the leads that tell most stand in a record of twelve.
ROWS = {lead: LEADS.index(lead) for lead in ALL_NEEDED}
#: Rates that are averaged down by different numbers of samples, one of them no whole multiple of the coarse rate.
RATES = (100, 190, 257, 500, 1000)


@cache
def hearts(rate: float) -> tuple[Record, ...]:
    """Some of each rate, of whatever condition, with noise; odd and even numbers of beats among them."""
    return tuple(simulate(seed, rate=rate) for seed in range(50_000, 50_006))


def plain_beat(beats: Beats) -> np.ndarray:
    """[leads, samples] the middle beat, beat by beat."""
    before, after = round(0.3 * beats.rate), round(0.5 * beats.rate)
    whole = [peak for peak in beats.peaks if before <= peak < beats.signal.shape[1] - after]
    return np.median([beats.signal[:, peak - before : peak + after] for peak in whole], axis=0).astype(float)


def cut_out(trace: np.ndarray, rate: float, level: tuple[float, float], part: tuple[float, float]) -> np.ndarray:
    """A stretch of a middle beat [..., samples], the mean of another taken off."""
    time = (np.arange(trace.shape[-1]) - round(0.3 * rate)) / rate
    within, before = ((begin <= time) & (time < end) for begin, end in (part, level))
    return trace[..., within] - trace[..., before].mean(axis=-1, keepdims=True)
