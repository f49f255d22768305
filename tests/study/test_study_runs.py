"""Cells are made once, go on where they were stopped, fail alone, and can be had twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmelt.checkpoints import load_embedder
from cmelt.errors import CMeltError, ConfigError, TrainingError
from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.fine_tune import FineTuneSettings, fine_tune
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.tasks import load_task
from cmelt.store import open_store
from cmelt.study import outcomes
from cmelt.study.cells import Plan
from cmelt.study.evaluations import measure
from cmelt.study.folders import EVALUATIONS
from cmelt.study.making import make_model
from cmelt.study.outcomes import Hits, Scores, figures_of
from cmelt.study.rerun import rerun_cell
from cmelt.study.scheduling import Made, is_done, jobs_of, make_cells
from cmelt.study.settings import Selection
from cmelt.study.subject import Subject
from cmelt.study.worker import Job, work
from running import cmelt
from tiny_runs import Notes, losses_of, weights_of
from tiny_studies import EVALUATE, folder_of, made, study_file, tiny_plan

#: A stage may be trained for other things than the one before: what only one of them has stays its own.
PHRASES = ["objectives.phrases=1", "objectives.phrase.least=2"]


def test_zero_shot_and_probes_are_those_of_cmelt_evaluate(world: tuple[Plan, Path], tiny_store: Path) -> None:
    plan, out = world
    cell = next(cell for cell in plan.cells if cell.model == "ours")
    embedder = load_embedder(folder_of(out, cell) / "run")
    store = open_store(tiny_store)
    protocol = Protocol((0.5, 1.0), draws=2, bootstrap=2)
    (truth,) = evaluate_tasks(embedder, embedder, store, [load_task("simulated")], protocol)
    wanted = {
        "zero-shot": truth.best_zero_shot,
        "probe 50 %": truth.probes[0].comparison,
        "probe 100 %": truth.probes[1].comparison,
    }
    for item in plan.items_of(cell):
        if item.what in wanted:
            found = outcomes.read_figures(folder_of(out, cell) / EVALUATIONS / item.name)["figures"]
            assert found["macro AUROC"] == pytest.approx(wanted[item.what].model.macro_auroc.value, abs=1e-6)


def test_fine_tuning_is_that_of_cmelt_evaluate(
    world: tuple[Plan, Path], tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, out = world
    cell = next(cell for cell in plan.cells if cell.model == "ours")
    monkeypatch.setattr("cmelt.evaluation.fine_tune.FineTuneSettings.of", _two_epochs)
    asked = {"kind": "fine-tune", "store": "store", "tasks": ["simulated"], "leads": [3]}
    (item,) = tiny_plan(out.parent, tiny_store, evaluate=[asked]).items_of(cell)
    scores = measure(item, Subject(cell, folder_of(out, cell)))
    assert isinstance(scores, Scores)
    source, store = load_embedder(folder_of(out, cell) / "run"), open_store(tiny_store)
    wanted = FineTuneSettings(leads=(3,), supervised=None)
    truth = fine_tune(source, store, load_task("simulated"), wanted, Protocol(bootstrap=2))
    np.testing.assert_array_equal(scores.rows, truth.rows)
    np.testing.assert_allclose(scores.scores, truth.scores["3 leads, 1, model"], atol=1e-5)


def _two_epochs(settings: FineTuneSettings, side: str, fraction: float, seed: int) -> Any:
    from dataclasses import replace

    return replace(settings.training, epochs=2, seed=seed)


def test_a_supervised_network_is_measured_on_the_same_records(
    world: tuple[Plan, Path], tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from cmelt.baselines import supervised

    plan, out = world
    monkeypatch.setattr(supervised, "SUPERVISED", replace(supervised.SUPERVISED, epochs=1))
    models = {"ours": {"recipe": "tiny.yaml"}, "supervised": {"kind": "supervised"}}
    asked = [{"kind": "supervised", "store": "store", "tasks": ["simulated"], "leads": [12, 1]}]
    own = tiny_plan(out.parent, tiny_store, models=models, evaluate=asked, cells=[])
    cell = next(cell for cell in own.cells if cell.kind == "supervised")
    found = [measure(item, Subject(cell, out / "nowhere")) for item in own.items_of(cell)]
    ours = next(cell for cell in plan.cells if cell.model == "ours")
    zero_shot = outcomes.read(folder_of(out, ours) / EVALUATIONS / plan.items_of(ours)[0].name)
    for one in found:
        assert isinstance(one, Scores)
        np.testing.assert_array_equal(one.rows, zero_shot.rows)
    assert not np.array_equal(found[0].scores, found[1].scores)  # type: ignore[union-attr]


def test_fresh_weights_are_those_that_training_begins_with(world: tuple[Plan, Path]) -> None:
    plan, out = world
    trained, fresh = (load_embedder(folder_of(out, cell) / "run") for cell in sorted(plan.cells, key=lambda c: c.model))
    names = dict(fresh.model.named_parameters())
    moved = [not np.allclose(p.detach(), names[n].detach()) for n, p in trained.model.named_parameters()]
    assert any(moved)
    assert fresh.seen == ()
    assert len(trained.seen) > 0


def test_a_finished_cell_is_not_made_again_and_a_new_measurement_does_not_train(
    world: tuple[Plan, Path], tiny_store: Path
) -> None:
    plan, out = world
    assert all(is_done(job) for job in jobs_of(plan, out, Selection()))
    more = tiny_plan(
        out.parent, tiny_store, models={"ours": {"recipe": "tiny.yaml"}}, cells=[{"models": ["ours"], "data": ["all"]}],
        evaluate=[*EVALUATE, {"kind": "identification", "store": "store", "splits": ["validation", "test"]}],
    )  # fmt: skip
    job, events = made(more, out, "ours")
    assert [event["measured"] for event in events if "measured" in event] == ["store, identification"]
    assert not any("step" in event for event in events)
    found = outcomes.read(Path(job.folder) / EVALUATIONS / job.items[-1].name)
    assert isinstance(found, Hits)
    assert figures_of(found)["top-1"] <= figures_of(found)["top-5"]


def test_an_altered_measurement_is_noticed(world: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, out = world
    folder = folder_of(out, plan.cells[0]) / EVALUATIONS / plan.items_of(plan.cells[0])[0].name
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = bytearray((copy / outcomes.SCORES).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / outcomes.SCORES).write_bytes(content)
    with pytest.raises(CMeltError, match="SHA-256"):
        outcomes.read(copy)


def test_a_second_stage_begins_with_the_weights_and_words_of_the_first(tmp_path: Path, tiny_store: Path) -> None:
    steps = ["training.steps=3"]
    data = {
        "first": {"stores": {"store": {"pairs": 20}}, "set": [*steps, *PHRASES], "then": "second"},
        "second": {"stores": {"store": {}}, "set": steps},
    }
    plan = tiny_plan(tmp_path, tiny_store, data=data, cells=[])
    cells = {cell.data: cell for cell in plan.cells if cell.model == "ours"}
    folder = tmp_path / "cell"
    assert make_model(cells["first"], folder, tiny_store.parent, Notes()) == 0
    first, second = folder / "run-stage-1", folder / "run"
    assert (first / "tokenizer" / "tokenizer.json").read_bytes() == (second / "tokenizer" / "tokenizer.json").read_bytes()
    assert weights_of(first) != weights_of(second)
    alone = tmp_path / "alone"
    assert make_model(cells["second"], alone, tiny_store.parent, Notes()) == 0
    assert losses_of(second)[0]["loss"] != losses_of(alone / "run")[0]["loss"]
    seen = Subject(cells["first"], folder).embedder.seen
    assert set(load_embedder(first).seen) <= set(seen)


def test_a_failing_cell_is_told_and_does_not_stop_the_others(tmp_path: Path, tiny_store: Path) -> None:
    models = {
        "broken": {"recipe": "tiny.yaml", "set": ["optimiser.rate=1e30", "optimiser.clip=0"]},
        "ours": {"recipe": "tiny.yaml", "set": ["training.steps=2"]},
    }
    evaluate = [{"kind": "zero-shot", "store": "store", "tasks": ["simulated"]}]
    only_all = [{"models": ["broken", "ours"], "data": ["all"]}]
    path = study_file(tmp_path, models=models, evaluate=evaluate, cells=only_all)
    done = cmelt("study", path, "--stores", tiny_store.parent, "--out", tmp_path / "out", "--workers", "2")
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert "not finite" in done.stderr
    results = json.loads((tmp_path / "out" / "results" / "tiny" / "study.json").read_text())
    entries = {row["model"]: row["entries"] for row in results["rows"]}
    assert "ours" in entries
    assert "broken" not in entries
    assert [cell["missing"] != [] for cell in results["cells"]] == [True, False]


def test_the_same_cell_made_again_has_the_same_figures(world: tuple[Plan, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    plan, out = world
    monkeypatch.setattr("cmelt.study.rerun.make_cells", _in_this_process)
    told: list[str] = []
    found = rerun_cell(plan, out, "ours", told.append)
    assert found.largest == 0.0
    assert [line.title for line in found.compared] == [item.title for item in plan.items_of(plan.cells[-1])]
    assert not list(out.glob("rerun-*"))


def _in_this_process(jobs: Sequence[Job], _: int, say: Callable[[str], None]) -> Made:
    codes = [work(job, lambda event: say(str(event))) for job in jobs]
    assert codes == [0] * len(jobs)
    return Made()


def test_figures_that_cannot_be_had_twice_are_told(world: tuple[Plan, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    plan, out = world

    def another(jobs: Sequence[Job], workers: int, say: Callable[[str], None]) -> Made:
        """The other cell's weights in this one's place."""
        fresh = next(cell for cell in plan.cells if cell.kind == "random")
        shutil.copytree(folder_of(out, fresh) / "run" / "model", Path(jobs[0].folder) / "run" / "model")
        return _in_this_process(jobs, workers, say)

    monkeypatch.setattr("cmelt.study.rerun.make_cells", another)
    assert rerun_cell(plan, out, "ours", lambda _: None).largest > 0.001
    with pytest.raises(ConfigError, match="0 cells"):
        rerun_cell(plan, out, "nobody", lambda _: None)


def test_two_processes_do_not_make_one_cell(world: tuple[Plan, Path]) -> None:
    import fcntl

    plan, out = world
    job = jobs_of(plan, out, Selection())[0]
    with (Path(job.folder) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrainingError, match="another process"):
            work(job, lambda _: None)


@pytest.mark.slow
def test_a_study_that_is_stopped_goes_on_to_the_same_weights(tmp_path: Path, tiny_store: Path) -> None:
    models = {"ours": {"recipe": "tiny.yaml", "set": ["training.steps=120", "training.checkpoint_every=1000"]}}
    evaluate = [{"kind": "zero-shot", "store": "store", "tasks": ["simulated"]}]
    cells = [{"models": ["ours"], "data": ["all"]}]
    path = study_file(tmp_path, models=models, evaluate=evaluate, cells=cells)
    main = [sys.executable, "-c", "from cmelt.cli import main; main()", "study", str(path), "--stores", str(tiny_store.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    plan = tiny_plan(tmp_path, tiny_store, models=models, evaluate=evaluate, cells=cells)
    run = folder_of(tmp_path / "stopped", plan.cells[0]) / "run"
    process = subprocess.Popen([*main, "--out", str(tmp_path / "stopped")], env=environment, stderr=subprocess.PIPE, text=True)
    while not (run / "metrics.jsonl").is_file() or len((run / "metrics.jsonl").read_text().splitlines()) < 5:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    assert not (run / "model").exists()
    assert len(losses_of(run)) < 120
    for out in ("stopped", "whole"):
        assert subprocess.run([*main, "--out", str(tmp_path / out)], env=environment, check=False).returncode == 0
    assert weights_of(run) == weights_of(folder_of(tmp_path / "whole", plan.cells[0]) / "run")


@pytest.mark.slow
def test_workers_that_nobody_listens_to_stop_and_save(tmp_path: Path, tiny_store: Path) -> None:
    models = {"ours": {"recipe": "tiny.yaml", "set": ["training.steps=5000", "training.checkpoint_every=10000"]}}
    plan = tiny_plan(tmp_path, tiny_store, models=models, cells=[{"models": ["ours"], "data": ["all"]}])
    run = folder_of(tmp_path / "out", plan.cells[0]) / "run"
    code = (
        "import sys; from pathlib import Path; from cmelt.study.cells import plan_study; "
        "from cmelt.study.settings import Selection, load_study; from cmelt.study.scheduling import jobs_of, make_cells; "
        "here = Path(sys.argv[1]); plan = plan_study(load_study(here / 'study.yaml'), Path(sys.argv[2]), here); "
        "make_cells(jobs_of(plan, here / 'out', Selection()), 1, lambda _: None)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(tiny_store.parent)], env=environment)
    while not (run / "metrics.jsonl").is_file() or not (run / "metrics.jsonl").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    until = time.monotonic() + 120
    while not (saved := list((run / "checkpoints").glob("step-*"))):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert int(saved[0].name.removeprefix("step-")) < 5000


def test_a_process_that_dies_is_told_with_its_log(tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\necho the last words >&2\nexit 9\n")
    dying.chmod(0o755)
    plan = tiny_plan(tmp_path, tiny_store)
    monkeypatch.setattr(sys, "executable", str(dying))
    jobs = jobs_of(plan, tmp_path / "out", Selection(models=("ours",)))
    done = make_cells(jobs, 1, lambda _: None)
    ((name, errors),) = done.failures.items()
    assert name == jobs[0].cell.name
    assert "code 9" in errors[0]
    assert "the last words" in (Path(jobs[0].folder) / "worker.log").read_text()
