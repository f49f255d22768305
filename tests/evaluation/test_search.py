"""Figures of a search: shares, intervals over patients, the paired difference, and the controls."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.evaluation.metrics import patient_weights
from cmelt.evaluation.ranks import Ranks
from cmelt.evaluation.search import compare_search


def untied(ranks, candidates=50):
    before = np.asarray(ranks) - 1
    one = np.ones_like(before)
    return Ranks(before, np.zeros_like(before), one, one, candidates)


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    patients = np.arange(120) // 3
    good = rng.integers(1, 20, 40)[patients]  # records of a patient are found alike
    return untied(good), untied(rng.integers(1, 51, 120)), patients


def test_figures_are_the_shares_of_queries(sides):
    model, random, patients = sides
    found = compare_search(model, random, patients, (1, 5), 50, seed=0)
    assert found.queries == 120
    assert found.candidates == 50
    for k in (1, 5):
        assert found.model.within[str(k)].value == pytest.approx((model.before < k).mean())
        assert found.random.within[str(k)].value == pytest.approx((random.before < k).mean())
        assert found.gain[str(k)].value == pytest.approx((model.before < k).mean() - (random.before < k).mean())
    assert found.model.median_rank.value == np.sort(model.before + 1)[59]
    assert found.chance.within["5"].value == pytest.approx(5 / 50)
    assert found.chance.median_rank.value == 25
    assert np.isnan(found.chance.within["1"].low)
    assert found.shuffled is None


def test_intervals_draw_patients(sides):
    model, random, patients = sides
    found = compare_search(model, random, patients, (5,), 2000, seed=0)
    rng = np.random.default_rng(5)
    hits = (model.before < 5).reshape(40, 3).mean(axis=1)  # a patient's three records
    slow = [hits[rng.integers(0, 40, 40)].mean() for _ in range(2000)]
    assert found.model.within["5"].low == pytest.approx(np.percentile(slow, 2.5), abs=0.03)
    assert found.model.within["5"].high == pytest.approx(np.percentile(slow, 97.5), abs=0.03)
    alone = compare_search(model, random, np.arange(120), (5,), 2000, seed=0).model.within["5"]
    assert found.model.within["5"].high - found.model.within["5"].low > 1.4 * (alone.high - alone.low)


def test_the_difference_is_paired(sides):
    model, _, patients = sides
    found = compare_search(model, model, patients, (1, 5), 200, seed=0)
    assert {(g.value, g.low, g.high) for g in found.gain.values()} == {(0.0, 0.0, 0.0)}
    assert found.model.within["5"].low < found.model.within["5"].high


def test_the_interval_of_the_median_is_that_of_repeated_records(sides):
    model, random, patients = sides
    found = compare_search(model, random, patients, (1,), 200, seed=1).model.median_rank
    weights = patient_weights(patients, 200, np.random.default_rng([1, 11])).astype(int)
    slow = [np.sort(np.repeat(model.before + 1, row))[(row.sum() - 1) // 2] for row in weights]
    assert (found.low, found.high) == tuple(np.percentile(slow, [2.5, 97.5]))
    assert found.low < found.value < found.high


def test_shuffled_is_the_mean_and_range_over_permutations(sides):
    model, random, patients = sides
    trials = [untied([1, 2]), untied([1, 1]), untied([9, 9])]
    found = compare_search(model, random, patients, (1,), 10, seed=0, shuffled=trials).shuffled
    assert found.within["1"].value == pytest.approx((0.5 + 1 + 0) / 3)
    assert found.within["1"].low < 0.1
    assert found.within["1"].high > 0.9
    assert found.median_rank.value == pytest.approx((1 + 1 + 9) / 3)


def test_seeds_are_repeatable(sides):
    first, again, other = (compare_search(*sides, (5,), 50, seed=seed).model.within["5"] for seed in (4, 4, 5))
    assert first == again != other
