"""The same ECG has the same scores (benchmarks/faults/same_scores.py): in any format, alone or together, by any way of asking."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cmelt.simulation import simulate

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"
sys.path.append(str(SCRIPTS))
from same_scores import RATES, Scorer, rate_figures, same_figures  # noqa: E402

ECGS = 2


@pytest.fixture(scope="module")
def scorer():
    """The bundled model."""
    return Scorer.bundled()


def test_format_company_command_and_service_do_not_change_a_score(scorer, tmp_path):
    figures = same_figures(scorer, tmp_path, ECGS)
    assert len(figures) == 15
    assert [(figure.what, figure.value) for figure in figures if not figure.met] == []


def test_a_rate_changes_a_score_by_far_less_than_another_heart_does(scorer):
    hearts = {rate: scorer.together([simulate(80_000 + number, rate=rate) for number in range(6)]) for rate in RATES}
    apart = np.median(hearts[500].std(axis=0))
    for rate in RATES:
        assert np.abs(hearts[rate] - hearts[500]).max() < 0.03 * apart, rate


def test_another_ecg_has_other_scores(scorer):
    one, other = scorer.together([simulate(1, rate=100), simulate(2, rate=100)])
    assert np.abs(one - other).max() > 0.01


@pytest.mark.slow
def test_real_files_at_two_rates_score_alike(scorer, data_dir):
    figures = {figure.what: figure.value for figure in rate_figures(scorer, 20, data_dir)}
    assert figures["scores move: PTB-XL's files at 100 Hz against those at 500 Hz"] < 0.01
    assert figures["rank correlation of the least agreeing class: PTB-XL's files at 100 Hz against those at 500 Hz"] > 0.99
