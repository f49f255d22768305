"""An explanation: signed evidence along the leads of a record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.explanation.attribution import Method
from cmelt.explanation.ecg_mark import EcgMark
from cmelt.pages.notice import NOTICE

#: Hz: as JSON, evidence has no more values a second.
HIGHEST_RATE = 250.0
_DIGITS = 6


@dataclass(frozen=True)
class Explanation:
    """What speaks for a class and what against it; `cmelt.plot(record, path, evidence=…)` draws it.

    Attributes:
        what: the class or prompt.
        leads: names, in the standard order. Of leads that the record lacks, some are computed from others and the rest is 0.
        seconds: [samples] from the beginning of the record.
        values: [leads, samples] float32, above zero where the ECG speaks for `what`. With integrated gradients they add up to
            score − baseline; with occlusion each stretch adds up to what the score loses without it.
        score: as `cmelt.classify` has it. It ranks; it is no probability.
        baseline: the score of the same leads as flat lines.
        method: "integrated-gradients" or "occlusion".
        notes: what has to be known to read it.
        ecg: which ECG it is of; None where that is not known.
    """

    what: str
    leads: tuple[str, ...]
    seconds: NDArray[np.float64]
    values: NDArray[np.float32]
    score: float
    baseline: float
    method: Method
    notes: tuple[str, ...] = ()
    ecg: EcgMark | None = None

    @property
    def rate(self) -> float:
        """Values a second."""
        return 1.0 if len(self.seconds) < 2 else (len(self.seconds) - 1) / float(self.seconds[-1] - self.seconds[0])

    def by_lead(self) -> dict[str, float]:
        """The sum of each lead's evidence."""
        return dict(zip(self.leads, self.values.sum(axis=1, dtype=np.float64).tolist(), strict=True))

    def at_most(self, rate: float) -> Explanation:
        """The same with no more than `rate` values a second, neighbours added up, so that all sums stay."""
        size = math.ceil(self.rate / rate - 1e-6)
        if size <= 1:
            return self
        starts = np.arange(0, len(self.seconds), size)
        return replace(self, seconds=self.seconds[starts], values=np.add.reduceat(self.values, starts, axis=1))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, at `HIGHEST_RATE` at most; `seconds` is the length, `rate` values a second."""
        shown = self.at_most(HIGHEST_RATE)
        rounded = [[float(f"{value:.{_DIGITS}g}") for value in row] for row in shown.values.tolist()]
        return {
            "notice": NOTICE,
            "what": self.what,
            "method": self.method,
            "score": self.score,
            "baseline": self.baseline,
            "leads": list(self.leads),
            "seconds": len(shown.seconds) / shown.rate,
            "rate": shown.rate,
            "values": rounded,
            "notes": list(self.notes),
            "ecg": None if self.ecg is None else asdict(self.ecg),
        }
