"""F1 at thresholds that were chosen elsewhere, and calibration, averaged over draws: against scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from cmelt.evaluation import metrics
from cmelt.evaluation.calibration import expected_calibration_error
from cmelt.evaluation.comparison import Bench
from cmelt.evaluation.decisions import Calls, calls_of, decide, decide_by_validation
from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.results import plain

from .conftest import PlantedEmbedder, planted_store, planted_task


def world(count=400, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    truth = rng.random((count, classes)) < np.linspace(0.4, 0.2, classes)
    return Bench([f"c{c}" for c in range(classes)], truth, np.arange(count) // 2, 200, seed), truth, rng


def slow_best_threshold(scores, truth):
    """Try every score as a threshold, highest first."""
    best, found = -1.0, None
    for value in sorted(set(scores), reverse=True):
        quality = f1_score(truth, scores >= value)
        if quality > best + 1e-12:
            best, found = quality, value
    return best, found


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_has_a_higher_f1(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.3
    scores = np.round(rng.normal(size=60) + truth, 1)
    threshold = metrics.best_threshold(scores, truth)
    quality, value = slow_best_threshold(scores, truth)
    assert f1_score(truth, scores >= threshold) == pytest.approx(quality)
    assert ((scores >= threshold) == (scores >= value)).all()  # and of equals the highest
    assert threshold not in scores or threshold == scores.min()


def test_without_a_positive_there_is_no_threshold():
    assert np.isnan(metrics.best_threshold(np.array([0.1, 0.2]), np.array([False, False])))


def test_weighted_f1_is_that_of_records_copied_that_often():
    rng = np.random.default_rng(1)
    truth, called = rng.random(80) < 0.3, rng.random(80) < 0.4
    weights = rng.integers(0, 4, size=(6, 80))
    for found, weight in zip(metrics.weighted_f1(called, truth, weights), weights, strict=True):
        copied = np.repeat(np.arange(80), weight)
        assert found == pytest.approx(f1_score(truth[copied], called[copied]))
    assert metrics.weighted_f1(called, truth, np.ones((1, 80)))[0] == pytest.approx(metrics.f1(called, truth))
    assert np.isnan(metrics.weighted_f1(called, truth, (~truth)[None].astype(float)))[0]


def test_figures_are_the_means_over_draws_and_classes():
    bench, truth, rng = world()
    sets = []
    for strength in (0.5, 2.0):
        scores = strength * truth + rng.normal(size=truth.shape)
        sets.append(calls_of(scores, sigmoid(scores), scores, truth))
    found = decide(bench, sets, "here")
    f1 = [[f1_score(truth[:, c], one.called[:, c]) for c in range(2)] for one in sets]
    ece = [[expected_calibration_error(one.probabilities[:, c], truth[:, c]) for c in range(2)] for one in sets]
    assert found.macro_f1.value == pytest.approx(np.mean(f1))
    assert found.macro_ece.value == pytest.approx(np.mean(ece))
    assert found.classes["c1"].f1.value == pytest.approx(np.mean(f1, axis=0)[1])
    assert found.classes["c0"].thresholds == tuple(float(one.thresholds[0]) for one in sets)
    assert found.macro_f1.low < found.macro_f1.value < found.macro_f1.high
    assert 0 < found.macro_ece.low < found.macro_ece.value < found.macro_ece.high
    assert 0 < found.calibrated_ece < 0.1


def test_a_class_that_a_draw_cannot_know_is_never_called_there_and_one_that_none_knows_is_left_out():
    bench, truth, rng = world(classes=3)
    scores = truth + rng.normal(size=truth.shape)
    lacking = truth.copy()
    lacking[:, 1:] = False
    partly = lacking | (truth & [True, True, False])
    sets = [calls_of(scores, sigmoid(scores), scores, known) for known in (lacking, partly)]
    assert not sets[0].called[:, 1:].any()
    found = decide(bench, sets, "here")
    assert list(found.classes) == ["c0", "c1"]
    assert found.classes["c1"].f1.value == pytest.approx(f1_score(truth[:, 1], sets[1].called[:, 1]) / 2)


def test_nothing_to_choose_on_is_no_figure():
    bench, truth, _ = world()
    never = Calls(np.full(2, np.nan), np.zeros_like(truth), np.zeros(truth.shape))
    assert decide(bench, [never], "here") is None
    for validation in (np.zeros(400, bool), np.ones(400, bool)):
        assert decide_by_validation(bench, [truth.astype(float)], validation, probabilities=True) is None


def test_labels_of_the_measured_records_choose_neither_threshold_nor_scaling():
    _, truth, rng = world()
    scores = 0.02 * (truth + rng.normal(size=truth.shape)) + 0.3
    validation = np.arange(400) < 200
    exchanged = truth.copy()
    exchanged[~validation] = rng.permutation(truth[~validation])
    found = []
    for labels in (truth, exchanged):
        bench = Bench(("a", "b"), labels, np.arange(400), 50, 0)
        found.append(decide_by_validation(bench, [scores], validation, probabilities=False))
    assert [c.thresholds for c in found[0].classes.values()] == [c.thresholds for c in found[1].classes.values()]
    assert found[0].calibrated_ece == found[1].calibrated_ece  # a function of the probabilities alone
    assert found[0].macro_f1.value > found[1].macro_f1.value + 0.05
    assert found[0].records == 200


def test_scaling_makes_probabilities_of_cosines_and_leaves_log_odds_alone():
    _, truth, rng = world(2000)
    log_odds = 3 * truth - 2 + rng.normal(size=truth.shape)
    validation, bench = np.arange(2000) < 1000, Bench(("a", "b"), truth, np.arange(2000), 50, 0)
    cosines = 0.3 + 0.01 * log_odds
    scaled = decide_by_validation(bench, [cosines], validation, probabilities=False)
    unscaled = decide_by_validation(bench, [cosines], validation, probabilities=True)
    assert scaled.macro_ece.value < 2.5 * scaled.calibrated_ece
    assert unscaled.macro_ece.value > 0.2
    assert scaled.macro_f1.value == pytest.approx(unscaled.macro_f1.value)  # a monotone change moves no call


def test_results_carry_decisions_for_model_and_control_alike():
    store = planted_store()
    sides = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
    found = evaluate_tasks(*sides, store, [planted_task()], Protocol(fractions=(0.1, 1.0), draws=2, bootstrap=60))[0]
    shot = found.best_zero_shot
    assert shot.model.decisions.chosen_on == "validation"
    assert shot.model.decisions.records == len(store.rows("test"))
    assert shot.model.decisions.macro_f1.low > 0.6 > shot.random.decisions.macro_f1.high
    assert shot.model.decisions.macro_ece.value < 0.15
    tenth, whole = found.probes
    assert whole.comparison.model.decisions.chosen_on == "training records, out of fold"
    assert whole.comparison.model.decisions.records == found.records
    assert len(tenth.comparison.model.decisions.classes["fast"].thresholds) == 2
    assert whole.comparison.model.decisions.macro_f1.value > tenth.comparison.random.decisions.macro_f1.value + 0.2
    entry = plain(found)["probes"][1]["comparison"]["model"]["decisions"]
    assert entry["classes"]["fast"]["f1"]["value"] == whole.comparison.model.decisions.classes["fast"].f1.value


def test_without_validation_records_zero_shot_has_no_thresholds():
    sides = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
    protocol = Protocol(fractions=(), bootstrap=20, splits=("test",))
    found = evaluate_tasks(*sides, planted_store(), [planted_task()], protocol)[0]
    assert found.best_zero_shot.model.decisions is None
