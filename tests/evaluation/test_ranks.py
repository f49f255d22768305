"""Ranks of first hits, held to every order of equal scores written out."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from cmelt.evaluation.ranks import Ranks, first_hits


def every_rank(scores, relevant):
    """The first hit's rank (from 1) in each order in which equal scores can stand."""
    found = []
    for order in permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            found.append(1 + next(place for place, candidate in enumerate(order) if relevant[candidate]))
    return np.array(found, dtype=np.float64)


def ranks_of(scores, relevant):
    """`first_hits` of one query, through vectors with these cosines."""
    cosines = np.asarray(scores, np.float64)
    candidates = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
    groups = np.where(relevant, 0, 1 + np.arange(len(scores)))
    return first_hits(np.array([[1.0, 0.0]]), candidates, np.array([0]), groups)


@pytest.mark.parametrize("seed", range(12))
def test_expectations_are_those_over_all_orders_of_equal_scores(seed):
    rng = np.random.default_rng(seed)
    scores = rng.choice([0.1, 0.5, 0.9], 6)  # few values, so that many are equal
    relevant = np.zeros(6, bool)
    relevant[rng.choice(6, rng.integers(1, 4), replace=False)] = True
    slow, fast = every_rank(scores, relevant), ranks_of(scores, relevant)
    assert fast.expected()[0] == pytest.approx(slow.mean(), abs=1e-12)
    for k in range(1, 8):
        assert fast.within(k)[0] == pytest.approx((slow <= k).mean(), abs=1e-12)
    smallest = next(k for k in range(1, 7) if (slow <= k).mean() >= 0.5 - 1e-12)
    assert fast.median(np.ones((1, 1)))[0] == smallest


def test_without_ties_the_rank_is_the_place_in_the_sorted_list():
    rng = np.random.default_rng(0)
    queries, candidates = rng.normal(size=(600, 5)), rng.normal(size=(40, 5))
    groups = rng.integers(0, 40, 600)  # more queries than are searched at a time
    ranks = first_hits(queries, candidates, groups, np.arange(40))
    scores = queries @ candidates.T
    for row in range(600):
        place = np.argsort(-scores[row]).tolist().index(groups[row]) + 1
        assert ranks.expected()[row] == place
        assert ranks.within(place - 1)[row] == 0
        assert ranks.within(place)[row] == 1


def test_of_several_hits_the_best_one_counts():
    ranks = ranks_of([0.9, 0.8, 0.7, 0.6], [False, True, False, True])
    assert (ranks.before[0], ranks.ties[0], ranks.hits[0], ranks.relevant[0]) == (1, 0, 1, 2)
    assert ranks.expected()[0] == 2


@pytest.mark.parametrize("width", [3, 37, 256])
def test_a_model_that_finds_all_alike_is_at_chance_and_not_first(width):
    # Widths at which a matrix product sums in blocks: equal rows must come out equal all the same.
    vectors = np.tile(np.random.default_rng(width).normal(size=width).astype(np.float32), (101, 1))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = np.arange(101) // 2
    ranks = first_hits(vectors, vectors, groups, groups)
    assert ranks.before.max() == 0
    assert (ranks.ties + ranks.hits == 101).all()
    chance = ranks.chance()
    for k in (1, 5, 10, 101):
        np.testing.assert_allclose(ranks.within(k), chance.within(k), atol=1e-12)
    assert ranks.within(1)[:100] == pytest.approx(2 / 101)  # two hits among 101
    assert ranks.median(np.ones((1, 101))) == chance.median(np.ones((1, 101)))


def test_scores_that_differ_less_than_single_precision_knows_are_equal():
    near = ranks_of([0.5 + 2e-9, 0.5], [False, True])
    assert (near.before[0], near.ties[0]) == (0, 1)
    apart = ranks_of([0.5 + 1e-6, 0.5], [False, True])
    assert (apart.before[0], apart.ties[0]) == (1, 0)


def test_chance_is_what_random_vectors_reach():
    rng = np.random.default_rng(1)
    groups = np.sort(rng.integers(0, 12, 60))
    trials, chance = [], None
    for _ in range(400):
        ranks = first_hits(rng.normal(size=(60, 8)), rng.normal(size=(60, 8)), groups, groups)
        trials.append([ranks.within(k).mean() for k in (1, 5, 10)])
        chance = ranks.chance()
    expected = [chance.within(k).mean() for k in (1, 5, 10)]
    np.testing.assert_allclose(np.mean(trials, axis=0), expected, atol=0.01)


def test_a_weighted_median_is_that_of_repeated_queries():
    rng = np.random.default_rng(2)
    ranks = Ranks(rng.integers(0, 20, 9), rng.integers(0, 5, 9), np.ones(9, int), np.ones(9, int), 30)
    weights = rng.integers(0, 4, (5, 9)).astype(float)
    repeated = [ranks.take(np.repeat(np.arange(9), row.astype(int))) for row in weights]
    slow = [min(k for k in range(1, 31) if one.within(k).mean() >= 0.5 - 1e-12) for one in repeated]
    assert ranks.median(weights).tolist() == slow
