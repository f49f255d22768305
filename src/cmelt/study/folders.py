"""Where a cell and all that was made of it lie below a study's `--out`, and what of it is there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cmelt.errors import CMeltError
from cmelt.publishing import MANIFEST
from cmelt.study.cells import Item

CELLS, REPLICATES, RESULTS = "cells", "replicates", "results"
#: Within a cell's folder.
RUN, EVALUATIONS = "run", "evaluations"
CELL, LOG, WORKER_LOG = "cell.json", "log.jsonl", "worker.log"


def cell_folder(out: Path, name: str) -> Path:
    """Where a cell of the study at `out` lies."""
    return out / CELLS / name


def item_folder(cell: Path, item: Item) -> Path:
    """Where a measurement of the cell at `cell` lies."""
    return cell / EVALUATIONS / item.name


def is_made(cell: Path) -> bool:
    """Whether a cell's model is there."""
    return (cell / RUN / "model" / MANIFEST).is_file()


def is_measured(cell: Path, item: Item) -> bool:
    """Whether a measurement is there; one that was stopped is not."""
    return (item_folder(cell, item) / MANIFEST).is_file()


def missing_items(cell: Path, items: Iterable[Item]) -> list[Item]:
    """What has not been measured yet, each once."""
    named = {item.name: item for item in items}
    return [item for item in named.values() if not is_measured(cell, item)]


def seconds_of(cell: Path) -> float | None:
    """How long making the model has taken, interruptions left out; None where it was never begun."""
    try:
        lines = [json.loads(line) for line in (cell / LOG).read_text().splitlines()]
    except (OSError, ValueError):
        return None
    return float(sum(line["seconds"] for line in lines if line.get("what") == "model"))


def pairs_of(cell: Path) -> int | None:
    """How many pairs the (last) run of a cell was trained on; None where there is no run."""
    said = _said(cell / RUN / "run.json")
    return None if said is None else int(said["corpus"]["pairs"])


def negatives_report(cell: Path) -> dict[str, float]:
    """What a run says of its negatives: coverage, and how well they are told without the ECG; empty where it had none."""
    said = _said(cell / RUN / "negatives" / "coverage.json")
    if said is None:
        return {}
    return {
        "text-only accuracy": float(said["text_only"]["accuracy"]),
        "coverage": float(said["coverage"]["ratio"]),
        "reachable": float(said["coverage"]["reachable"]),
    }


def _said(path: Path) -> dict[str, Any] | None:
    """A JSON file of a run; None where there is none. Raises CMeltError where it is not readable."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise CMeltError(path, "is not JSON", "delete the cell's folder, and make it again") from None
    return content
