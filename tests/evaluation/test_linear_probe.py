"""The probe finds what is there, chooses inside its own records, and never sees an evaluated label."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cmelt.evaluation.linear_probe import FOLDS, GRID, cross_validate, draw_records, fit_probe, patient_folds


def planted(count, width=24, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    truth = rng.random((count, 3)) < np.array([0.4, 0.2, 0.1])
    embeddings = rng.normal(size=(count, width))
    embeddings[:, :3] += 2.0 * strength * truth
    return embeddings, truth


def areas(scores, truth):
    from sklearn.metrics import roc_auc_score

    return np.array([roc_auc_score(truth[:, c], scores[:, c]) for c in range(truth.shape[1])])


def test_a_planted_direction_is_found():
    """Two standard deviations apart: the best possible AUROC is Φ(√2) = 0.921."""
    train, labels = planted(1500)
    test, truth = planted(1500, seed=1)
    probe = fit_probe(train, labels, np.arange(1500), np.random.default_rng(0))
    assert areas(probe.scores(test), truth) == pytest.approx(0.921, abs=0.03)


def test_nothing_is_found_where_nothing_is():
    train, labels = planted(400, strength=0.0)
    test, truth = planted(1000, seed=1, strength=0.0)
    probe = fit_probe(train, labels, np.arange(400), np.random.default_rng(0))
    assert areas(probe.scores(test), truth) == pytest.approx(0.5, abs=0.08)


def test_noise_is_regularised_away_and_signal_is_not():
    noise, labels = planted(200, width=300, strength=0.0)
    signal, shown = planted(2000, width=5, strength=2.0)
    rng = np.random.default_rng(0)
    assert cross_validate(noise, labels, np.arange(200), rng, GRID)[0] <= 1e-3
    assert cross_validate(signal, shown, np.arange(2000), rng, GRID)[0] >= 0.1


def test_units_of_an_embedding_do_not_matter():
    train, labels = planted(200)
    probe = fit_probe(train, labels, np.arange(200), np.random.default_rng(0))
    scaled = fit_probe(train * 1000 + 7, labels, np.arange(200), np.random.default_rng(0))
    np.testing.assert_allclose(scaled.scores(train * 1000 + 7), probe.scores(train), atol=1e-3)


def test_a_dead_dimension_is_harmless():
    train, labels = planted(100)
    train[:, 5] = 3.0
    assert np.isfinite(fit_probe(train, labels, np.arange(100), np.random.default_rng(0)).scores(train)).all()


def test_folds_never_part_a_patient():
    patients = np.random.default_rng(0).integers(0, 40, 300)
    folds = patient_folds(patients, np.random.default_rng(1))
    assert set(folds) == set(range(FOLDS))
    for patient in range(40):
        assert len(set(folds[patients == patient])) <= 1


def test_copies_of_a_patient_do_not_fool_the_choice():
    """Each patient ten times: held-out copies would make memorising (a large C) look good."""
    embeddings, truth = planted(40, width=200, strength=0.0)
    patients = np.repeat(np.arange(40), 10)
    copied, labels = embeddings[patients], truth[patients]
    by_patient = cross_validate(copied, labels, patients, np.random.default_rng(0), GRID)[0]
    by_record = cross_validate(copied, labels, np.arange(400), np.random.default_rng(0), GRID)[0]
    assert by_patient < by_record


def test_one_patient_alone_still_gets_a_probe():
    train, labels = planted(6)
    assert fit_probe(train, labels, np.zeros(6, int), np.random.default_rng(0)).strength in GRID


def test_a_draw_holds_every_class_that_the_pool_holds():
    rng = np.random.default_rng(0)
    truth = np.zeros((1500, 6), bool)
    truth[:, 0] = rng.random(1500) < 0.5
    for c in range(1, 5):
        truth[rng.choice(1500, 2, replace=False), c] = True  # two positives each; class 5 has none
    for seed in range(20):
        drawn = draw_records(truth, 0.01, np.random.default_rng(seed))
        assert len(drawn) == len(set(drawn)) == 15
        assert truth[drawn].any(axis=0).tolist() == [True] * 5 + [False]


def test_draws_differ_by_seed_and_not_otherwise():
    truth = np.random.default_rng(0).random((500, 3)) < 0.3
    one, again, other = (draw_records(truth, 0.1, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()
    assert len(one) == 50


def test_a_whole_draw_is_everything_and_a_tiny_one_two_records():
    truth = np.ones((30, 1), bool)
    assert draw_records(truth, 1.0, np.random.default_rng(0)).tolist() == list(range(30))
    assert len(draw_records(truth, 0.001, np.random.default_rng(0))) == 2


def test_more_rare_classes_than_room_keeps_the_size():
    truth = np.eye(50, dtype=bool)
    assert len(draw_records(truth, 0.1, np.random.default_rng(0))) == 5


@pytest.mark.slow
def test_the_usual_study_takes_under_a_minute():
    """5 draws × 3 shares × 5 classes of 1,510 × 384 features on one core."""
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(1510, 60)) @ rng.normal(size=(60, 384)) + 0.3 * rng.normal(size=(1510, 384))
    truth = embeddings[:, :5] + 5 * rng.normal(size=(1510, 5)) > 5
    start = time.process_time()
    for fraction in (0.01, 0.1, 1.0):
        for draw in range(5):
            drawn = draw_records(truth, fraction, np.random.default_rng(draw))
            fit_probe(embeddings[drawn], truth[drawn], drawn, np.random.default_rng(draw))
    assert time.process_time() - start < 60
