"""Labelled records whose classes are plain to see: class c is a lead whose mean lies high."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmelt.training.labelled import LabelledRecords


@dataclass
class Signals:
    """Records in memory, as the part of a store that training reads."""

    signal: np.ndarray
    rate: float = 100.0

    @property
    def samples(self) -> int:
        return self.signal.shape[2]

    def millivolts(self, rows):
        return self.signal[rows]


def planted(count: int = 120, seed: int = 0, samples: int = 40) -> LabelledRecords:
    """`count` records, two a patient; class 0 lifts lead I, class 1 lead II."""
    rng = np.random.default_rng(seed)
    truth = rng.random((count, 2)) < [0.5, 0.3]
    signal = rng.normal(size=(count, 12, samples)).astype(np.float32)
    signal[:, :2] += 0.7 * truth[..., None]
    return LabelledRecords(Signals(signal), np.arange(count), truth, np.arange(count) // 2, np.ones(12, bool))
