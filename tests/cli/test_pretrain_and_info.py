"""`cmelt pretrain` and `cmelt info` as a shell meets them: results on stdout, messages on stderr, exit statuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cmelt.cli import app
from cmelt.cli.watching import Lines, describe
from cmelt.config import Recipe, from_mapping, load_recipe
from cmelt.errors import CheckpointError, ConfigError, StoreError
from tiny_runs import losses_of, tiny_recipe_file, weights_of

SOURCE = Path(__file__).resolve().parents[2] / "src"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_info_counts_the_paper_s_parts():
    told = json.loads(invoke("info", "--recipe", "paper", "--json").stdout)
    assert told.keys() == {"total", "parts"}
    assert told["total"] == sum(told["parts"].values())
    assert round(told["total"] / 1e6, 1) == 321.4
    assert {"ecg_encoder", "text_encoder", "fusion", "word_head", "ecg_decoder", "match_head"} <= told["parts"].keys()


def test_info_shows_a_table_to_people():
    shown = invoke("info", "--recipe", "paper")
    assert shown.exit_code == 0
    assert "321.4 M" in shown.stdout and "62,022,528" in shown.stdout


def test_info_shows_every_setting_of_a_recipe_that_says_only_what_differs():
    told = yaml.safe_load(invoke("info", "--recipe", "merl-resnet", "--settings").stdout)
    assert from_mapping(Recipe, told, "stdout") == load_recipe("merl-resnet")
    assert "base" not in told and told["model"]["text"]["vocabulary"] == 3000


@pytest.mark.parametrize("arguments", [(), ("--recipe", "paper", "--model", "somewhere")])
def test_info_wants_one_of_recipe_and_model(arguments):
    assert invoke("info", *arguments).exit_code == 2


def test_info_of_what_is_not_there_is_an_error_of_ours(tmp_path):
    assert isinstance(invoke("info", "--model", tmp_path).exception, CheckpointError)
    assert isinstance(invoke("info", "--recipe", "papyrus").exception, ConfigError)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", "s"),
        ("--out", "r"),
        ("--data", "s", "--out", "r", "--resume", "perhaps"),
        ("--data", "s", "--out", "r", "--devices", "0"),
        ("--data", "s", "--out", "r", "--nodes", "0"),
        ("--data", "s", "--out", "r", "--speed", "11"),
    ],
)
def test_wrong_usage_of_pretrain_exits_2(arguments):
    assert invoke("pretrain", *arguments).exit_code == 2


def test_pretrain_names_what_is_wrong_before_anything_is_made(tmp_path, tiny_store):
    out = ("--out", tmp_path / "run")
    for arguments, kind in (
        (("--data", tmp_path), StoreError),
        (("--data", tiny_store, "--recipe", "smal"), ConfigError),
        (("--data", tiny_store, "--set", "training.epoch=3"), ConfigError),
        (("--data", tiny_store, "--recipe", "paper"), StoreError),
    ):
        assert isinstance(invoke("pretrain", *arguments, *out).exception, kind), arguments
    assert not (tmp_path / "run").exists()


def test_pretrain_s_help_begins_with_an_example():
    shown = invoke("pretrain", "--help").stdout
    assert "cmelt pretrain --recipe small --data" in shown
    assert "--resume" in shown


def metrics(step: int) -> dict[str, float]:
    return {"loss": 3.0 / step, "mlm": 1.5, "gradient_norm": 1.0, "learning_rate": 1e-3, "records_per_second": 64.4}


def test_progress_tells_losses_rate_and_time_left(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lines = Lines()
    for step in range(1, 6):
        lines.step(step, 10, metrics(step))
        now[0] += 4.0
    lines.step(10, 10, metrics(10))
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in told] == ["1/10", "4/10", "10/10"]  # at most one in ten seconds, and the last
    assert "loss 0.750 (mlm 1.500) 64 records/s, 0.4 min left" in told[1]
    assert describe(metrics(1)) == "loss 3.000 (mlm 1.500) 64 records/s"


def start(tiny_store: Path, folder: Path, *assignments: str) -> subprocess.Popen:
    recipe = tiny_recipe_file(folder, *assignments)
    command = [sys.executable, "-m", "cmelt.cli", "pretrain", "--recipe", recipe, "--data", tiny_store, "--out", folder / "run"]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen([str(part) for part in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process: subprocess.Popen, run: Path, step: int) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        file = run / "metrics.jsonl"
        if file.exists() and file.read_text().count("\n") >= step:
            return
        time.sleep(0.01)
    pytest.fail(f"step {step} was not reached: {process.communicate()[1]}")


LONG = "training.steps=400"


def test_a_terminated_command_exits_143_with_its_state_saved(tiny_store, tmp_path):
    process = start(tiny_store, tmp_path, LONG)
    wait_for_step(process, tmp_path / "run", 3)
    process.terminate()
    out, messages = process.communicate(timeout=120)
    assert process.returncode == 143, messages
    assert out == ""
    assert "the same command goes on from here" in messages
    saved = max(int(path.name.removeprefix("step-")) for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert saved == losses_of(tmp_path / "run")[-1]["step"] < 400


@pytest.mark.slow
def test_an_interrupted_command_exits_130_and_a_killed_one_goes_on_exactly(tiny_store, tmp_path):
    """Ctrl-C, then SIGKILL at several moments, then the end: compared with a run that nobody touched."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    steps = "training.steps=30"
    whole = start(tiny_store, tmp_path / "whole", steps)
    messages = whole.communicate(timeout=600)[1]
    assert whole.returncode == 0, messages
    assert "finished: the model lies in" in messages
    for number, at in (
        (signal.SIGINT, 2),
        (signal.SIGKILL, 8),
        (signal.SIGKILL, 14),
        (signal.SIGKILL, 21),
    ):
        process = start(tiny_store, tmp_path / "cut", steps)
        wait_for_step(process, tmp_path / "cut" / "run", at)
        process.send_signal(number)
        process.communicate(timeout=120)
        assert process.returncode == (130 if number is signal.SIGINT else -9)
    last = start(tiny_store, tmp_path / "cut", steps)
    messages = last.communicate(timeout=600)[1]
    assert last.returncode == 0 and "going on after step" in messages
    assert losses_of(tmp_path / "cut" / "run") == losses_of(tmp_path / "whole" / "run")
    assert weights_of(tmp_path / "cut" / "run") == weights_of(tmp_path / "whole" / "run")
