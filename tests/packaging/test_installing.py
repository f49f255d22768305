"""What an installation is asked, is judged rightly; and, slowly, real installations by wheel and by sdist do all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import installing
import pytest
from installed_jobs import EXTRA, LACKING, PLAIN, Environment, Job, bare_environment, names_the_extra
from trees import ROOT


def environment_that_says(folder: Path, said: str, status: int) -> Environment:
    """An environment whose cmelt says one thing, whatever it is asked."""
    program = folder / "environment" / "bin" / "cmelt"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}' \"$PYTHONPATH$CMELT_TRACEBACK\"\nexit {status}\n", encoding="utf-8")
    program.chmod(0o755)
    return Environment(folder / "environment", folder / "away")


def test_commands_run_away_from_the_repository_and_do_not_see_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nowhere/src")
    monkeypatch.setenv("CMELT_TRACEBACK", "1")
    assert not {name for name in bare_environment() if name.startswith(("PYTHON", "CMELT"))}
    where = environment_that_says(tmp_path, "cmelt 0.1.0", 0)
    assert where.run("cmelt", "--version") == (0, "cmelt 0.1.0\n\n")
    assert where.away.is_dir() and ROOT not in where.away.parents


@pytest.mark.parametrize(
    ("said", "status", "named"),
    [
        ('cmelt: uvicorn not installed (pip install "cmelt[serve]")', 1, True),
        ('cmelt: uvicorn not installed (pip install "cmelt[explain]")', 1, False),
        ('cmelt: uvicorn not installed (pip install "cmelt[serve]")', 0, False),
        ('Traceback (most recent call last): cmelt[serve]', 1, False),
        ("cmelt: no module named uvicorn", 1, False),
    ],
)  # fmt: skip
def test_an_extra_is_named_only_where_an_error_without_a_traceback_names_it(
    tmp_path: Path, said: str, status: int, named: bool
) -> None:
    assert names_the_extra(environment_that_says(tmp_path, said, status), "serve") is named


def test_jobs_are_counted_and_those_that_fail_are_named(tmp_path: Path) -> None:
    where = environment_that_says(tmp_path, "cmelt 0.1.0", 0)
    found = installing.jobs_done(where, [PLAIN[0], Job("never", lambda _: False)])
    assert found == {"done": 1, "of": 2, "failed": ["never"]}
    (tmp_path / "other").mkdir()
    broken = environment_that_says(tmp_path / "other", "ModuleNotFoundError", 1)
    assert installing.jobs_done(broken, PLAIN[:2])["failed"] == ["--version", "--help"]


def test_every_extra_that_a_user_may_ask_for_has_a_job() -> None:
    assert set(EXTRA) == set(installing.EXTRAS.split(",")) == set(LACKING) | {"tensorboard"}
    assert "h5py" in installing.named_in_pyproject() and "sphinx" in installing.named_in_pyproject()


def test_results_stand_beside_those_of_before(tmp_path: Path) -> None:
    installing.keep(tmp_path / "found.json", "wheel", {"done": 1})
    installing.keep(tmp_path / "found.json", "sdist", {"done": 2})
    installing.keep(tmp_path / "found.json", "wheel", {"done": 3})
    held = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert {name: found["done"] for name, found in held.items()} == {"sdist": 2, "wheel": 3}


def test_what_was_measured_is_what_the_page_says() -> None:
    """Every job of wheel, sdist and extras was done; an installation that failed in part would have to be told on the page."""
    held = json.loads(installing.RESULTS.read_text(encoding="utf-8"))
    installed = {"wheel", "sdist", *(f"extra {extra}" for extra in EXTRA)}
    assert all(held[name]["failed"] == [] and held[name]["done"] == held[name]["of"] for name in installed)
    assert all(held[f"extra {extra}"]["named when it is lacking"] for extra in LACKING)
    assert held["a wrong hash"]["refused"] is True
    failed = {test.partition("::")[0] for name, found in held.items() if ": tests/" in name for test in found["which"]}
    assert failed <= {"tests/model/test_kept_activations.py"}  # reads PyTorch's internals, which were others in 2.11
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    for name, found in held.items():
        if name.endswith(": jobs"):
            assert f"{found['done']} of {found['of']} jobs" in page, name


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_wheel_and_sdist_install_into_empty_environments_and_work(tmp_path: Path) -> None:
    """Needs the package index, and some gigabytes."""
    asked = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "-d",
        str(tmp_path),
        "-c",
        "constraints.txt",
        "rich",
    ]
    if subprocess.run(asked, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("no package index")
    script = [sys.executable, str(ROOT / "benchmarks/faults/installing.py"), "--scratch", str(tmp_path / "scratch")]
    done = subprocess.run(
        [*script, "--only", "wheel", "sdist", "--json", str(tmp_path / "found.json")],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    held = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert all(found["failed"] == [] for found in held.values() if "done" in found)
    assert held["a wrong hash"]["refused"] is True and len(held) == 3 + len(EXTRA)
