"""A study so small that its cells take a second: the tiny recipe on the tiny store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cmelt.study.cells import Cell, Plan, plan_study
from cmelt.study.scheduling import jobs_of
from cmelt.study.settings import Selection, Study, load_study
from cmelt.study.worker import Job, work
from tiny_runs import tiny_recipe_file

TASK = {
    "population": "all",
    "classes": {
        "fast": {"labels": ["fast"], "prompts": ["sinus tachycardia"], "negative_prompts": ["normal ecg"]},
        "any": {"labels": ["any"], "prompts": ["abnormal ecg"], "negative_prompts": ["normal ecg"]},
    },
}


#: Of the study in `tests/study/conftest.py`.
EVALUATE = [
    {"kind": "zero-shot", "store": "store", "tasks": ["simulated"]},
    {"kind": "probe", "store": "store", "tasks": ["simulated"], "fractions": [0.5, 1.0], "draws": 2},
    {"kind": "retrieval", "store": "store"},
]


def content(**changes: Any) -> dict[str, Any]:
    """The file of a study as a mapping; `changes` replace whole keys."""
    return {
        "name": "tiny",
        "data": {"all": {"stores": {"store": {}}}, "few": {"stores": {"store": {"pairs": 20}}}},
        "models": {
            "ours": {"recipe": "tiny.yaml"},
            "less": {"recipe": "tiny.yaml", "set": ["objectives.mem=0"]},
            "random": {"kind": "random", "recipe": "tiny.yaml"},
        },
        "cells": [{"models": ["ours", "less"], "data": ["all"]}],
        "reference": {"model": "ours"},
        "evaluate": [
            {"kind": "zero-shot", "store": "store", "tasks": ["simulated"]},
            {"kind": "probe", "store": "store", "tasks": ["simulated"], "fractions": [0.5, 1.0], "draws": 2},
        ],
        "bootstrap": 50,
    } | changes


def study_file(folder: Path, **changes: Any) -> Path:
    """The same as a file, with its recipe beside it."""
    tiny_recipe_file(folder)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content(**changes), sort_keys=False))
    return path


def tiny_study(folder: Path, **changes: Any) -> Study:
    """The same, read."""
    return load_study(study_file(folder, **changes))


def tiny_plan(folder: Path, store: Path, **changes: Any) -> Plan:
    """The same, resolved against the folder of a store."""
    return plan_study(tiny_study(folder, **changes), store.parent, folder)


def made(plan: Plan, out: Path, start: str) -> tuple[Job, list[dict[str, Any]]]:
    """A cell made in this process, with what it told."""
    events: list[dict[str, Any]] = []
    job = next(job for job in jobs_of(plan, out, Selection()) if job.cell.name.startswith(start))
    assert work(job, events.append) == 0, events
    return job, events


def folder_of(out: Path, cell: Cell) -> Path:
    return out / "cells" / cell.name
