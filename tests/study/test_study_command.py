"""`cmelt study` from the command line: a plan, some of the cells, and the results without training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmelt.study.cells import StorePart
from cmelt.study.folders import missing_items, seconds_of
from cmelt.study.scheduling import Made, jobs_of
from cmelt.study.settings import Selection
from cmelt.study.worker import Job, work
from running import Done, cmelt
from tiny_studies import study_file, tiny_plan

ONE = {
    "models": {"ours": {"recipe": "tiny.yaml", "set": ["training.steps=2"]}, "less": {"recipe": "tiny.yaml", "set": ["seed=3"]}},
    "cells": [{"models": ["ours", "less"], "data": ["all"]}],
    "evaluate": [{"kind": "zero-shot", "store": "store", "tasks": ["simulated"]}],
    "bootstrap": 20,
}


def run(folder: Path, store: Path, *options: str) -> Done:
    path = study_file(folder, **ONE)
    return cmelt("study", path, "--stores", store.parent, "--out", folder / "out", *options)


def test_a_plan_names_every_cell_and_makes_none(tmp_path: Path, tiny_store: Path) -> None:
    done = run(tmp_path, tiny_store, "--plan")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["to", "do"]] * 2
    assert not (tmp_path / "out").exists()


def test_chosen_cells_are_made_and_the_others_named_as_missing(
    tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def here(jobs: list[Job], workers: int, say: object) -> Made:
        """In this process: another one's imports would take most of the time."""
        given.extend(job.cell.model for job in jobs)
        assert [work(job, lambda _: None) for job in jobs] == [0] * len(jobs)
        return Made()

    monkeypatch.setattr("cmelt.study.scheduling.make_cells", here)
    done = run(tmp_path, tiny_store, "--only", "model=ours,seed=0")
    assert done.returncode == 0
    assert given == ["ours"]
    assert "1 of 2 cells are not complete" in done.stderr
    assert "ours, all" in done.stdout
    assert "Research use only" in done.stdout
    said = json.loads((tmp_path / "out" / "results" / "tiny" / "study.json").read_text())
    assert {cell["model"]: cell["seconds"] is None for cell in said["cells"]} == {"ours": False, "less": True}
    again = run(tmp_path, tiny_store, "--table")
    assert again.returncode == 0
    assert given == ["ours"]
    assert again.stdout == done.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--only", "model=nobody"), "no such model"), (("--rerun", "nobody"), "0 cells"), (("--rerun", "ours"), "no figures yet")],
)
def test_what_cannot_be_done_is_said_with_a_remedy(
    tmp_path: Path, tiny_store: Path, options: tuple[str, ...], words: str
) -> None:
    done = run(tmp_path, tiny_store, *options)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_study_without_a_file_is_refused(tmp_path: Path) -> None:
    done = cmelt("study", tmp_path / "nothing.yaml", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "nothing.yaml" in done.stderr


def test_jobs_are_the_chosen_cells_in_the_file_s_order(tmp_path: Path, tiny_store: Path) -> None:
    plan = tiny_plan(tmp_path, tiny_store)
    assert [job.cell.model for job in jobs_of(plan, tmp_path, Selection())] == ["random", "ours", "less"]
    (job,) = jobs_of(plan, tmp_path, Selection(models=("less",)))
    assert Path(job.folder).parent == tmp_path / "cells"
    assert [item.name for item in missing_items(Path(job.folder), job.items * 2)] == [item.name for item in job.items]
    assert isinstance(job.cell.stages[0][0], StorePart)


def test_interruptions_do_not_count_as_time_of_training(tmp_path: Path) -> None:
    assert seconds_of(tmp_path) is None
    lines = [{"what": "model", "seconds": 10.0, "code": 130}, {"what": "model", "seconds": 5.0, "code": 0}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert seconds_of(tmp_path) == 15.0
