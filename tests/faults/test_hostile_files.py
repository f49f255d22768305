"""Artefacts made to harm (benchmarks/faults/hostile_makers.py): refused by name, nothing foreign run or opened elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"
sys.path.append(str(SCRIPTS))
from hostile_makers import ARTEFACTS, HARMLESS  # noqa: E402

_OPEN = """
import json, sys, tempfile
from dataclasses import asdict
from pathlib import Path
sys.path.append(sys.argv[1])
from hostile_files import open_all
print(json.dumps([asdict(one) | {"harmless": one.harmless} for one in open_all(Path(sys.argv[2]))]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Of every artefact, opened in a process of its own: a hook that watches a process cannot be taken out of it again."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parents[1] / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _OPEN, str(SCRIPTS), str(tmp_path_factory.mktemp("hostile") / "root")]
    Path(command[-1]).mkdir()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return {one["name"]: one for one in json.loads(ended.stdout.splitlines()[-1])}


def test_there_are_at_least_25_kinds(outcomes):
    assert len(ARTEFACTS) >= 25 and outcomes.keys() == ARTEFACTS.keys() | HARMLESS.keys()


@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_hostile_artefact_is_refused_by_name_and_does_no_harm(outcomes, name):
    outcome = outcomes[name]
    assert outcome["refused"], outcome["told"]
    assert outcome["harmless"], (outcome["ran"], outcome["outside"], outcome["more"])


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_document_type_points_at_is_not_fetched(outcomes, name):
    assert outcomes[name]["harmless"], outcomes[name]


_HARMFUL = """
import sys, pickle, subprocess, tempfile
from pathlib import Path
sys.path.append(sys.argv[1])
from hostile_files import Tempting
from hostile_makers import Bomb
from watching import Watch
root = Path(sys.argv[2])
inside, outside = root / "inside", root / "outside"
inside.mkdir()
tempting = Tempting(outside)
watch = Watch(inside, temporary=root / "temporary")
tempting.touched()
with watch:
    open(outside / "secret.txt", "rb").close()
    open(inside / "written", "w").close()
    pickle.loads(pickle.dumps(Bomb(root / "canary")))
assert (root / "canary").exists()
assert any("secret.txt" in told for told in watch.outside), watch.outside
assert any("written" in told for told in watch.outside), watch.outside
assert any(told.startswith("pickle.find_class") for told in watch.ran), watch.ran
assert any(told.startswith("os.system") for told in watch.ran), watch.ran
assert sys.platform != "linux" or tempting.touched() == ["secret.txt"]
"""


def test_the_watch_sees_harm_when_there_is_some(tmp_path):
    command = [sys.executable, "-c", _HARMFUL, str(SCRIPTS), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parents[1] / "src")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]


_LARGE = """
import sys
sys.path.append(sys.argv[1])
from hostile_files import _held
from measuring import peak_megabytes
from watching import forget_peak
before = _held()
forget_peak()
bytearray(b"x" * 200_000_000)
assert peak_megabytes() - before > 150, peak_megabytes() - before
before = _held()
forget_peak()
assert peak_megabytes() - before < 50, peak_megabytes() - before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted anew on Linux alone")
def test_the_watch_sees_memory_that_is_taken_and_given_back():
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parents[1] / "src")}
    ended = subprocess.run(
        [sys.executable, "-c", _LARGE, str(SCRIPTS)], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
