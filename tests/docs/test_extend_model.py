"""docs/extend/objective.md and text-tower.md: their code put where it belongs, trained for a step or two, saved and loaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from block_checks import patched
from code_blocks import ROOT, blocks_of
from python_lines import run_python
from scratch_package import MOST_LINES, commands_of, files_of, lines_of_code, python_of, write
from shell_lines import commands_in, words_of
from shortened import shortened

import cmelt as cmelt_api
from running import cmelt

OBJECTIVE, TOWER = "docs/extend/objective.md", "docs/extend/text-tower.md"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the package with the objective of the page in it."""
    shutil.copytree(ROOT / "src/cmelt", tmp_path / "src/cmelt", ignore=shutil.ignore_patterns("__pycache__"))
    write(files_of(OBJECTIVE), tmp_path)
    (diff,) = [block.text for block in blocks_of(OBJECTIVE) if block.language == "diff"]
    for path, text in patched(diff, tmp_path).items():
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_objective_is_short() -> None:
    (diff,) = [block.text for block in blocks_of(OBJECTIVE) if block.language == "diff"]
    added = "\n".join(line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++"))
    assert lines_of_code(added) + sum(map(lines_of_code, files_of(OBJECTIVE).values())) <= MOST_LINES


def test_the_objective_passes_its_own_test_and_is_trained_and_weighed(clone: Path, tiny_store: Path) -> None:
    shutil.copytree(tiny_store, clone / "STORE")
    env = {**os.environ, "PYTHONPATH": str(clone / "src")}
    own = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", clone, clone / "tests"]
    tested = subprocess.run(own, cwd=clone, env=env, capture_output=True, text=True, timeout=300)
    assert tested.returncode == 0 and "1 passed" in tested.stdout, tested.stdout
    (command,) = [line for block in commands_of(OBJECTIVE) for line in commands_in(block.text)]
    trained = [sys.executable, "-m", "cmelt.cli", *words_of(shortened(command))[1:]]
    done = subprocess.run(trained, cwd=clone, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (first, *_) = [json.loads(line) for line in (clone / "RUN/metrics.jsonl").read_text().splitlines()]
    assert 0 < first["closeness"] <= 4  # squared distance of unit vectors


@pytest.fixture
def world(tmp_path: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's files and a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    write(files_of(TOWER), tmp_path)
    shutil.copytree(tiny_store, tmp_path / "STORE")
    yield tmp_path
    sys.modules.pop("gru_text", None)


def test_a_tower_is_short() -> None:
    assert all(lines_of_code(text) <= MOST_LINES for text in files_of(TOWER).values())


def test_a_tower_of_transformers_is_trained_saved_and_loaded(world: Path) -> None:
    (command,) = [line for block in commands_of(TOWER) for line in commands_in(block.text) if "distilbert" in line]
    done = cmelt(*words_of(shortened(command))[1:])
    assert done.returncode == 0, done.stderr
    model, processor = cmelt_api.load("RUN")
    assert type(model.text_encoder).__name__ == "DistilBertModel"
    assert cmelt_api.embed_texts(model, processor, ["sinus rhythm"]).shape == (1, 256)


def test_a_tower_of_one_s_own_is_trained_saved_and_loaded_and_blind_to_padding(world: Path) -> None:
    (command,) = [line for block in commands_of(TOWER) for line in commands_in(block.text) if line.startswith("python")]
    words = words_of(command)
    assert words[:2] == ["python", "-c"] and words[2].startswith("import gru_text")
    __import__("gru_text")
    done = cmelt(*words_of(shortened("cmelt " + " ".join(words[3:])))[1:])
    assert done.returncode == 0, done.stderr
    names = {"__name__": "page"}
    for block in python_of(TOWER):
        assert run_python(block, names) == 1
    alone = cmelt_api.embed_texts(names["model"], names["processor"], ["sinus rhythm"])
    beside = cmelt_api.embed_texts(names["model"], names["processor"], ["sinus rhythm", "a longer report. " * 5])
    assert abs(alone[0] - beside[0]).max() < 1e-6
    assert type(names["model"].text_encoder).__name__ == "GruText"
