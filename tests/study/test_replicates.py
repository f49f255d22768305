"""Intervals of differences are paired: the same patients, and the same seeds, in both models' replicates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cmelt.evaluation import metrics
from cmelt.study.outcomes import Hits, Scores
from cmelt.study.replicates import (
    AUPRC,
    AUROC,
    ECE,
    F1,
    Ground,
    Summary,
    cached_summary,
    ground_of,
    run_shares,
    summarise,
)

N, PATIENTS, R = 120, 70, 300


def outcome(strength: float, seed: int, draws: int = 1, noise: float = 1.0) -> Scores:
    """Two classes that the scores show more or less; the records are the same whatever the arguments."""
    world = np.random.default_rng(0)
    patients = world.integers(0, PATIENTS, N)
    truth = world.random((N, 2)) < np.array([0.3, 0.2])
    shared = world.normal(size=(N, 2))
    own = np.random.default_rng([1, seed]).normal(size=(draws, N, 2))
    split = np.where(patients % 2 == 0, 1, 2)
    return Scores(("a", "b"), np.arange(N) * 3, patients, split, truth, strength * truth + shared + noise * own)


def test_replicates_are_those_of_a_plain_bootstrap_over_patients_and_seeds() -> None:
    """The slow truth: for each replicate, records repeated as often as their patient and averaged over the drawn seeds."""
    seeds = {0: outcome(1.0, 0), 1: outcome(1.0, 1), 2: outcome(1.0, 2)}
    ground = ground_of(list(seeds.values()), 5, 1)
    found = summarise(seeds, ground).measures[AUROC].replicates
    shares = run_shares(3, 1, 5)
    for r in range(5):
        repeated = np.repeat(np.arange(N), ground.weights[r].astype(int))
        slow = 0.0
        for s in range(3):
            scores, truth = seeds[s].scores[0][repeated], seeds[s].truth[repeated]
            slow += shares[r, s, 0] * np.mean([roc_auc_score(truth[:, c], scores[:, c]) for c in range(2)])
        assert found[r] == pytest.approx(slow, abs=1e-6)


def test_a_patient_s_records_count_together() -> None:
    ground = ground_of([outcome(1.0, 0)], R, 1)
    patients = outcome(1.0, 0).patients
    for patient in np.unique(patients)[:10]:
        own = ground.weights[:, patients == patient]
        assert (own == own[:, :1]).all()


def test_a_model_does_not_differ_from_itself() -> None:
    one = summarise({0: outcome(1.0, 0)}, ground_of([outcome(1.0, 0)], R, 1)).measures[AUROC]
    difference = one.minus(one)
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_pairing_makes_the_interval_of_a_difference_narrower_than_that_of_strangers() -> None:
    better, worse = outcome(1.2, 0, noise=0.2), outcome(1.0, 1, noise=0.2)
    ground = ground_of([better, worse], R, 1)
    one, other = (summarise({0: o}, ground).measures[AUROC] for o in (better, worse))
    paired = one.minus(other)
    strangers = metrics.figure(0.0, one.replicates - np.random.default_rng(0).permutation(other.replicates))
    assert paired.high - paired.low < 0.6 * (strangers.high - strangers.low)


def test_seeds_that_disagree_widen_the_interval() -> None:
    alike = {s: outcome(1.0, 0) for s in range(3)}
    apart = {s: outcome(0.2 + 0.8 * s, 0) for s in range(3)}
    widths = []
    for seeds in (alike, apart):
        figure = summarise(seeds, ground_of(list(seeds.values()), R, 1)).measures[AUROC].figure
        widths.append(figure.high - figure.low)
    assert widths[1] > 1.3 * widths[0]


def test_the_figure_is_the_mean_of_the_seeds_figures() -> None:
    seeds = {4: outcome(1.0, 4, draws=3), 9: outcome(1.0, 9, draws=3)}
    found = summarise(seeds, ground_of(list(seeds.values()), R, 1)).measures
    for name, point in ((AUROC, metrics.auroc), (AUPRC, metrics.auprc)):
        by_hand = [np.mean([[point(k[:, c], o.truth[:, c]) for c in range(2)] for k in o.scores]) for o in seeds.values()]
        np.testing.assert_allclose(found[name].seeds, by_hand)
        assert found[name].figure.value == pytest.approx(np.mean(by_hand))
        assert found[name].figure.low < found[name].figure.value < found[name].figure.high


def test_shares_of_runs_sum_to_one_and_draws_stay_within_their_seed() -> None:
    shares = run_shares(3, 4, 500)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), 1.0)
    of_seeds = shares.sum(axis=2)
    np.testing.assert_allclose(of_seeds * 3, np.round(of_seeds * 3), atol=1e-9)
    assert (of_seeds == 0).any()
    np.testing.assert_array_equal(run_shares(1, 1, 7), np.ones((7, 1, 1)))


def test_models_are_compared_on_the_records_that_all_of_them_were_asked() -> None:
    one, other = outcome(1.0, 0), outcome(1.0, 1)
    ground = ground_of([one, other.at(other.rows[10:])], R, 1)
    np.testing.assert_array_equal(ground.rows, one.rows[10:])
    assert ground.patients == len(np.unique(one.patients[10:]))


def test_classes_with_too_few_positives_have_no_figures() -> None:
    one = outcome(1.0, 0)
    counts = one.truth.sum(axis=0)
    ground = ground_of([one], R, int(counts.min()) + 1)
    assert ground.classes == (("a",) if counts[0] > counts[1] else ("b",))
    assert summarise({0: one}, ground).classes.keys() == set(ground.classes)


def test_thresholds_are_chosen_on_validation_records_and_never_on_the_test_records_they_are_measured_on() -> None:
    one = outcome(1.5, 0)
    ground = ground_of([one], R, 1)
    found = summarise({0: one}, ground).decisions
    assert set(found) == {F1, ECE}
    # A monotone change of the validation scores alone moves the thresholds, and with them the F1 on test records.
    moved = one.scores.copy()
    moved[:, one.split == 1] -= 100.0
    assert summarise({0: replace(one, scores=moved)}, ground).decisions[F1].value != found[F1].value
    only_test = one.at(one.rows[one.split == 2])
    assert summarise({0: only_test}, ground_of([only_test], R, 1)).decisions == {}


def hits(seed: int) -> Hits:
    rng = np.random.default_rng(seed)
    values = (rng.random((1, N, 2)) < 0.4).astype(float)
    values[0, :30, 1] = np.nan
    return Hits(("first", "second"), np.arange(N), np.arange(N) // 2, values)


def test_shares_of_records_found_are_means_over_those_asked() -> None:
    one = hits(0)
    ground = ground_of([one], 4, 1)
    found = summarise({0: one}, ground).measures["second"]
    assert found.figure.value == pytest.approx(one.values[0, 30:, 1].mean())
    for r in range(4):
        repeated = np.repeat(np.arange(30, N), ground.weights[r, 30:].astype(int))
        assert found.replicates[r] == pytest.approx(one.values[0, repeated, 1].mean())


def test_a_cached_summary_is_the_one_that_was_made_and_changes_with_what_it_rests_on(tmp_path: Path) -> None:
    one = outcome(1.0, 0)
    ground = ground_of([one], R, 1)
    folder = tmp_path / "measured"
    folder.mkdir()
    (folder / "manifest.json").write_text("one")
    calls: list[Ground] = []

    def make(where: Ground = ground) -> Summary:
        calls.append(where)
        return summarise({0: one}, where)

    first = cached_summary(tmp_path / "cache", [folder], ground, make)
    again = cached_summary(tmp_path / "cache", [folder], ground, make)
    assert len(calls) == 1
    np.testing.assert_array_equal(again.measures[AUROC].replicates, first.measures[AUROC].replicates)
    assert (again.classes, again.decisions) == (first.classes, first.decisions)
    (folder / "manifest.json").write_text("another")
    cached_summary(tmp_path / "cache", [folder], ground, make)
    fewer = ground_of([one.at(one.rows[5:])], R, 1)
    cached_summary(tmp_path / "cache", [folder], fewer, lambda: make(fewer))
    assert len(calls) == 3


def test_replicates_draw_the_same_patients_whoever_is_measured_and_whenever() -> None:
    """A summary from the cache is subtracted from one made later: they are paired only if the draws are the same."""
    better, worse = outcome(1.0, 0), outcome(0.3, 1)
    grounds = [ground_of(outcomes, R, 1) for outcomes in ([better, worse], [worse, better], [worse])]
    for ground in grounds[1:]:
        np.testing.assert_array_equal(ground.weights, grounds[0].weights)
