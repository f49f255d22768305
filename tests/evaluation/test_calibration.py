"""Platt scaling and ECE against slow, obvious float64 truths; what an ECE is worth on few records."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.evaluation import calibration
from cmelt.evaluation.calibration import calibrated_ece, centred, expected_calibration_error, fit_platt, weighted_ece
from cmelt.evaluation.logistic import sigmoid


def slow_ece(probabilities, truth, bins=15):
    """Sort, cut into as equal parts as can be, compare the means."""
    order = np.argsort(probabilities, kind="stable")
    total = 0.0
    for part in np.array_split(order, bins):
        if len(part):
            total += abs(sum(float(probabilities[i]) for i in part) - sum(int(truth[i]) for i in part))
    return total / len(truth)


@pytest.mark.parametrize("count", [15, 150, 600])
def test_ece_is_the_slow_one(count):
    rng = np.random.default_rng(count)
    probabilities = rng.random(count)
    truth = rng.random(count) < probabilities**2
    assert expected_calibration_error(probabilities, truth) == pytest.approx(slow_ece(probabilities, truth), abs=1e-12)


def test_bins_hold_equally_many_and_equal_probabilities_share_one():
    rng = np.random.default_rng(0)
    sizes = np.bincount(calibration.bins_of(rng.random(505)), minlength=15)
    assert sizes.sum() == 505
    assert sizes.max() - sizes.min() <= 1
    coarse = np.round(rng.random(300), 1)
    place = calibration.bins_of(coarse)
    assert all(len(set(place[coarse == value])) == 1 for value in np.unique(coarse))


def test_weights_are_copies_of_records():
    """With the bins of all records kept, a record of weight 3 counts as three."""
    rng = np.random.default_rng(1)
    probabilities, truth = rng.random(90), rng.random(90) < 0.4
    weights = rng.integers(0, 4, size=(5, 90))
    place = calibration.bins_of(probabilities)
    for found, weight in zip(weighted_ece(probabilities, truth, weights), weights, strict=True):
        copied = np.repeat(np.arange(90), weight)
        gaps = [abs((probabilities[copied] - truth[copied])[place[copied] == b].sum()) for b in range(15)]
        assert found == pytest.approx(sum(gaps) / len(copied))


def test_a_constant_probability_is_as_wrong_as_the_prevalence_says():
    truth = np.arange(100) < 30
    assert expected_calibration_error(np.full(100, 0.5), truth) == pytest.approx(0.2)
    assert expected_calibration_error(np.full(100, 0.3), truth) == pytest.approx(0.0)


def test_true_probabilities_have_the_expected_error_and_overconfident_ones_more():
    rng = np.random.default_rng(2)
    found, expected = [], []
    for _ in range(30):
        logits = rng.normal(size=500)
        truth = rng.random(500) < sigmoid(logits)
        found.append(expected_calibration_error(sigmoid(logits), truth))
        expected.append(calibrated_ece(sigmoid(logits), rng))
        assert expected_calibration_error(sigmoid(4 * logits), truth) > 2 * expected[-1]
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)


def test_the_spread_lies_around_the_figure_and_not_below_zero():
    figure = centred(0.05, np.array([0.06, 0.08, 0.10]))
    assert figure.low == pytest.approx(0.031, abs=1e-3)
    assert figure.high == pytest.approx(0.069, abs=1e-3)
    assert centred(0.01, np.array([0.0, 0.1, 0.2])).low == 0.0


def test_platt_is_scikit_learns_logistic_regression_on_platts_targets():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    truth = rng.random((200, 2)) < [0.3, 0.1]
    scores = 0.05 * truth + 0.02 * rng.normal(size=truth.shape) + 0.4  # cosines: small, off zero
    fitted = fit_platt(scores, truth)
    for c in range(2):
        positives = truth[:, c].sum()
        high, low = (positives + 1) / (positives + 2), 1 / (200 - positives + 2)
        targets = np.where(truth[:, c], high, low)
        twice = np.concatenate([scores[:, c], scores[:, c]])[:, None] * 100
        labels = np.repeat([True, False], 200)
        reference = LogisticRegression(C=1e8, tol=1e-10, max_iter=10_000).fit(
            twice, labels, sample_weight=np.concatenate([targets, 1 - targets])
        )
        expected = reference.predict_proba(scores[:, c : c + 1] * 100)[:, 1]
        np.testing.assert_allclose(fitted.probabilities(scores)[:, c], expected, atol=1e-5)


def test_separable_records_do_not_make_platt_certain():
    scores = np.array([[0.1], [0.2], [0.8], [0.9]])
    probabilities = fit_platt(scores, np.array([[False], [False], [True], [True]])).probabilities(scores)
    assert 0.15 < probabilities.min() < probabilities.max() < 0.85
    assert probabilities[3] > 0.7 > 0.3 > probabilities[0]


def test_equal_scores_and_lone_classes_are_scaled_without_a_fuss():
    fitted = fit_platt(np.full((10, 2), 0.3), np.array([[True, False]] * 5 + [[False, False]] * 5))
    probabilities = fitted.probabilities(np.full((1, 2), 0.3))[0]
    assert probabilities == pytest.approx([0.5, 1 / 12], abs=1e-4)
