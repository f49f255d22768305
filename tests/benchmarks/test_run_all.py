"""The benchmark house: what runs becomes table and picture, what fails is named, and no script is forgotten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from measuring import Figure, tell
from run_all import APART, HERE, SCRIPTS, Script, kept_results, run_all, write

SOURCE = HERE.parent / "src"
TINY = """
import argparse, pathlib, sys
sys.path.append({here!r})
from measuring import Figure, options, tell, verdict
parser = options(None)
parser.add_argument("--release")
parser.add_argument("--value", type=float, default=0.5)
chosen = parser.parse_args()
met = verdict(chosen.value, "≤ 0.6")
tell([
    Figure("step of 8 pairs", chosen.value, "×", "the release", 0.4, 0.7, "≤ 0.6", met, chosen.release or ""),
    Figure("records | a second", 60000.0, "records/s", target="≥ 50,000", met=True),
    Figure("nothing asked", 3.25, "ms"),
], chosen.json, ["no GPU"])
"""
BROKEN = "import sys; sys.exit(3)"
SILENT = "pass"
ENDLESS = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[0]).with_suffix(".pid").write_text(str(child.pid))
time.sleep(600)
"""
LYING = """
import sys
sys.path.append({here!r})
from measuring import Figure, options, tell
tell([Figure("step", 0.9, "×", target="≤ 0.6", met=True)], options(None).parse_args().json)
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, source in {"tiny": TINY, "broken": BROKEN, "silent": SILENT, "endless": ENDLESS, "lying": LYING}.items():
        (tmp_path / f"{name}.py").write_text(source.replace("{here!r}", repr(str(HERE))))
    return tmp_path


def test_a_script_s_figures_become_a_table_and_a_picture(house):
    tiny = Script("tiny", "Training step", release=True)
    assert run_all([tiny], ["tiny"], house, house, "some-folder") == []
    page = (house / "RESULTS.md").read_text()
    assert "## Training step" in page and "2 of 2 targets reached" in page
    assert "| step of 8 pairs | 0.500 × | 0.400 – 0.700 | the release | ≤ 0.6 | reached | some-folder |" in page
    assert "| records \\| a second | 60,000 records/s |  |  | ≥ 50,000 | reached |  |" in page
    assert "| nothing asked | 3.25 ms |  |  |  |  |  |" in page
    assert "Skipped: no GPU" in page and "| torch |" in page
    picture = ElementTree.parse(house / "RESULTS.svg").getroot()
    written = " ".join(picture.itertext())
    assert "step of 8 pairs: 0.500 × (≤ 0.6)" in written and "nothing asked" not in written


def test_a_missed_target_is_named_at_the_top(house):
    run_all([Script("tiny", "Step", arguments=("--value", "0.61"))], ["tiny"], house, house, None)
    page = (house / "RESULTS.md").read_text()
    assert "1 of 2 targets reached.** Missed: step of 8 pairs." in page
    assert "| ≤ 0.6 | **missed** |" in page


@pytest.mark.parametrize(
    ("name", "reason"),
    [("broken", "ended with 3"), ("silent", "wrote no figures"), ("lying", "step: 0.9 × is said to have reached ≤ 0.6")],
)
def test_a_script_that_fails_is_told_and_the_others_run_on(house, name, reason):
    scripts = [Script(name, "Broken"), Script("tiny", "Tiny")]
    assert run_all(scripts, [name, "tiny"], house, house, None) == [name]
    page = (house / "RESULTS.md").read_text()
    assert f"**Failed: {reason}.**" in page and f"`{name}` {reason}" in page
    assert "step of 8 pairs" in page


def test_a_script_that_takes_too_long_is_stopped_with_all_that_it_started(house):
    began = time.perf_counter()
    assert run_all([Script("endless", "Endless", limit=3.0)], ["endless"], house, house, None) == ["endless"]
    assert time.perf_counter() - began < 30
    assert "stopped after its 3 s" in (house / "RESULTS.md").read_text()
    child = Path(f"/proc/{(house / 'endless.pid').read_text()}/stat")
    deadline = time.perf_counter() + 5
    while child.exists() and child.read_text().split(")")[1].split()[0] != "Z" and time.perf_counter() < deadline:
        time.sleep(0.05)
    assert not child.exists() or child.read_text().split(")")[1].split()[0] == "Z"


def test_running_one_again_leaves_the_others_figures_as_they_were_kept(house):
    (house / "other.py").write_text((house / "tiny.py").read_text().replace("step of 8 pairs", "quite another job"))
    scripts = [Script("tiny", "Tiny"), Script("other", "Other")]
    run_all(scripts, ["tiny", "other"], house, house, None)
    (house / "tiny.py").write_text((house / "tiny.py").read_text().replace("step of 8 pairs", "step of 9 pairs"))
    run_all(scripts, ["tiny"], house, house, None)
    page = (house / "RESULTS.md").read_text()
    assert "step of 9 pairs" in page and "step of 8 pairs" not in page and "quite another job" in page


def test_figures_of_another_machine_say_so(house):
    scripts = [Script(name, name) for name in ("one", "two", "gpu")]
    (house / "results").mkdir()
    for script, gpu in zip(scripts, ("none", "none", "H200"), strict=True):
        tell([Figure("job", 1.0, "s")], house / "told.json")
        content = json.loads((house / "told.json").read_text()) | {"heading": "", "seconds": 1.0, "failed": ""}
        content["machine"] |= {"GPU": gpu}
        (house / "results" / f"{script.name}.json").write_text(json.dumps(content))
    write(house, kept_results(house / "results", scripts))
    page = (house / "RESULTS.md").read_text()
    assert page.count("On another machine") == 1 and "On another machine" in page.split("## gpu")[1]


def test_the_same_figures_make_the_same_bytes(house):
    tiny = [Script("tiny", "Tiny")]
    run_all(tiny, ["tiny"], house, house, None)
    before = [(house / name).read_bytes() for name in ("RESULTS.md", "RESULTS.svg")]
    write(house, kept_results(house / "results", tiny))
    assert before == [(house / name).read_bytes() for name in ("RESULTS.md", "RESULTS.svg")]


def test_the_page_in_the_repository_is_what_the_kept_figures_give(tmp_path):
    if not (HERE / "RESULTS.md").exists():
        pytest.skip("make bench has not been run here")
    write(tmp_path, kept_results(HERE / "results", SCRIPTS))
    assert (tmp_path / "RESULTS.md").read_text() == (HERE / "RESULTS.md").read_text(), "edited by hand? run_all.py --table"


def scripts_there() -> set[str]:
    return {path.stem for path in HERE.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}


def test_every_script_is_in_the_list_once():
    names = [script.name for script in SCRIPTS]
    assert sorted(names) == sorted(set(names))
    assert scripts_there() - {"run_all", *APART} == set(names)


@pytest.mark.parametrize("name", sorted(scripts_there()))
def test_every_script_answers_help_and_takes_json(name):
    command, environment = [sys.executable, str(HERE / f"{name}.py"), "--help"], {**os.environ, "PYTHONPATH": str(SOURCE)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage:")
    assert name in ("run_all", *APART) or "--json" in ended.stdout
    takes_release = {script.name for script in SCRIPTS if script.release}
    assert (name in takes_release) <= ("--release" in ended.stdout)
