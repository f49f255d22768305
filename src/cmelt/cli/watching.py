"""How a run is shown: a bar with losses, rate and time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cmelt.cli.console import say

if TYPE_CHECKING:
    from cmelt.training.loop import Watcher

SECONDS_BETWEEN_LINES = 10.0
NOT_SHOWN = ("loss", "gradient_norm", "learning_rate", "records_per_second")


def describe(metrics: dict[str, float]) -> str:
    """Losses and rate in one line."""
    parts = " ".join(f"{name} {value:.3f}" for name, value in metrics.items() if name not in NOT_SHOWN)
    return f"loss {metrics['loss']:.3f} ({parts}) {metrics['records_per_second']:.0f} records/s"


@dataclass
class Lines:
    """Plain lines, at most one every few seconds."""

    started: float = field(default_factory=time.monotonic)
    first: int | None = None
    last: float = float("-inf")

    def say(self, message: str) -> None:
        """One line of news."""
        say(message)

    def step(self, done: int, steps: int, metrics: dict[str, float]) -> None:
        """A line when one is due."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.started = done, now
        if done < steps and now - self.last < SECONDS_BETWEEN_LINES:
            return
        self.last = now
        left = (now - self.started) / max(1, done - self.first) * (steps - done)
        say(f"step {done}/{steps} {describe(metrics)}, {left / 60:.1f} min left")


@dataclass
class Bar:
    """A Rich progress bar."""

    bars: Any
    task: Any

    def say(self, message: str) -> None:
        """One line above the bar."""
        self.bars.console.print(message, highlight=False)

    def step(self, done: int, steps: int, metrics: dict[str, float]) -> None:
        """Move the bar."""
        self.bars.update(self.task, completed=done, total=steps, losses=describe(metrics))


@contextmanager
def watching() -> Iterator[Watcher]:
    """A watcher that fits where stderr goes."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("step"), MofNCompleteColumn(), BarColumn(bar_width=24), TimeElapsedColumn(), TextColumn("left"))
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[losses]}"), console=Console(stderr=True)) as bars:
        yield Bar(bars, bars.add_task("step", total=None, losses=""))
