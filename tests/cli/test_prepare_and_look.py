"""`cmelt prepare`, `inspect`, `show`: what they print is an interface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ecg_files import UNREMARKABLE, heart, write_ptb_xl, write_wfdb
from running import cmelt

SRC = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}


PYTHON_M_CMELT = [sys.executable, "-m", "cmelt.cli"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Six records, one of them flat, with a table."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(6):
        write_wfdb(folder / f"r{number}", heart(UNREMARKABLE[number]) if number != 3 else np.zeros((12, 1000), np.float32))
    rows = [f"r{number},p{number},normal ecg in patient {number % 2},normal;x{number}" for number in range(6)]
    (folder / "t.csv").write_text("record,patient,report,labels\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def store(archive, tmp_path_factory):
    out = tmp_path_factory.mktemp("stores") / "store"
    done = cmelt("prepare", "folder", archive, "--table", archive / "t.csv", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    return out


def test_help_is_quick_and_lists_every_command():
    command = [*PYTHON_M_CMELT, "--help"]
    seconds = []
    for _ in range(3):
        before = os.times()  # processor time: a busy machine is no fault of the command
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        after = os.times()
        seconds.append(after.children_user - before.children_user + after.children_system - before.children_system)
    assert min(seconds) < 1.0
    for name in ("prepare", "inspect", "show", "info", "pretrain", "evaluate", "demo"):
        assert name in done.stdout


def test_nothing_heavy_is_imported_for_help():
    heavy = ("torch", "pandas", "scipy", "wfdb", "pyarrow", "matplotlib", "sklearn", "transformers")
    code = f"""
import sys
import cmelt, cmelt.cli, cmelt.records, cmelt.sources, cmelt.store
sys.argv = ['cmelt', '--help']
try:
    cmelt.cli.main()
except SystemExit:
    print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


COMMANDS = [["prepare"], ["prepare", "ptb-xl"], ["prepare", "folder"], ["prepare", "simulated"], ["inspect"], ["show"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_a_command_shows_a_working_example_first(command):
    text = cmelt(*command, "--help").stdout
    assert text.index("Example: cmelt") < text.index("Options")


def test_show_prints_the_documented_json(archive):
    shown = json.loads(cmelt("show", archive / "r1", "--json").stdout)
    assert set(shown) == {
        "leads", "rate_hz", "seconds", "calibration_seconds", "rms_mv", "flags", "derived", "measurements", "age", "sex",
        "labels", "report", "patient",
    }  # fmt: skip
    assert (shown["rate_hz"], shown["seconds"], shown["report"], shown["patient"]) == (100.0, 10.0, None, None)
    assert shown["leads"] == ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    assert shown["rms_mv"]["V3"] == pytest.approx(float(np.sqrt(np.mean(heart(UNREMARKABLE[1])[8] ** 2))), abs=1e-3)
    assert shown["flags"] == []


def test_show_names_what_is_wrong(archive):
    flags = json.loads(cmelt("show", archive / "r3.hea", "--json").stdout)["flags"]
    assert "flat:V6" in flags
    assert "flat" in cmelt("show", archive / "r3").stdout


def test_show_of_a_real_record(data_dir):
    shown = json.loads(cmelt("show", data_dir / "ptb-xl/records500/00000/00001_hr", "--json").stdout)
    assert (shown["rate_hz"], shown["seconds"], len(shown["leads"]), shown["flags"]) == (500.0, 10.0, 12, [])
    assert 0.05 < shown["rms_mv"]["II"] < 1


def test_prepare_reports_what_it_did(archive, tmp_path):
    done = cmelt("prepare", "folder", archive, "--table", archive / "t.csv", "--out", tmp_path / "s", "--json")
    said = json.loads(done.stdout)
    assert (said["records"], said["quarantined"], said["missing_files"]) == (5, 1, 0)
    assert list(said["reasons"].values()) == [1]
    assert "left out 1: no usable lead" in done.stderr
    assert len(said["sha256"]) == 64


def test_strict_makes_a_record_left_out_a_failure_but_keeps_the_store(archive, tmp_path):
    done = cmelt("prepare", "folder", archive, "--out", tmp_path / "s", "--strict")
    assert done.returncode == 1
    assert (tmp_path / "s/manifest.json").exists()


def test_inspect_prints_the_documented_json(store):
    found = json.loads(cmelt("inspect", store, "--full", "--json").stdout)
    assert (found["records"], found["patients"], found["quarantined"], found["rate_hz"]) == (5, 5, 1, 100.0)
    assert list(found["quarantine_reasons"].values()) == [1]
    assert found["classes"]["normal"]["all"] == 5
    assert sum(found["classes"]["normal"][split] for split in ("train", "validation", "test")) == 5
    assert found["source_seconds"]["middle"] == 10
    assert found["source_rates_hz"] == {"100": 5}
    assert found["reports"]["with_report"] == 5
    assert found["reports"]["distinct"] == 2
    assert found["leads"][3] == "aVR"


def test_inspect_without_json_says_the_same_in_tables(store):
    text = cmelt("inspect", store).stdout
    for expected in ("5 of 5 patients", "12 leads, 100 Hz, 10 s", "no usable lead", "normal"):
        assert expected in text


def test_ptb_xl_from_the_command_line(tmp_path):
    folder = write_ptb_xl(tmp_path / "ptb", 5)
    done = cmelt("prepare", "ptb-xl", folder, "--out", tmp_path / "s")
    assert done.returncode == 0
    assert "5 records" in done.stdout
    assert "1 rows of the table have no files" in done.stderr


def test_simulated_from_the_command_line(tmp_path):
    command = [
        "prepare",
        "simulated",
        "--records",
        "6",
        "--patients",
        "4",
        "--seed",
        "2",
        "--rate",
        "100",
        "--out",
        tmp_path / "s",
    ]
    assert cmelt(*command).returncode == 0
    found = json.loads(cmelt("inspect", tmp_path / "s", "--json").stdout)
    assert (found["records"], found["patients"], found["rate_hz"]) == (6, 4, 100.0)


@pytest.mark.parametrize(
    "wrong",
    [
        ["prepare", "ptb-xl"],
        ["prepare", "ptb-xl", ".", "--out", "x", "--rate", "250"],
        ["prepare", "nowhere", "--out", "x"],
        ["show"],
        ["inspect", "x", "--loud"],
        ["diagnose"],
        ["prepare", "simulated", "--out", "x", "--records", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(wrong):
    done = cmelt(*wrong)
    assert done.returncode == 2
    assert done.stdout == ""


def test_failures_end_with_1_and_one_message(tmp_path):
    for wrong in (["show", tmp_path / "none"], ["inspect", tmp_path], ["prepare", "ptb-xl", tmp_path, "--out", tmp_path / "s"]):
        done = cmelt(*wrong)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("cmelt: ")
        assert len(done.stderr.splitlines()) == 1


def test_an_interrupted_command_ends_with_130_and_leaves_no_store(tmp_path):
    command = [
        sys.executable,
        "-m",
        "cmelt.cli",
        "prepare",
        "simulated",
        "--records",
        "4000",
        "--workers",
        "2",
        "--shard-records",
        "50",
    ]
    # A suite that was itself started in the background hands an ignored SIGINT down to every child: put the default back.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command += ["--out", str(tmp_path / "s")]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        receipts = tmp_path / ".s.preparing/receipts"
        deadline = time.monotonic() + 200
        while not list(receipts.glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not (tmp_path / "s").exists()
