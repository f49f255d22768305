"""Loss curves out of a run's log: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: What is drawn, and how it is called.
NAMES = {
    "loss": "sum of the losses",
    "mlm": "MLM, masked words",
    "mem": "MEM, masked ECG",
    "etm": "ETM, matching",
    "ets": "ETS, sigmoid contrast",
    "info_nce": "ETS, softmax contrast (InfoNCE)",
}
POINTS = 300

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def read_losses(log: Path) -> dict[str, Curve]:
    """Steps and values of each loss in the log, [points] each, at most POINTS averages of neighbouring steps.

    A step that was logged twice, as happens when a killed run repeats some, counts with its later values; a last line cut
    short by such a kill is passed over, and so are values that are missing or not finite.
    """
    by_step: dict[int, dict[str, float]] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            by_step[entry["step"]] = entry
    curves = {}
    for name in NAMES:
        points = [(step, entry[name]) for step, entry in sorted(by_step.items()) if isinstance(entry.get(name), int | float)]
        finite = np.array([p for p in points if np.isfinite(p[1])], dtype=np.float64).reshape(-1, 2)
        if len(finite) >= 2 and finite[:, 1].any():
            curves[name] = _averaged(finite)
    return curves


def _averaged(points: NDArray[np.float64]) -> Curve:
    """[n, 2] → two arrays of at most POINTS."""
    parts = np.array_split(points, min(POINTS, len(points)))
    means = np.array([part.mean(axis=0) for part in parts])
    return means[:, 0], means[:, 1]
