"""Measurements on simulated signals that several tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

Beat = dict[str, np.ndarray]


def averaged(record: Record, before: float = 0.30, after: float = 0.60) -> tuple[np.ndarray, Beat]:
    """Times around R (s) and, by lead, the mean conducted beat measured from the level just before the QRS."""
    steps = np.arange(-round(before * record.rate), round(after * record.rate))
    places = [round(t * record.rate) for t in record.truth["r_times"]]
    inside = [r for r in places if r + steps[0] >= 0 and r + steps[-1] < record.signal.shape[1]]
    beats = record.signal[:, np.add.outer(inside, steps)].mean(axis=1)  # [12, n]
    times = steps / record.rate
    onset = -np.median([min(r - q for q in record.truth["qrs_times"] if q < r) for r in record.truth["r_times"][1:]])
    level = beats[:, (times > onset - 0.018) & (times < onset - 0.004)].mean(axis=1, keepdims=True)
    return times, dict(zip(LEADS, beats - level, strict=True))


@pytest.fixture(scope="session")
def beat() -> Callable[..., tuple[np.ndarray, Beat]]:
    """beat(seed, conditions) → times and mean beat by lead of a record without noise, computed once each."""
    cache: dict[tuple[int, tuple[str, ...]], tuple[np.ndarray, Beat]] = {}

    def of(seed: int, *conditions: str) -> tuple[np.ndarray, Beat]:
        key = (seed, conditions)
        if key not in cache:
            cache[key] = averaged(simulate(seed, list(conditions), noise=0.0))
        return cache[key]

    return of
