"""What came of a campaign, counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What came of a campaign: trials that went as promised, all trials, what went wrong, and figures by name."""

    what: str
    good: int = 0
    total: int = 0
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, trial: str, faults: Iterable[str]) -> None:
        """One trial, and what was wrong with it."""
        told = list(faults)
        self.total += 1
        self.good += not told
        self.wrong += [f"{trial}: {', '.join(told)}"] if told else []

    def note(self, name: str, value: float) -> None:
        """One value more of a figure."""
        self.figures.setdefault(name, []).append(value)
