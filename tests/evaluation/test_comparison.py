"""Controls: what they are worth when the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.evaluation import metrics
from cmelt.evaluation.comparison import Bench, exchange, shuffled_figure, text_only_figure


def bench_of(count=400, replicates=300, seed=0):
    rng = np.random.default_rng(seed)
    patients = np.arange(count) // 2
    truth = rng.random((count, 2)) < [0.4, 0.2]
    return Bench(("a", "b"), truth, patients, replicates, seed), truth, patients, rng


def test_point_figures_are_scikit_learns():
    from sklearn.metrics import average_precision_score, roc_auc_score

    bench, truth, _, rng = bench_of()
    scores = truth + rng.normal(size=truth.shape)
    found = bench.compare([scores], [-scores]).model
    for c, name in enumerate("ab"):
        assert found.classes[name].auroc.value == pytest.approx(roc_auc_score(truth[:, c], scores[:, c]))
        assert found.classes[name].auprc.value == pytest.approx(average_precision_score(truth[:, c], scores[:, c]))
    assert found.macro_auroc.value == pytest.approx(roc_auc_score(truth, scores, average="macro"))


def test_a_model_compared_with_itself_gains_exactly_nothing():
    """Paired replicates: unpaired ones would give an interval as wide as the figures' own."""
    bench, truth, _, rng = bench_of()
    scores = truth + rng.normal(size=truth.shape)
    gain = bench.compare([scores], [scores.copy()]).gain
    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)


def test_a_slightly_better_model_is_told_from_its_like_by_pairing():
    bench, truth, _, rng = bench_of(1000)
    scores = truth + rng.normal(size=truth.shape)
    found = bench.compare([scores + 0.2 * truth], [scores])
    assert found.gain.low > 0
    assert found.model.macro_auroc.low < found.random.macro_auroc.high  # their own intervals overlap


def test_draws_widen_the_interval_of_their_mean():
    bench, truth, _, rng = bench_of(1000, replicates=300)
    noise = rng.normal(size=truth.shape)
    alike = [truth + noise] * 4
    unlike = [strength * truth + noise for strength in (0.2, 0.7, 1.3, 1.8)]
    widths = []
    for sets in (alike, unlike):
        macro = bench.compare(sets, sets).model.macro_auroc
        widths.append(macro.high - macro.low)
    assert widths[1] > 2 * widths[0]


def test_mean_over_draws_is_the_mean_of_their_figures():
    bench, truth, _, rng = bench_of()
    sets = [truth * strength + rng.normal(size=truth.shape) for strength in (0.5, 1.5)]
    expected = np.mean([bench.macro_auroc(s) for s in sets])
    assert bench.compare(sets, sets).model.macro_auroc.value == pytest.approx(expected)


def test_equal_seeds_give_equal_intervals():
    (one, truth, _, rng), (again, *_) = bench_of(), bench_of()
    scores = truth + rng.normal(size=truth.shape)
    assert one.compare([scores], [scores]).model == again.compare([scores], [scores]).model


@pytest.mark.parametrize("sizes", [[1] * 20, [3, 1, 2, 2, 5, 1, 1, 4], [2, 2]])
def test_every_record_is_given_another_patients_ecg(sizes):
    patients = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(30):
        order = exchange(patients, np.random.default_rng(seed))
        assert sorted(order) == list(range(len(patients)))
        assert (patients[order] != patients).all()


def test_one_patient_with_most_records_still_gives_a_permutation():
    order = exchange(np.array([0, 0, 0, 1]), np.random.default_rng(0))
    assert sorted(order) == [0, 1, 2, 3]


def test_shuffled_ecgs_are_worth_nothing_however_good_the_scores():
    bench, truth, patients, _ = bench_of(600)
    found = shuffled_figure(bench, truth.astype(float), patients, 200, 0)
    assert found.value == pytest.approx(0.5, abs=0.01)
    assert found.low < 0.5 < found.high


def test_shuffled_figure_is_the_auroc_of_exchanged_scores():
    bench, truth, patients, rng = bench_of(60)
    scores = np.round(rng.normal(size=truth.shape) + truth, 1)
    once = shuffled_figure(bench, scores, patients, 1, 7)
    order = exchange(patients, np.random.default_rng([7, 13]))
    assert once.value == pytest.approx(bench.macro_auroc(scores[order]))


def test_a_score_without_the_ecg_is_chance():
    bench, *_ = bench_of()
    assert text_only_figure(bench) == 0.5


def test_curves_span_chance_to_certainty():
    bench, truth, _, rng = bench_of()
    found = bench.compare([truth + rng.normal(size=truth.shape)], [rng.normal(size=truth.shape)])
    assert found.roc.false_positive[0] == 0.0
    assert found.roc.false_positive[-1] == 1.0
    for name in "ab":
        area = np.trapezoid(found.roc.sensitivity[name], found.roc.false_positive)
        assert area == pytest.approx(found.model.classes[name].auroc.value, abs=0.02)
        assert found.random_roc.sensitivity[name] != found.roc.sensitivity[name]


def test_bench_resamples_patients():
    bench, *_ = bench_of()
    assert (bench.weights[:, 0] == bench.weights[:, 1]).all()
    areas = metrics.class_replicates(np.zeros(bench.truth.shape), bench.truth, bench.weights, metrics.weighted_auroc)
    np.testing.assert_allclose(metrics.macro(areas, np.zeros(2)), 0.5)
