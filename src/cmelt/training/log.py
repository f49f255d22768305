"""What a run writes while it goes: one JSON line a logged step, and TensorBoard where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class MetricsLog:
    """`metrics.jsonl` of a run. On resuming, lines past the step it resumes from are dropped, as they will be written again."""

    def __init__(self, run: Path, first_step: int) -> None:
        self.path = run / "metrics.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = [line for line in lines if _step(line) <= first_step]
        draft = run / f".{self.path.name}-draft"
        draft.write_text("".join(f"{line}\n" for line in kept))
        draft.replace(self.path)  # at once: killed here, the lines written so far must not be lost
        self._file = self.path.open("a", buffering=1)
        self._board = _tensorboard(run / "tensorboard", first_step)

    def write(self, metrics: dict[str, Any]) -> None:
        """Append one line; `metrics` has a `step`."""
        self._file.write(json.dumps(metrics) + "\n")
        if self._board is not None:
            for name, value in metrics.items():
                if name != "step":
                    self._board.add_scalar(name, value, metrics["step"])

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut by a kill


def _tensorboard(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first_step + 1)
