"""What docs/study.md promises of a study as a whole: side by side, shared, rebuilt, made again."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmelt.store import open_store, open_stores
from cmelt.study import outcomes
from cmelt.study.assembly import collect
from cmelt.study.cells import Plan, StorePart
from cmelt.study.folders import REPLICATES, cell_folder, is_measured, item_folder
from cmelt.study.rerun import Rerun, Twice
from cmelt.study.results import to_json
from cmelt.study.scheduling import is_done, jobs_of, make_cells
from cmelt.study.settings import Selection
from cmelt.study.training_data import training_store
from running import cmelt
from tiny_studies import EVALUATE, study_file, tiny_plan

ONE = {
    "models": {"ours": {"recipe": "tiny.yaml"}, "random": {"kind": "random", "recipe": "tiny.yaml"}},
    "cells": [{"models": ["ours"], "data": ["all"]}],
}
#: Each process says that it is there and waits for another: they end well only if two are at work at once.
WAITING = """#!/bin/sh
echo "$OMP_NUM_THREADS" > {folder}/$$
i=0; while [ $(ls {folder} | wc -l) -lt 2 ]; do i=$((i+1)); [ $i -gt 60 ] && exit 9; sleep 0.05; done
"""


@pytest.mark.parametrize(("workers", "well"), [(2, [True, True]), (1, [False, True])])
def test_so_many_cells_are_at_work_side_by_side_each_on_its_threads(
    tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch, workers: int, well: list[bool]
) -> None:
    (tmp_path / "there").mkdir()
    program = tmp_path / "waiting"
    program.write_text(WAITING.format(folder=tmp_path / "there"))
    program.chmod(0o755)
    plan = tiny_plan(tmp_path, tiny_store, threads=3)
    monkeypatch.setattr(sys, "executable", str(program))
    jobs = [job for job in jobs_of(plan, tmp_path / "out", Selection()) if job.cell.kind == "pretrained"]
    failures = make_cells(jobs, workers, lambda _: None).failures
    assert [job.cell.name not in failures for job in jobs] == well
    assert {path.read_text() for path in (tmp_path / "there").iterdir()} == {"3\n"}


def test_studies_share_the_cells_and_measurements_that_both_have(world: tuple[Plan, Path], tiny_store: Path) -> None:
    plan, out = world
    more = [*EVALUATE, {"kind": "zero-shot", "store": "store", "tasks": ["simulated"], "scoring": "contrast"}]
    other = tiny_plan(out.parent, tiny_store, **ONE, name="another", evaluate=more, reference={"model": "random"})
    assert {cell.name for cell in other.cells} == {cell.name for cell in plan.cells}
    for job in jobs_of(other, out, Selection()):
        assert not is_done(job)
        missing = [item.what for item in job.items if not is_measured(Path(job.folder), item)]
        assert missing == ["zero-shot, contrast"]


def test_what_is_remembered_of_replicates_may_be_deleted(world: tuple[Plan, Path]) -> None:
    plan, out = world
    first = to_json(collect(plan, out, "cmelt study"))
    assert list((out / REPLICATES).iterdir())
    remembered = to_json(collect(plan, out, "cmelt study"))
    shutil.rmtree(out / REPLICATES)
    assert to_json(collect(plan, out, "cmelt study")) == remembered == first


def test_records_that_some_model_was_not_asked_are_left_out_for_all_and_counted(world: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, out = world
    shutil.copytree(out / "cells", tmp_path / "cells")
    cell = next(cell for cell in plan.cells if cell.model == "random")
    item = next(item for item in plan.items_of(cell) if item.kind == "zero-shot")
    folder = item_folder(cell_folder(tmp_path, cell.name), item)
    whole = outcomes.read(folder)
    outcomes.publish(whole.at(whole.rows[2:]), folder, {}, 0.0)
    columns = {column["measurement"]: column for column in to_json(collect(plan, tmp_path, "cmelt study"))["columns"]}
    assert columns["zero-shot"]["left_out"] == 2
    assert columns["zero-shot"]["records"] == len(whole.rows) - 2
    assert columns["retrieval"]["left_out"] == 0


def test_the_table_is_built_again_of_what_is_there_with_the_stores_beside_the_file(
    world: tuple[Plan, Path], tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").symlink_to(tiny_store)
    monkeypatch.setattr("cmelt.study.scheduling.make_cells", None)  # nothing may be trained
    path = study_file(tmp_path, **ONE, evaluate=EVALUATE)
    done = cmelt("study", path, "--out", world[1], "--table")
    assert done.returncode == 0, done.stderr
    assert "ours, all" in done.stdout
    assert "not complete" not in done.stderr


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--tolerance", "0.02"), 0)])
def test_a_cell_made_again_passes_where_no_figure_differs_by_more_than_the_tolerance(
    tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int
) -> None:
    found = Rerun((Twice("store, zero-shot", "macro AUROC", 0.7, 0.71),), 0.01)
    monkeypatch.setattr("cmelt.study.rerun.rerun_cell", lambda *_: found)
    path = study_file(tmp_path, **ONE)
    done = cmelt("study", path, "--stores", tiny_store.parent, "--out", tmp_path / "out", "--rerun", "ours", *options)
    assert done.returncode == code
    assert "+0.010000" in done.stdout
    assert ("the figures differ" in done.stdout) == bool(code)


def test_measurements_can_be_kept_to_some_seeds(tmp_path: Path, tiny_store: Path) -> None:
    asked = [{"kind": "retrieval", "store": "store", "seeds": [1]}, {"kind": "identification", "store": "store"}]
    plan = tiny_plan(tmp_path, tiny_store, **ONE, evaluate=asked, seeds=[0, 1])
    kinds = {cell.seed: [item.kind for item in plan.items_of(cell)] for cell in plan.cells if cell.model == "ours"}
    assert kinds == {0: ["identification"], 1: ["retrieval", "identification"]}


def test_fresh_weights_have_their_words_from_the_first_data(tmp_path: Path, tiny_store: Path) -> None:
    data = {"few": {"stores": {"store": {"pairs": 20}}}, "all": {"stores": {"store": {}}}}
    plan = tiny_plan(tmp_path, tiny_store, data=data)
    (fresh,) = [cell for cell in plan.cells if cell.kind == "random"]
    assert [part.pairs for part in fresh.stages[0]] == [20]


def test_weights_are_those_of_pre_training(tiny_store: Path, elsewhere: Path) -> None:
    places = (tiny_store, elsewhere)
    parts = [StorePart(p.name, str(p), open_store(p).sha256, w) for p, w in zip(places, (6.0, 1.0), strict=True)]
    plain = open_stores(places, [6.0, 1.0])
    assert training_store(parts, seed=0).sha256 == plain.sha256
    few = training_store([parts[0], replace(parts[1], pairs=20)], seed=0)
    np.testing.assert_array_equal(few.weights, plain.weights)
    assert few.sha256 != plain.sha256
