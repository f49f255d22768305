"""The order of findings is free, their wording is not."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.text import shuffle_sentences, statements

REPORT = "sinus rhythm. left axis deviation. q waves in v1,2, avl, v5,6. st segments are depressed in i. otherwise normal ecg"


def test_shuffling_keeps_every_statement_and_changes_the_order() -> None:
    shuffled = [shuffle_sentences(REPORT, np.random.default_rng(seed)) for seed in range(20)]
    assert all(sorted(statements(text)) == sorted(statements(REPORT)) for text in shuffled)
    assert len(set(shuffled)) > 10


def test_the_same_generator_state_tells_the_report_in_the_same_order() -> None:
    one, other = (shuffle_sentences(REPORT, np.random.default_rng(7), drop=0.3) for _ in range(2))
    assert one == other


def test_lead_lists_are_never_cut() -> None:
    assert "q waves in v1,2, avl, v5,6" in statements(REPORT)
    assert statements("st-hebung v1-v4, v5") == ["st-hebung v1-v4, v5"]


def test_abbreviations_do_not_end_a_statement() -> None:
    report = "qrs(t) abnorm inferiorer infarkt alter unbest. st abnorm"
    assert statements(report) == [report]
    assert statements("pr interval prolonged (approx. 0.40 sec). sinus rhythm") == [
        "pr interval prolonged (approx. 0.40 sec)",
        "sinus rhythm",
    ]
    assert statements("av-block 1. grades") == ["av-block 1. grades"]


def test_a_remark_stays_behind_the_finding_it_speaks_of() -> None:
    report = "sinus rhythm. st segments are depressed in v5. this may be due to lv strain. normal axis"
    assert statements(report)[1] == "st segments are depressed in v5. this may be due to lv strain"


def test_something_is_always_left() -> None:
    rng = np.random.default_rng(0)
    lengths = [len(statements(shuffle_sentences(REPORT, rng, drop=0.95))) for _ in range(200)]
    assert min(lengths) == 1
    assert np.mean(lengths) < 1.5


def test_statements_are_dropped_as_often_as_asked() -> None:
    rng = np.random.default_rng(1)
    lengths = [len(statements(shuffle_sentences(REPORT, rng, drop=0.4))) for _ in range(1000)]
    assert np.mean(lengths) == pytest.approx(5 * 0.6, abs=0.15)


@pytest.mark.parametrize("report", ["", "sinusrhythmus linkstyp linksschenkelblock"])
def test_a_report_of_one_statement_comes_back_unchanged(report: str) -> None:
    assert shuffle_sentences(report, np.random.default_rng(0), drop=0.9) == report


def test_dropping_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="drop"):
        shuffle_sentences(REPORT, np.random.default_rng(0), drop=1.0)
