"""How honest a table's negatives are can be measured, and the measure tells a bad table from a good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from cmelt.errors import ConfigError
from cmelt.negatives import NegativeTable, build_table, coverage, embed_distinct, lsa_encoder, text_only_accuracy
from cmelt.text import clean_report, report_groups, usable


def cone_with_outliers(count: int = 1500, outliers: int = 80, dims: int = 24) -> np.ndarray:
    """Reports as a language model embeds them: nearly all in one cone, a few odd ones on its far side."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, dims))
    vectors[:, 0] += 4
    vectors[:outliers, 0] -= 7
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_fault_6_the_farthest_are_few_outliers_and_guessable_a_band_covers_many() -> None:
    embeddings = cone_with_outliers()
    groups = np.arange(len(embeddings))
    far, band = build_table(embeddings), build_table(embeddings, band=(0.3, 0.9))
    found = {
        name: coverage(table, embeddings, groups, 1500, np.random.default_rng(1))
        for name, table in (("far", far), ("band", band))
    }
    guess = {
        name: text_only_accuracy(table, embeddings, groups, np.random.default_rng(2), pairs=800)
        for name, table in (("far", far), ("band", band))
    }
    assert found["far"].ratio < 0.15
    assert guess["far"].low > 0.9
    assert found["band"].ratio > 3 * found["far"].ratio
    assert found["band"].top_share < found["far"].top_share
    assert guess["band"].high < 0.65


def test_fault_6_on_real_reports_the_band_is_harder_to_guess_and_counts_make_it_harder_still(data_dir: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(data_dir / "ptb-xl" / "ptbxl_database.csv", usecols=["report", "strat_fold"])
    reports = [report for report in map(clean_report, frame.report[frame.strat_fold <= 8][:4000]) if usable(report)]
    distinct, groups = report_groups(reports)
    embeddings = embed_distinct(distinct, lsa_encoder(distinct, dims=64))
    counts = np.bincount(groups)
    tables = [
        build_table(embeddings),
        build_table(embeddings, band=(0.5, 0.95)),
        build_table(embeddings, band=(0.25, 0.95), counts=counts),
    ]
    guess = [text_only_accuracy(table, embeddings, groups, np.random.default_rng(0)) for table in tables]
    assert guess[0].low > guess[1].high > guess[1].low > guess[2].high
    covered = [coverage(table, embeddings, groups, len(groups), np.random.default_rng(0)).distinct for table in tables]
    assert covered[1] > 1.3 * covered[0]


def test_coverage_counts_what_was_drawn() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    candidates = np.array([[1, 1], [0, 0], [1, 1], [1, 1]], dtype=np.int32)
    found = coverage(NegativeTable(candidates, "random", None, 0), embeddings, np.array([2, 3, 3]), 100, np.random.default_rng(0))
    assert (found.draws, found.distinct, found.ratio) == (100, 1, 0.01)
    assert found.top_share == 1.0
    assert found.reachable == 0.25
    assert found.similarity_mean == 0.0


def test_distinct_are_those_that_were_drawn_even_once() -> None:
    """Each report has one candidate, its neighbour: what is drawn follows from whose turn it is."""
    candidates, groups = np.roll(np.arange(40, dtype=np.int32), -1)[:, None], np.arange(40)
    found = coverage(NegativeTable(candidates, "random", None, 0), np.eye(40), groups, 30, np.random.default_rng(3))
    turns = np.random.default_rng(3).choice(groups, size=30)
    once = [turn for turn in turns if (turns == turn).sum() == 1]
    assert len(once) > 5
    assert (found.distinct, found.ratio) == (len(set(turns)), len(set(turns)) / 30)
    assert found.top_share == max((turns == turn).sum() for turn in turns) / 30


def test_similarity_to_the_true_report_is_the_cosine() -> None:
    embeddings = np.array([[1, 0], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    candidates = np.array([[1], [0], [1]], dtype=np.int32)
    table = NegativeTable(candidates, "random", None, 0)
    found = coverage(table, embeddings, np.array([0, 1]), 500, np.random.default_rng(0))
    assert found.similarity_mean == pytest.approx(0.6, abs=1e-6)
    assert found.similarity_quantiles == pytest.approx((0.6, 0.6, 0.6), abs=1e-6)
    assert coverage(table, embeddings, np.array([2]), 5, np.random.default_rng(0)).similarity_mean == pytest.approx(
        -0.6, abs=1e-6
    )


def test_when_negatives_are_drawn_as_the_true_reports_are_the_text_tells_nothing() -> None:
    embeddings = cone_with_outliers(outliers=0)
    groups = np.random.default_rng(0).integers(len(embeddings), size=4000)
    answer = text_only_accuracy(build_table(embeddings, strategy="random"), embeddings, groups, np.random.default_rng(3))
    assert answer.questions == 4000
    assert answer.low < 0.52
    assert answer.high < 0.56
    assert answer.low < answer.accuracy < answer.high
    interval = binomtest(round(answer.accuracy * 4000), 4000).proportion_ci(method="wilson")
    assert (answer.low, answer.high) == pytest.approx((interval.low, interval.high), abs=1e-5)


def test_quantiles_are_those_of_the_similarities_that_were_drawn() -> None:
    """Report 0's hundred candidates have cosines of 0.01 to 1 with it, each as often as the others."""
    cosines = np.arange(101) / 100
    embeddings = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
    embeddings[0] = (1, 0)
    table = NegativeTable(np.tile(np.arange(1, 101, dtype=np.int32), (101, 1)), "random", None, 0)
    found = coverage(table, embeddings, np.array([0]), 40_000, np.random.default_rng(0))
    assert found.similarity_quantiles == pytest.approx((0.055, 0.505, 0.955), abs=0.011)
    assert found.distinct == 100 and found.ratio == 100 / 40_000 and found.reachable == 100 / 101


def test_the_same_generator_gives_the_same_report() -> None:
    embeddings = cone_with_outliers(300, 20)
    table, groups = build_table(embeddings), np.arange(300)
    one, other = (text_only_accuracy(table, embeddings, groups, np.random.default_rng(5), pairs=100) for _ in range(2))
    assert one == other
    few = text_only_accuracy(table, embeddings, groups, np.random.default_rng(5), pairs=5)
    assert few.questions == 10
    interval = binomtest(round(few.accuracy * 10), 10).proportion_ci(method="wilson")
    assert (few.low, few.high) == pytest.approx((interval.low, interval.high), abs=1e-5)
    assert text_only_accuracy(table, embeddings, groups, np.random.default_rng(5), pairs=3, folds=2).questions == 6
    with pytest.raises(ConfigError, match=r"(?s)pairs.*4 pairs.*5 folds.*use more"):
        text_only_accuracy(table, embeddings, groups, np.random.default_rng(5), pairs=4)
