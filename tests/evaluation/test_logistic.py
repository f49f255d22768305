"""The many-label solver against scikit-learn's, one class at a time."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.evaluation.logistic import fit_path, log_loss, sigmoid

GRID = (1e-3, 1e-1, 10.0)


def problem(count, width, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 8)) @ rng.normal(size=(8, width)) + 0.3 * rng.normal(size=(count, width))
    features = (features - features.mean(0)) / features.std(0)
    truth = features[:, :classes] + rng.normal(size=(count, classes)) > np.linspace(0, 1, classes)
    return features, truth


@pytest.mark.parametrize(("count", "width"), [(300, 20), (40, 120)], ids=["more records", "more features"])
def test_every_class_equals_scikit_learns_solution(count, width):
    from sklearn.linear_model import LogisticRegression

    features, truth = problem(count, width)
    for strength, model in zip(GRID, fit_path(features, truth, GRID, 1e-6), strict=True):
        for c in range(truth.shape[1]):
            reference = LogisticRegression(C=strength, tol=1e-10, max_iter=50_000).fit(features, truth[:, c])
            np.testing.assert_allclose(model.weights[:, c], reference.coef_[0], atol=2e-4)
            np.testing.assert_allclose(model.decision(features)[:, c], reference.decision_function(features), atol=2e-3)


def test_the_path_does_not_depend_on_where_it_started():
    features, truth = problem(200, 30)
    alone = fit_path(features, truth, [10.0])[0]
    np.testing.assert_allclose(alone.weights, fit_path(features, truth, GRID)[-1].weights, atol=1e-3)


def test_a_class_without_positives_gets_a_prior_and_leaves_the_others_alone():
    features, truth = problem(100, 10)
    with_empty = np.column_stack([truth, np.zeros(100, bool), np.ones(100, bool)])
    model, plain = fit_path(features, with_empty, [0.1])[0], fit_path(features, truth, [0.1])[0]
    assert (model.weights[:, 3:] == 0).all()
    assert model.intercepts[3] == pytest.approx(np.log(0.5 / 100.5))
    assert model.intercepts[4] == pytest.approx(np.log(100.5 / 0.5))
    np.testing.assert_allclose(model.weights[:, :3], plain.weights, atol=1e-4)


def test_only_classes_without_positives_is_no_problem():
    model = fit_path(np.random.default_rng(0).normal(size=(5, 3)), np.zeros((5, 2), bool), [1.0])[0]
    assert np.isfinite(model.intercepts).all()


def test_constant_features_change_nothing():
    model = fit_path(np.zeros((10, 4)), np.arange(10)[:, None] < 3, [1.0])[0]
    assert (model.weights == 0).all()
    assert sigmoid(model.intercepts)[0] == pytest.approx(0.3, abs=1e-3)


def test_a_sure_and_wrong_answer_costs_much_but_not_everything():
    assert log_loss(np.array([[1e4]]), np.array([[False]])) == pytest.approx(13.8, abs=0.01)
    assert log_loss(np.array([[1e4]]), np.array([[True]])) == pytest.approx(0.0, abs=1e-5)
