"""`cmelt calibrate`, and what `cmelt classify` then says beside a score: in a table, as JSON, as CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from cmelt.serving.classes import task_of
from cmelt.serving.confidence import CALIBRATION, Calibration, ClassCalibration, Curve, question_of
from cmelt.serving.loading import load
from cmelt.serving.unusual import Familiar
from ecg_files import heart, write_wfdb
from running import cmelt
from trained_towers import saved_model

AF, LBBB = "atrial-fibrillation", "left-bundle-branch-block"
CURVE = Curve((-2.0, 2.0), (0.25, 0.25), (0.125, 0.125), (0.5, 0.5))


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """A model of which one class has a curve, flat at a quarter, and to which every ECG is familiar."""
    folder = saved_model(tmp_path_factory.mktemp("calibrated") / "model")
    processor = load(folder, device="cpu")[1]
    nothing = (0.0,) * processor.settings.width
    familiar = Familiar(nothing, (nothing,), (1.0,), 1.0, 1e9, 99)
    asked = question_of(task_of([AF]).classes[AF], "contrast")
    one = ClassCalibration("t", AF, asked, "platt", 90, 20, 80, 18, curve=CURVE)
    known = Calibration(processor.identity, "s" * 64, "validation", "2026-01-02", 200, 0, familiar, (one,))
    (folder / CALIBRATION).write_text(known.to_json())
    return folder, known


@pytest.fixture(scope="module")
def ecgs(tmp_path_factory):
    """A sound ECG, and one with two leads under each other's names."""
    folder = tmp_path_factory.mktemp("ecgs")
    sound = heart(0, rate=250.0)
    write_wfdb(folder / "sound", sound, rate=250.0)
    write_wfdb(folder / "doubtful", sound[[1, 0, *range(2, 12)]], rate=250.0)
    return folder


def run(folder, *arguments):
    return cmelt("classify", *arguments, "--classes", f"{AF},{LBBB}", "--model", folder, "--device", "cpu")


def test_json_has_the_probability_or_why_there_is_none(calibrated, ecgs):
    told = json.loads(run(calibrated[0], ecgs / "sound.hea", ecgs / "doubtful.hea", "--json").stdout)["records"]
    assert told[0]["probabilities"] == {AF: {"probability": 0.25, "low": 0.125, "high": 0.5}}
    assert told[0]["cannot_tell"] is None and told[0]["verdicts"] == []
    assert told[1]["probabilities"] == {} and told[1]["cannot_tell"] and told[1]["verdicts"] == ["leads look swapped"]
    assert set(told[1]["scores"]) == {AF, LBBB}, "a score is there whatever can be told of it"


def test_tables_have_it_too(calibrated, ecgs):
    shown = " ".join(run(calibrated[0], ecgs / "sound.hea").stdout.split())
    assert "25 % (12–50)" in shown and "not calibrated" in shown and "Research use only" in shown
    shown = " ".join(run(calibrated[0], ecgs / "doubtful.hea").stdout.split())
    assert "no probabilities: " in shown and "leads look swapped" in shown and "25 %" not in shown
    rows = list(csv.reader(io.StringIO(run(calibrated[0], ecgs / "sound.hea", ecgs / "doubtful.hea", "--csv").stdout)))
    assert rows[0][-4:] == [f"{AF} probability", f"{AF} low", f"{AF} high", "cannot tell"]
    assert rows[1][-4:] == ["0.25", "0.125", "0.5", ""] and rows[2][-4:-1] == ["", "", ""] and rows[2][-1]


def test_a_calibration_of_other_weights_is_refused(calibrated, ecgs, tmp_path):
    folder = saved_model(tmp_path / "model")
    (folder / CALIBRATION).write_text(replace(calibrated[1], weights="0" * 64).to_json())
    done = run(folder, ecgs / "sound.hea")
    assert done.returncode == 1 and "other weights" in done.stderr and not done.stdout


def test_a_store_of_a_few_validation_records_is_refused_and_nothing_is_kept(calibrated, tiny_store, tmp_path):
    folder = saved_model(tmp_path / "model")
    done = cmelt("calibrate", folder, "--data", tiny_store, "--task", "simulated", "--bootstrap", "20")
    assert done.returncode == 1 and "too few" in done.stderr
    assert not (folder / CALIBRATION).exists() and np.isfinite(load(folder, device="cpu")[1].negative_weight)


def test_a_task_twice_is_refused(tmp_path):
    done = cmelt("calibrate", "small", "--data", tmp_path, "--task", "ptbxl-super", "--task", "ptbxl-super")
    assert done.returncode == 1 and "ptbxl-super" in done.stderr
