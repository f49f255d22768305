"""`cmelt download`: what it says first, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from cmelt.sources import transfer
from cmelt.sources.ptb_xl import PtbXl
from ecg_files import write_ptb_xl
from file_server import serving
from running import cmelt

SRC = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(transfer, "LONGEST_PAUSE", 0.001)
    with serving() as files:
        yield files


def publish(server, folder: Path) -> str:
    """Publish everything in `folder` as PhysioNet would."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return server.publish_sums("/files/ptb-xl/1.0.3", **files)


def test_what_was_downloaded_is_a_source(server, tmp_path):
    base = publish(server, write_ptb_xl(tmp_path / "published", 4))
    done = cmelt("download", "ptb-xl", tmp_path / "here", "--from", base)
    assert (done.returncode, done.stdout) == (0, f"10 files came, 0 lay there already, 0 failed: {tmp_path / 'here'}\n")
    assert len(PtbXl(str(tmp_path / "here")).entries().entries) == 4
    assert "lay there already" in cmelt("download", "ptb-xl", tmp_path / "here", "--from", base + "/").stdout


def test_licence_and_citation_come_first(server, tmp_path):
    base = publish(server, write_ptb_xl(tmp_path / "published", 1))
    said = cmelt("download", "ptb-xl", tmp_path / "here", "--from", base).stderr.splitlines()
    assert said[:2] == ["PTB-XL 1.0.3", "licence: CC BY 4.0"]
    assert said[2].startswith("cite: Wagner")
    assert said[-1] == "downloading ptb-xl: 4 of 4 files"


def test_the_result_as_json(server, tmp_path):
    base = publish(server, write_ptb_xl(tmp_path / "published", 3))
    done = cmelt("download", "ptb-xl", tmp_path / "here", "--from", base, "--only", "*.csv", "--json")
    assert json.loads(done.stdout) == {"folder": str(tmp_path / "here"), "fetched": 2, "kept": 0, "failed": []}


def test_what_failed_is_listed_and_makes_it_end_with_1(server, tmp_path):
    base = publish(server, write_ptb_xl(tmp_path / "published", 4))
    lost = "records100/00000/00002_lr.dat"
    server.faults[f"/files/ptb-xl/1.0.3/{lost}"] += ["404", "404"]
    done = cmelt("download", "ptb-xl", tmp_path / "here", "--from", base)
    assert done.returncode == 1
    assert "9 files came, 0 lay there already, 1 failed" in done.stdout
    assert f"failed: {lost}: the server answers 404" in done.stderr
    told = json.loads(cmelt("download", "ptb-xl", tmp_path / "here", "--from", base, "--json").stdout)
    assert (told["kept"], told["failed"]) == (9, [{"path": lost, "reason": "the server answers 404"}])
    assert cmelt("download", "ptb-xl", tmp_path / "here", "--from", base).returncode == 0


def test_a_zenodo_record_is_told_in_megabytes(server, tmp_path):
    base = server.publish_record("/api/records/4916206", **{"exams.csv": b"x" * 3_400_000})
    done = cmelt("download", "code-15", tmp_path / "here", "--from", base)
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "downloading code-15: 3 of 3 MB"


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["simulated"], 1, "cannot be downloaded from here"),
        (["folder"], 1, "cannot be downloaded from here"),
        (["ptb-xl", "--from", "file:///etc"], 1, "not an address of a web server"),
        (["ptb-xl", "--from", "http://127.0.0.1:1/"], 1, "no connection"),
        (["nowhere"], 2, "no source"),
        (["ptb-xl", "--jobs", "0"], 2, "--jobs"),
    ],
)
def test_what_cannot_be_is_said_in_one_message(server, tmp_path, arguments, status, complaint):
    name, *options = arguments
    done = cmelt("download", name, tmp_path / "here", *options)
    assert (done.returncode, done.stdout) == (status, "")
    assert complaint in done.stderr
    assert not (tmp_path / "here").exists() or not list((tmp_path / "here").iterdir())


def test_the_help_begins_with_an_example_of_a_part():
    text = cmelt("download", "--help").stdout
    assert text.index("cmelt download ptb-xl") < text.index("Options")


def test_ctrl_c_ends_it_with_130_and_keeps_parts(server, tmp_path):
    content = os.urandom(2_000_000)
    base = server.publish_sums("/t", **{"a.csv": content})
    server.faults["/t/a.csv"] += ["stall"]
    environment = os.environ | {"PYTHONPATH": str(SRC), "no_proxy": "*"}
    command = [sys.executable, "-m", "cmelt.cli", "download", "ptb-xl", str(tmp_path), "--from", base]
    # A suite that was itself started in the background hands an ignored SIGINT down to every child: put the default back.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        part, deadline = tmp_path / "a.csv.part", time.monotonic() + 60
        while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not (tmp_path / "a.csv").exists()
    assert cmelt("download", "ptb-xl", tmp_path, "--from", base).returncode == 0
    assert (tmp_path / "a.csv").read_bytes() == content
