"""What is said beside a score: bound to weights, words and scoring; silence where a recording allows none."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import cmelt
from cmelt.errors import CheckpointError
from cmelt.evaluation.tasks import Task, TaskClass
from cmelt.serving.confidence import (
    CALIBRATION,
    NO_ECG,
    NOISY,
    SWAPPED,
    UNLIKE,
    Calibration,
    ClassCalibration,
    Curve,
    judge,
    question_of,
    read_calibration,
)
from cmelt.serving.processor import Facts
from cmelt.serving.unusual import Familiar

CURVE = Curve((-1.0, 0.0, 1.0), (0.1, 0.2, 0.8), (0.0, 0.1, 0.6), (0.3, 0.4, 0.9))
AF = TaskClass(("AF",), ("atrial fibrillation.",), ("normal ecg.",), ("no atrial fibrillation.",))
OTHER = TaskClass(("LBBB",), ("left bundle branch block.",), ("normal ecg.",))
TASK = Task({"AF": AF, "LBBB": OTHER}, "two")
#: One direction of two; unit vectors near (1, 0) are familiar.
FAMILIAR = Familiar((1.0, 0.0), ((0.0, 1.0),), (0.1,), 0.1, 2.0, 99)
NEAR, FAR = np.array([[1.0, 0.0]], np.float32), np.array([[-1.0, 0.0]], np.float32)


def calibration(*classes, weights="w" * 64):
    fitted = classes or (ClassCalibration("two", "AF", question_of(AF, "contrast"), "platt", 90, 20, 80, 18, curve=CURVE),)
    return Calibration(weights, "s" * 64, "validation", "2026-01-02", 200, 0, FAMILIAR, tuple(fitted))


def facts(*flags, missing=()):
    return Facts("r", 1, 0, missing, flags)


def judged(score=0.5, vectors=NEAR, about=None, task=TASK, scoring="contrast", known=None):
    scores = np.full((1, len(task.classes)), score, np.float32)
    return judge(known or calibration(), task, scoring, vectors, scores, [about or facts()])


def test_a_probability_lies_on_its_curve_and_a_class_without_one_has_none():
    found = judged(0.5)
    told = [values[0, 0] for values in (found.probabilities, found.low, found.high)]
    assert told == pytest.approx([0.5, 0.35, 0.65])
    assert np.isnan(found.probabilities[0, 1]) and found.cannot_tell == (None,) and found.flags == ((),)
    assert found.probabilities.dtype == np.float32 and found.probabilities.shape == (1, 2)


@pytest.mark.parametrize(("score", "expected"), [(-5.0, 0.1), (5.0, 0.8)])
def test_beyond_what_validation_has_shown_nothing_is_promised(score, expected):
    assert judged(score).probabilities[0, 0] == pytest.approx(expected)


def test_other_words_or_another_scoring_have_no_probability_and_another_name_for_the_same_words_has():
    renamed = Task({"atrial fibrillation": AF}, "statements")
    assert judged(task=renamed).probabilities[0, 0] == pytest.approx(0.5)
    reworded = Task({"AF": dataclasses.replace(AF, prompts=("afib.",))}, "two")
    against = Task({"AF": dataclasses.replace(AF, negative_prompts=("healthy.",))}, "two")
    assert judged(task=reworded).probabilities is None and judged(task=against).probabilities is None
    assert judged(scoring="similarity").probabilities is None and judged(scoring="pairs").probabilities is None
    unread = Task({"AF": dataclasses.replace(AF, absent_prompts=())}, "two")
    assert judged(task=unread).probabilities is not None, "prompts that the scoring does not use play no part"


def test_a_task_s_own_curve_goes_before_another_s():
    asked = question_of(AF, "contrast")
    steep = dataclasses.replace(CURVE, probability=(0.0, 0.5, 1.0))
    other = ClassCalibration("other", "AF", asked, "platt", 90, 20, 80, 18, curve=CURVE)
    own = ClassCalibration("two", "AF", asked, "platt", 90, 20, 80, 18, curve=steep)
    assert judged(0.0, known=calibration(other, own)).probabilities[0, 0] == pytest.approx(0.5)
    none = ClassCalibration("two", "AF", asked, "none", 90, 3, 80, 3, why_none="3 patients")
    assert judged(known=calibration(other, none)).probabilities is None


@pytest.mark.parametrize(
    ("about", "vectors", "flags", "reason"),
    [
        (facts("poor-quality"), NEAR, (NOISY,), "poor quality"),
        (facts("arms-reversed"), NEAR, (SWAPPED,), "arm electrodes"),
        (facts("limb-swapped:I/II", "limb-inverted:III"), NEAR, (SWAPPED,), "I and II look exchanged"),
        (facts(), FAR, (UNLIKE,), "unlike"),
        (facts("poor-quality"), FAR, (NO_ECG, NOISY, UNLIKE), "poor quality"),
        (facts("missing:V1", missing=("V1",)), NEAR, (), "V1 not recorded"),
        (facts("short", "padded"), NEAR, (), "shorter than 5 s"),
        (facts("rate-suspect:×2"), NEAR, (), "sampling rate"),
    ],
)
def test_what_is_doubtful_gets_no_probability_and_is_told_why(about, vectors, flags, reason):
    found = judged(vectors=vectors, about=about)
    assert np.isnan(found.probabilities).all() and np.isnan(found.low).all() and np.isnan(found.high).all()
    assert found.flags == (flags,) and reason in found.cannot_tell[0]


def test_small_faults_leave_the_probability():
    assert judged(about=facts("noisy:V2", "mains:50", "cropped")).probabilities[0, 0] == pytest.approx(0.5)


def test_without_a_calibration_doubts_are_told_all_the_same():
    found = judge(None, TASK, "contrast", FAR, np.zeros((1, 2), np.float32), [facts("poor-quality")])
    assert found.probabilities is None and found.flags == ((NOISY,),) and "poor quality" in found.cannot_tell[0]


def test_what_is_kept_reads_back_and_belongs_to_its_weights(tmp_path):
    assert read_calibration(tmp_path, "w" * 64) is None
    (tmp_path / CALIBRATION).write_text(calibration().to_json(), encoding="utf-8")
    assert read_calibration(tmp_path, "w" * 64) == calibration()
    with pytest.raises(CheckpointError, match="other weights"):
        read_calibration(tmp_path, "v" * 64)


@pytest.mark.parametrize("broken", ["", "[]", "{}", '{"format": "cmelt-calibration", "version": 99}', "changed"])
def test_a_broken_file_is_an_error_that_names_it(tmp_path, broken):
    if broken == "changed":
        said = json.loads(calibration().to_json())
        said["classes"][0]["curve"]["low"] = "low"
        broken = json.dumps(said)
    (tmp_path / CALIBRATION).write_text(broken)
    with pytest.raises(CheckpointError, match=CALIBRATION):
        read_calibration(tmp_path, "w" * 64)


def test_scores_carry_it_by_class_and_as_json(model, processor):
    record = cmelt.record_of(np.zeros((12, 1000)) + np.sin(np.arange(1000) / 9), rate=100, unit="mV", leads=cmelt.LEADS)
    plain = cmelt.classify(model, processor, record, Task({"AF": AF}, "two"))
    assert plain.probabilities is None and plain.probabilities_of(0) == {}
    nothing = (0.0,) * processor.settings.width
    trusting = dataclasses.replace(FAMILIAR, mean=nothing, directions=(nothing,), limit=1e9)
    known = dataclasses.replace(calibration(), familiar=trusting)
    scores = cmelt.classify(model, dataclasses.replace(processor, calibration=known), record, Task({"AF": AF}, "two"))
    assert (scores.values == plain.values).all(), "a calibration changes no score"
    told = scores.to_json()["records"][0]
    assert (told["probabilities"] == {}) == (scores.cannot_tell[0] is not None)
    json.dumps(told)
