"""Areas against scikit-learn, replicates against copied records, intervals against their promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from cmelt.evaluation import metrics


def tied_scores(rng, count):
    """Scores with many ties, as a coarse model gives them, and a truth with both kinds."""
    truth = rng.random(count) < 0.3
    truth[:2] = [True, False]
    return np.round(rng.normal(size=count) + truth, 1), truth


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 80))
def test_weighted_areas_equal_those_of_records_copied_that_often(seed, count):
    rng = np.random.default_rng(seed)
    scores, truth = tied_scores(rng, count)
    weights = rng.integers(0, 4, size=(3, count))
    weights[:, :2] = np.maximum(weights[:, :2], 1)
    areas = metrics.weighted_auroc(scores, truth, weights)
    precisions = metrics.weighted_auprc(scores, truth, weights)
    for row, weight in enumerate(weights):
        copied = np.repeat(np.arange(count), weight)
        assert areas[row] == pytest.approx(roc_auc_score(truth[copied], scores[copied]))
        assert precisions[row] == pytest.approx(average_precision_score(truth[copied], scores[copied]))


def test_unweighted_replicate_is_the_reported_figure():
    scores, truth = tied_scores(np.random.default_rng(1), 200)
    ones = np.ones((1, 200))
    assert metrics.weighted_auroc(scores, truth, ones)[0] == pytest.approx(metrics.auroc(scores, truth))
    assert metrics.weighted_auprc(scores, truth, ones)[0] == pytest.approx(metrics.auprc(scores, truth))


def test_chunks_do_not_change_replicates(monkeypatch):
    rng = np.random.default_rng(2)
    scores, truth = tied_scores(rng, 50)
    weights = metrics.patient_weights(np.arange(50), 20, rng)
    whole = metrics.weighted_auroc(scores, truth, weights)
    monkeypatch.setattr(metrics, "CHUNK", 7)
    np.testing.assert_array_equal(metrics.weighted_auroc(scores, truth, weights), whole)


def test_a_replicate_without_positives_has_no_area_and_keeps_the_class_at_its_value_in_the_mean():
    truth = np.array([True, False, False, False])
    weights = np.array([[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    areas = metrics.weighted_auroc(np.array([3.0, 1.0, 2.0, 0.0]), truth, weights)
    assert np.isnan(areas[0])
    assert areas[1] == 1.0
    points = np.array([0.5, 0.7])
    assert metrics.macro(np.array([[np.nan, 0.8], [0.6, 0.8]]), points).tolist() == pytest.approx([0.65, 0.7])


def test_a_rare_class_with_a_low_figure_does_not_lift_the_interval_off_the_mean():
    """One positive ranked last vanishes from 37 % of the replicates."""
    rng = np.random.default_rng(6)
    truth = np.column_stack([rng.random(200) < 0.4, np.arange(200) == 0])
    scores = truth[:, :1] + rng.normal(size=(200, 2))
    scores[0, 1] = scores[:, 1].min() - 1
    weights = metrics.patient_weights(np.arange(200), 500, rng)
    points = np.array([metrics.auroc(scores[:, c], truth[:, c]) for c in range(2)])
    replicates = metrics.class_replicates(scores, truth, weights, metrics.weighted_auroc)
    assert 0.3 < np.isnan(replicates[:, 1]).mean() < 0.45
    found = metrics.figure(points.mean(), metrics.macro(replicates, points))
    assert found.value == pytest.approx((found.low + found.high) / 2, abs=0.01)


def test_records_of_a_patient_are_drawn_together():
    patients = np.array([0, 0, 0, 1, 2, 2])
    weights = metrics.patient_weights(patients, 500, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 4] == weights[:, 5]).all()
    assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()


def test_evaluable_classes_have_both_kinds():
    truth = np.array([[True, False, True], [True, False, False]])
    assert metrics.evaluable(truth).tolist() == [False, False, True]


def test_interval_is_wider_when_records_come_in_fours():
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(100), 4)
    truth = (rng.random(100) < 0.4)[patients]
    scores = (rng.normal(size=100) + truth[::4])[patients] + 0.1 * rng.normal(size=400)

    def width(groups):
        weights = metrics.patient_weights(groups, 400, np.random.default_rng(0))
        found = metrics.figure(0.0, metrics.weighted_auroc(scores, truth, weights))
        return found.high - found.low

    assert width(patients) > 1.6 * width(np.arange(400))  # four alike records are one: √4 = 2 in theory


def test_interval_covers_the_truth_nineteen_times_in_twenty():
    """Binormal scores with known AUROC Φ(d/√2), two alike records a patient; 95 % nominal, 200 studies, 3 σ of slack."""
    from scipy.stats import norm

    expected, covered = norm.cdf(1.0 / np.sqrt(2)), 0
    for study in range(200):
        rng = np.random.default_rng([5, study])
        patients = np.repeat(np.arange(120), 2)
        truth = (np.arange(120) < 50)[patients]
        scores = rng.normal(size=120)[patients] + truth
        found = metrics.figure(0.0, metrics.weighted_auroc(scores, truth, metrics.patient_weights(patients, 300, rng)))
        covered += found.low <= expected <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_curve_area_is_the_auroc_and_ends_are_right():
    scores, truth = tied_scores(np.random.default_rng(4), 3000)
    grid = np.linspace(0, 1, 1001)
    curve = metrics.roc_curve(scores, truth, grid)
    assert np.trapezoid(curve, grid) == pytest.approx(metrics.auroc(scores, truth), abs=2e-3)
    assert curve[-1] == 1.0
    assert (np.diff(curve) >= 0).all()


def test_perfect_scores_rise_at_once():
    curve = metrics.roc_curve(np.array([2.0, 3.0, 0.0, 1.0]), np.array([True, True, False, False]), np.array([0.0, 0.5, 1.0]))
    assert curve.tolist() == [1.0, 1.0, 1.0]


def test_a_figure_without_replicates_has_no_interval():
    found = metrics.figure(0.7, np.array([np.nan, np.nan]))
    assert found.value == 0.7
    assert np.isnan(found.low)
    assert np.isnan(found.high)
