"""`cmelt evaluate` on the planted world: what it writes, prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cmelt.checkpoints
import cmelt.store
from cmelt.cli import evaluate as command
from cmelt.errors import ConfigError, StoreError

from .conftest import PlantedEmbedder, planted_store

TASK = """
classes:
  fast: {labels: ["t:fast"], prompts: [it is fast], negative_prompts: [all well]}
  wide: {labels: ["t:wide"], prompts: [it is wide], negative_prompts: [all well]}
"""
FAST = ["--bootstrap", "50", "--draws", "2"]


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Planted model and store in place of the ones on disk; a run's folder and a task file."""
    asked = []

    def load_embedder(run, *, random=False, seed=0, device=None):
        asked.append((run, random, seed))
        return PlantedEmbedder(blind=random, identity="random" if random else "planted")

    store = planted_store()
    object.__setattr__(store, "path", tmp_path / "store")
    monkeypatch.setattr(cmelt.checkpoints, "load_embedder", load_embedder, raising=False)
    monkeypatch.setattr(cmelt.store, "open_store", lambda path: store)
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text("".join(json.dumps({"step": s, "loss": 1.0 / s}) + "\n" for s in range(1, 5)))
    (tmp_path / "mine.yaml").write_text(TASK)
    return tmp_path, store, asked


def invoke(*arguments):
    return CliRunner().invoke(command.app, [str(a) for a in arguments])


def test_json_on_stdout_is_the_content_of_the_file(world):
    folder, _, asked = world
    result = invoke(folder / "run", "--data", "store", "--task", folder / "mine.yaml", "--json", "--seed", 3, *FAST)
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed == json.loads((folder / "run" / "evaluation" / "results.json").read_text())
    assert list(printed["results"]) == ["mine"]
    assert printed["results"]["mine"]["seed"] == 3
    assert [(random, seed) for _, random, seed in asked] == [(False, 0), (True, 3)]
    assert "report.html" in result.stderr


def test_figures_are_printed_with_the_control_beside_them(world):
    folder, *_ = world
    result = invoke(folder / "run", "--data", "store", "--task", folder / "mine.yaml", "--out", folder / "there", *FAST)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "random weights" in lines[0]
    assert [line[:20].strip() for line in lines[1:]] == [
        "mine, zero-shot",
        "mine, probe 1 %",
        "mine, probe 10 %",
        "mine, probe 100 %",
    ]
    assert "sum of the losses" in (folder / "there" / "report.html").read_text()


def test_tasks_repeat_and_options_reach_the_protocol(world):
    folder, *_ = world
    (folder / "other.yaml").write_text(TASK)
    tasks = ["--task", folder / "mine.yaml", "--task", folder / "other.yaml"]
    options = ["--splits", "test", "--fractions", "0.5", "--no-examples", "--json", *FAST]
    printed = json.loads(invoke(folder / "run", "--data", "store", *tasks, *options).stdout)["results"]
    assert list(printed) == ["mine", "other"]
    assert printed["mine"]["splits"] == ["test"]
    assert [p["fraction"] for p in printed["mine"]["probes"]] == [0.5]
    assert printed["mine"]["bootstrap"] == 50
    assert 'class="ecg"' not in (folder / "run" / "evaluation" / "report.html").read_text()


def test_no_probe(world):
    folder, *_ = world
    result = invoke(folder / "run", "--data", "store", "--task", folder / "mine.yaml", "--no-probe", "--json", *FAST)
    assert json.loads(result.stdout)["results"]["mine"]["probes"] == []


def test_bundled_tasks_are_found_by_the_stores_labels(world):
    folder, store, _ = world
    store.index["labels"] = [["super:MI"] if "t:fast" in labels else ["super:NORM"] for labels in store.index["labels"]]
    printed = json.loads(invoke(folder / "run", "--data", "store", "--no-probe", "--json", *FAST).stdout)
    assert list(printed["results"]) == ["ptbxl-super"]


def test_labels_of_ones_own_need_a_task_file(world):
    folder, *_ = world
    result = invoke(folder / "run", "--data", "store")
    assert isinstance(result.exception, StoreError)
    assert "--task" in str(result.exception)


def test_a_list_that_is_none_is_wrong_usage(world):
    folder, *_ = world
    result = invoke(folder / "run", "--data", "store", "--fractions", "1%,10%")
    assert result.exit_code == 2
    assert "--fractions" in result.output


def test_an_occupied_folder_is_refused_before_any_work(world):
    folder, _, asked = world
    result = invoke(folder / "run", "--data", "store", "--task", folder / "mine.yaml", "--out", folder)
    assert isinstance(result.exception, ConfigError)
    assert asked == []


def test_a_named_model_reports_beside_the_caller():
    assert command._default_folder("small") == Path("small-evaluation")


def test_of_tasks_that_nobody_named_one_that_cannot_be_answered_is_left_out_and_said(world):
    folder, store, _ = world
    known = {"t:fast": "rhythm:AFIB", "t:wide": "rhythm:SR"}
    store.index["labels"] = [["form:NDT", *(known[name] for name in names if name in known)] for names in store.index["labels"]]
    arguments = (folder / "run", "--data", "store", "--no-probe", "--no-examples", "--json", *FAST)
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert "ptbxl-rhythm" in json.loads(result.stdout)["results"]
    assert "ptbxl-form" not in json.loads(result.stdout)["results"]
    assert "ptbxl-form is left out: none of its classes has both positives and negatives" in result.stderr
    named = invoke(*arguments, "--task", "ptbxl-form")
    assert isinstance(named.exception, StoreError)  # who asks for it is told that it cannot be had
