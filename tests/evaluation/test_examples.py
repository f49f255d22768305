"""Which records the report shows."""

from __future__ import annotations

import numpy as np

from cmelt.evaluation.comparison import Bench
from cmelt.evaluation.examples import ENOUGH, choose


def chosen(scores, truth, names):
    rows = 100 + np.arange(len(truth))
    bench = Bench(names, truth, np.arange(len(truth)), 20, 0)
    return choose(bench.compare([scores], [scores]), scores, truth, rows)


def world(count=60):
    """Class "good" is ranked perfectly, "bad" at random, "rare" perfectly but with too few positives to say so."""
    rng = np.random.default_rng(0)
    truth = np.zeros((count, 3), bool)
    truth[:20, 0] = True
    truth[10:30, 1] = True
    truth[: ENOUGH - 1, 2] = True
    scores = truth + 0.01 * rng.random((count, 3))
    scores[:, 1] = rng.random(count)
    return scores, truth


def test_hit_miss_and_false_alarm_are_the_extremes_of_their_class():
    scores, truth = world()
    hit, miss, alarm = chosen(scores, truth, ("good", "bad", "rare"))
    assert (hit.class_name, hit.auroc) == ("good", 1.0)
    assert hit.row == 100 + np.argmax(np.where(truth[:, 0], scores[:, 0], -np.inf))
    assert miss.row == 100 + np.argmin(np.where(truth[:, 1], scores[:, 1], np.inf))
    assert alarm.row == 100 + np.argmax(np.where(~truth[:, 1], scores[:, 1], -np.inf))
    assert miss.class_name == alarm.class_name == "bad"


def test_rank_one_is_the_highest_score():
    scores, truth = world()
    hit, miss, _ = chosen(scores, truth, ("good", "bad", "rare"))
    assert hit.rank == 1
    assert miss.rank == 1 + (scores[:, 1] > miss.score).sum()


def test_a_rare_class_is_not_called_the_best_or_the_worst():
    scores, truth = world()
    scores[:, 2] = -scores[:, 2]  # the rare class is now ranked worst of all
    assert "rare" not in {example.class_name for example in chosen(scores, truth, ("good", "bad", "rare"))}


def test_where_all_classes_are_rare_they_are_shown_nonetheless():
    scores, truth = world()
    (only,) = chosen(scores[:, 2:], truth[:, 2:], ("rare",))
    assert only.class_name == "rare"


def test_one_class_has_a_hit_and_no_worst():
    scores, truth = world()
    assert [e.kind for e in chosen(scores[:, :1], truth[:, :1], ("good",))] == ["best class, highest-scoring positive"]
