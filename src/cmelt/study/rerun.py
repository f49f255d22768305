"""One cell made again from nothing, aside, to see whether its figures can be had twice."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cmelt.errors import ConfigError, TrainingError
from cmelt.study.cells import Cell, Plan
from cmelt.study.folders import cell_folder, is_measured, item_folder
from cmelt.study.outcomes import read_figures
from cmelt.study.scheduling import Say, make_cells
from cmelt.study.worker import Job


@dataclass(frozen=True)
class Twice:
    """A figure as it was, and as it came out again."""

    title: str
    figure: str
    before: float
    again: float


@dataclass(frozen=True)
class Rerun:
    """The first figure of every measurement, twice; and the largest difference among all figures."""

    compared: tuple[Twice, ...]
    largest: float


def rerun_cell(plan: Plan, out: Path, name: str, say: Say) -> Rerun:
    """Make the cell `name` (or the one whose name begins so) in a scratch folder, and compare all of its figures.

    Raises:
        ConfigError: no such cell, or several.
        TrainingError: it failed, or was stopped.
    """
    cell = _found(plan, name)
    place = cell_folder(out, cell.name)
    done = [item for item in plan.items_of(cell) if is_measured(place, item)]
    if not done:
        raise ConfigError(f"--rerun {name}", "the cell has no figures yet", "make it first")
    with tempfile.TemporaryDirectory(prefix="rerun-", dir=out) as scratch:
        folder = Path(scratch) / cell.name
        made = make_cells([Job(cell, tuple(done), str(folder), str(plan.stores), threads=plan.study.threads)], 1, say)
        if made.code is not None or made.failures:
            reason = "; ".join(made.failures.get(cell.name, ["stopped"]))
            raise TrainingError(cell.name, f"could not be made again: {reason}")
        compared, largest = [], 0.0
        for item in done:
            before = read_figures(item_folder(place, item))["figures"]
            again = read_figures(item_folder(folder, item))["figures"]
            for figure, value in before.items():
                largest = max(largest, _distance(value, again.get(figure, math.nan)))
            first = next(iter(before))
            compared.append(Twice(item.title, first, before[first], again.get(first, math.nan)))
    return Rerun(tuple(compared), largest)


def _distance(one: float, other: float) -> float:
    """How far two figures lie apart; a figure that only one of them has is infinitely far."""
    if math.isnan(one) and math.isnan(other):
        return 0.0
    return abs(one - other) if math.isfinite(one - other) else math.inf


def _found(plan: Plan, name: str) -> Cell:
    exact = [cell for cell in plan.cells if cell.name == name]
    found = exact or [cell for cell in plan.cells if cell.name.startswith(name)]
    if len(found) != 1:
        few = ", ".join(cell.name for cell in (found or plan.cells)[:6])
        raise ConfigError(f"--rerun {name}", f"{len(found)} cells are called so", f"one of: {few}, …")
    return found[0]
