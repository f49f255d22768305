"""Groups are measured on the same classes, with intervals over patients, and told from one another only where they differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cmelt.evaluation.comparison import Bench
from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.further import Further
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.report.page import page
from cmelt.evaluation.results import envelope
from cmelt.evaluation.subgroups import LEAST_RECORDS, compare_groups, groups_of

from .conftest import CLASSES, PlantedEmbedder, planted_store, planted_task

ROWS, PATIENTS = 400, 200


def bench_of(truth: np.ndarray, replicates: int = 200) -> Bench:
    patients = np.arange(len(truth)) // 2
    return Bench([f"class {c}" for c in range(truth.shape[1])], truth, patients, replicates, 0)


@pytest.fixture
def world():
    rng = np.random.default_rng(1)
    truth = rng.random((ROWS, 2)) < [0.3, 0.2]
    scores = truth + 0.8 * rng.normal(size=truth.shape)
    names = np.where(np.arange(ROWS) // 2 % 2 == 0, "female", "male").astype(object)
    return truth, scores, names


def test_ages_and_sexes_become_groups_and_what_is_not_known_none():
    index = pd.DataFrame({"sex": ["female", "male", "", "female"], "age": [49.9, 50.0, np.nan, 70.0]})
    found = groups_of(index, np.array([3, 2, 1, 0]))
    assert found["sex"].tolist() == ["female", "", "male", "female"]
    assert found["age"].tolist() == ["70 and over", "", "50 to 69", "under 50"]


def test_a_group_s_figure_is_the_plain_mean_of_its_own_records_aurocs(world):
    truth, scores, names = world
    (split,) = compare_groups(bench_of(truth), [scores], {"sex": names})
    assert (split.attribute, split.classes, split.unknown) == ("sex", ("class 0", "class 1"), 0)
    values = {}
    for group, figures in split.groups.items():
        inside = names == group
        values[group] = np.mean([roc_auc_score(truth[inside, c], scores[inside, c]) for c in range(2)])
        assert figures.macro_auroc.value == pytest.approx(values[group])
        assert (figures.records, figures.patients) == (inside.sum(), inside.sum() / 2)
        assert figures.macro_auroc.low < values[group] < figures.macro_auroc.high
    assert split.groups["female"].difference is None
    difference = split.groups["male"].difference
    assert difference.value == pytest.approx(values["male"] - values["female"])
    assert difference.low < 0 < difference.high  # the groups were drawn alike


def test_the_interval_is_that_of_a_slow_bootstrap_over_patients(world):
    truth, scores, names = world
    bench = bench_of(truth, replicates=60)
    (split,) = compare_groups(bench, [scores], {"sex": names})
    replicates = []
    for weights in bench.weights:
        inside = np.repeat(np.arange(ROWS), weights.astype(int))
        inside = inside[names[inside] == "male"]
        replicates.append(np.mean([roc_auc_score(truth[inside, c], scores[inside, c]) for c in range(2)]))
    low, high = np.percentile(replicates, [2.5, 97.5])
    assert split.groups["male"].macro_auroc.low == pytest.approx(low, abs=1e-6)
    assert split.groups["male"].macro_auroc.high == pytest.approx(high, abs=1e-6)


def test_a_model_that_fails_one_group_is_found_out(world):
    truth, scores, names = world
    blind = np.where((names == "male")[:, None], np.random.default_rng(2).normal(size=scores.shape), scores)
    (split,) = compare_groups(bench_of(truth), [blind], {"sex": names})
    assert split.groups["male"].difference.high < -0.1


def test_a_class_that_one_group_lacks_counts_in_none(world):
    truth, scores, names = world
    males = np.flatnonzero((names == "male") & truth[:, 1])
    truth[males[LEAST_RECORDS - 1 :], 1] = False
    (split,) = compare_groups(bench_of(truth), [scores], {"sex": names})
    assert split.classes == ("class 0",)
    assert split.groups["female"].macro_auroc.value == pytest.approx(
        roc_auc_score(truth[names == "female", 0], scores[names == "female", 0])
    )


def test_without_two_groups_or_a_class_in_common_there_are_no_figures(world):
    truth, scores, names = world
    bench = bench_of(truth)
    assert compare_groups(bench, [scores], {"sex": np.full(ROWS, "male", dtype=object)}) == ()
    assert compare_groups(bench, [scores], {"sex": np.full(ROWS, "", dtype=object)}) == ()
    truth[names == "male"] = False
    assert compare_groups(bench_of(truth), [scores], {"sex": names}) == ()


def test_records_of_unknown_group_are_counted_and_in_none(world):
    truth, scores, names = world
    names[:20] = ""
    (split,) = compare_groups(bench_of(truth), [scores], {"sex": names})
    assert split.unknown == 20
    assert sum(group.records for group in split.groups.values()) == ROWS - 20


def test_several_draws_are_averaged(world):
    truth, scores, names = world
    other = scores + np.random.default_rng(3).normal(size=scores.shape)
    bench = bench_of(truth)
    one, two = (compare_groups(bench, [s], {"sex": names})[0].groups["male"].macro_auroc.value for s in (scores, other))
    (both,) = compare_groups(bench, [scores, other], {"sex": names})
    assert both.groups["male"].macro_auroc.value == pytest.approx((one + two) / 2)


@pytest.fixture(scope="module")
def results():
    store = planted_store()
    patients = store.index["patient"].str[1:].astype(int)
    store.index["sex"] = np.where(patients % 2 == 0, "female", "male")
    store.index["age"] = 20.0 + patients % 70
    sides = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
    return evaluate_tasks(*sides, store, [planted_task()], Protocol(fractions=(0.1, 1.0), draws=2, bootstrap=50))


def test_the_headline_and_the_last_probe_have_groups_and_the_page_shows_them(results):
    (result,) = results
    assert [split.attribute for split in result.best_zero_shot.subgroups] == ["sex", "age"]
    assert result.best_zero_shot.subgroups[0].classes == CLASSES
    assert result.zero_shot["similarity"].subgroups == () == result.probes[0].comparison.subgroups
    assert [split.attribute for split in result.probes[-1].comparison.subgroups] == ["sex", "age"]
    entry = envelope(results)["results"]["planted"]["zero_shot"]["contrast"]["subgroups"][1]
    assert list(entry["groups"]) == ["under 50", "50 to 69", "70 and over"]
    assert entry["groups"]["under 50"]["difference"] is None
    text = page(results, Further(), None, None)
    assert text.count("By sex and age") == 1 and text.count("sex: female") == 2


def test_without_sexes_and_ages_there_is_no_such_table():
    sides = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
    results = evaluate_tasks(*sides, planted_store(), [planted_task()], Protocol(fractions=(), bootstrap=20))
    assert results[0].best_zero_shot.subgroups == ()
    assert "By sex and age" not in page(results, Further(), None, None)
