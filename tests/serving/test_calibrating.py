"""Fitted curves: true on records whose probabilities are known, chosen without the test split, none where there is nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from cmelt.errors import CheckpointError, StoreError
from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.tasks import Task, TaskClass
from cmelt.serving.calibrating import KINDS, Draws, calibrate, cross_validated, fit_class, keep
from cmelt.serving.confidence import CALIBRATION, Curve, read_calibration
from cmelt.serving.loading import load
from trained_towers import saved_model

DRAWS = Draws(20)
TASK = Task({"A": TaskClass(("a",), ("it is a.",), ("it is b.",)), "rare": TaskClass(("r",), ("it is r.",), ("it is b.",))}, "t")


def logistic(count=600, slope=3.0, offset=-1.0, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal(count)
    return scores, rng.random(count) < sigmoid(slope * scores + offset), np.arange(count) // 2


def test_a_logistic_truth_is_found_within_its_interval():
    said = fit_class(*logistic(), Draws(50))
    assert said["kind"] == "platt" and said["records"] == 600 and said["patients"] == 300
    curve = said["curve"]
    at = np.linspace(-2, 2, 41)
    found, low, high = curve.at(at)
    truth = sigmoid(3 * at - 1)
    assert np.abs(found - truth).max() < 0.08
    assert ((low <= truth) & (truth <= high)).mean() > 0.8 and (low <= found).all() and (found <= high).all()


def test_a_step_is_isotonic():
    rng = np.random.default_rng(1)
    scores = rng.uniform(-1, 1, 1000)
    truth = rng.random(1000) < np.where(scores < -0.8, 0.02, np.where(scores < 0.8, 0.5, 0.98))
    assert fit_class(scores, truth, np.arange(1000), DRAWS)["kind"] == "isotonic"


def test_a_score_that_tells_the_opposite_gets_no_curve():
    truth = np.arange(400) % 4 == 0
    scores = np.random.default_rng(2).standard_normal(400) - 2.0 * truth
    said = fit_class(scores, truth, np.arange(400), DRAWS)
    assert said["kind"] == "none" and "curve" not in said and "no more than" in said["why_none"]


def test_a_score_that_tells_nothing_gets_no_curve_or_one_whose_interval_holds_the_prevalence():
    truth, without = np.arange(400) % 4 == 0, 0
    for seed in range(3):
        said = fit_class(np.random.default_rng(seed).standard_normal(400), truth, np.arange(400), DRAWS)
        if said["kind"] == "none":
            without += 1
        else:
            low, high = np.array(said["curve"].low), np.array(said["curve"].high)
            assert ((low <= 0.3) & (high >= 0.2)).mean() > 0.8
    assert without >= 1


def test_patients_are_counted_not_records():
    """One patient with thirty records of a rhythm is one observation of it."""
    scores, truth = np.linspace(0, 1, 200), np.arange(200) >= 170
    patients = np.where(truth, 0, np.arange(200))
    said = fit_class(scores, truth, patients, DRAWS)
    assert (said["kind"], said["positives"], said["positive_patients"]) == ("none", 30, 1) and "10 are needed" in said["why_none"]
    assert "without it" in fit_class(scores, ~truth, patients, DRAWS)["why_none"]


def test_records_of_one_patient_never_stand_on_both_sides_of_a_fold():
    """A lookup of known scores is perfect across folds of records, and no better than chance across patients."""
    rng = np.random.default_rng(3)
    scores = np.repeat(rng.standard_normal(150), 4)
    truth = np.repeat(rng.random(150) < 0.5, 4)

    def lookup(known, labels):
        table = dict(zip(known.tolist(), labels.tolist(), strict=True))
        return lambda asked: np.array([0.98 if table.get(one, one > 9) else 0.02 for one in asked.tolist()])

    assert cross_validated(lookup, scores, truth, np.arange(600), 0) < 0.1
    assert cross_validated(lookup, scores, truth, np.arange(600) // 4, 0) > 0.7


def test_intervals_are_wider_where_patients_are_fewer():
    scores, truth, _ = logistic(400)
    widths = []
    for patients in (np.arange(400), np.arange(400) // 8):
        curve = fit_class(scores, truth, patients, Draws(60))["curve"]
        widths.append(np.mean(np.subtract(curve.high, curve.low)))
    few = fit_class(scores[:100], truth[:100], np.arange(100), Draws(60))["curve"]
    assert np.mean(np.subtract(few.high, few.low)) > 1.4 * widths[0]


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_no_curve_falls_or_is_certain(kind):
    scores = np.linspace(-1, 1, 60)
    found = KINDS[kind](scores, scores > 0)(np.linspace(-3, 3, 99))
    assert (np.diff(found) >= 0).all() and found.min() > 0 and found.max() < 1


def test_a_kept_curve_is_as_good_as_the_function():
    scores, truth, patients = logistic(seed=5)
    curve: Curve = fit_class(scores, truth, patients, DRAWS)["curve"]
    assert np.abs(curve.at(scores)[0] - KINDS["platt"](scores, truth)(scores)).max() < 0.002


@dataclass
class Embeds:
    """ECGs whose first sample is the score of class A; texts by what they say."""

    identity: str = "w" * 64
    rate: float = 100.0
    samples: int = 4
    leads: tuple[str, ...] = ("I",)
    seen: tuple[str, ...] = ()
    negative_weight: float = 1.0
    aligned: bool = True

    def embed_ecgs(self, millivolts):
        rng = np.random.default_rng(0)
        angle = millivolts[:, 0, 0]
        parts = [np.cos(angle), np.sin(angle), *(0.01 * rng.standard_normal((4, len(angle))))]
        return np.stack(parts, axis=1).astype(np.float32)

    def embed_texts(self, texts):
        return np.array([[0, 1, 0, 0, 0, 0] if " a." in text else [1, 0, 0, 0, 0, 0] for text in texts], np.float32)


@dataclass
class Holds:
    """A store whose test and training labels are turned round: whoever looks at them goes wrong."""

    rate: float = 100.0
    samples: int = 4
    leads: tuple[str, ...] = ("I",)
    sha256: str = "s" * 64
    index: pd.DataFrame = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(4)
        self.angle = rng.uniform(-0.7, 0.7, 900)
        split = np.array(["train", "validation", "test"])[np.arange(900) % 3]
        is_a = rng.random(900) < sigmoid(6 * self.angle)
        is_a = np.where(split == "validation", is_a, ~is_a)
        labels = [["a"] if one else ["b"] for one in is_a]
        labels[1] = [*labels[1], "r"]
        names = [f"p{number}" for number in range(900)]
        self.index = pd.DataFrame({"labels": labels, "patient": names, "split": split, "fingerprint": "", "record": names})

    def rows(self, *splits):
        return np.flatnonzero(self.index["split"].isin(splits))

    def millivolts(self, rows):
        return np.repeat(self.angle[rows, None, None], 4, axis=2).astype(np.float32)


def test_only_validation_records_are_learned_from():
    found = calibrate(Embeds(), Holds(), [TASK], DRAWS)
    one, rare = found.classes
    assert (one.records, one.kind, found.weights, found.store, found.split) == (300, "platt", "w" * 64, "s" * 64, "validation")
    assert one.curve.probability[0] < 0.3 < 0.7 < one.curve.probability[-1]
    assert (rare.kind, rare.positives) == ("none", 1) and found.familiar.records == 300


def test_a_store_without_validation_and_records_that_training_has_seen_are_refused():
    store = Holds()
    store.index["split"] = "test"
    with pytest.raises(StoreError, match="no record in validation"):
        calibrate(Embeds(), store, [TASK], DRAWS)
    shared = Holds()
    shared.index.loc[[0, 1], "patient"] = "one"  # a training record, and one of validation
    with pytest.raises(StoreError, match="known from training"):
        calibrate(Embeds(), shared, [TASK], DRAWS)
    assert calibrate(Embeds(), shared, [TASK], DRAWS, leave_out_known=True).familiar.records == 299


def test_it_is_kept_under_the_seal_of_its_weights_and_read_with_them(tmp_path):
    folder = saved_model(tmp_path / "model")
    before = load(folder, device="cpu")[1]
    with pytest.raises(CheckpointError, match="other weights"):
        keep(folder, calibrate(Embeds(), Holds(), [TASK], DRAWS))
    found = calibrate(Embeds(before.identity), Holds(), [TASK], DRAWS)
    for _ in range(2):  # a second one takes the first one's place
        assert keep(folder, found) == folder / CALIBRATION
    assert load(folder, device="cpu")[1].calibration == found and before.calibration is None
    assert (folder / "README.md").read_text() == "# A card\n"
    (folder / CALIBRATION).write_text((folder / CALIBRATION).read_text().replace("2", "3", 1))
    with pytest.raises(CheckpointError):
        load(folder, device="cpu")
    saved_model(folder)
    assert read_calibration(folder, before.identity) is None, "new weights leave no old calibration behind"
