"""Twelve faults in clean records (benchmarks/faults/record_faults.py): each is found; on real records as often as is promised."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cmelt.simulation import simulate

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"
sys.path.append(str(SCRIPTS))
from record_faults import fault_figures, so_many_clean, verdict_figures  # noqa: E402

from record_changes import FAULTS, alarms, flags_of, found, shares_found  # noqa: E402

#: Faults of which no single record may be missed; rates and chest leads are judged, not known.
CERTAIN = [name for name in FAULTS if not name.startswith(("rate", "chest"))]


@pytest.fixture(scope="module")
def simulated():
    """Ten simulated hearts of drawn conditions."""
    return [simulate(9000 + number, rate=100) for number in range(10)]


@pytest.mark.parametrize("name", CERTAIN)
def test_a_fault_put_into_a_simulated_record_is_found(simulated, name):
    rng = np.random.default_rng(5)
    for record in simulated:
        changed, flag = FAULTS[name][0](record, rng)
        assert found(flags_of(changed), flag), (record.identifier, flag)


def test_there_are_twelve_faults_of_which_two_come_in_two_kinds():
    assert len(FAULTS) == 14 and len(CERTAIN) == 11


def test_what_is_found_is_the_fault_and_not_just_any_flag(simulated):
    for name, (change, _) in FAULTS.items():
        _, flag = change(simulated[0], np.random.default_rng(0))
        assert not found(flags_of(simulated[0]), flag), name


def test_clean_real_records_with_a_fault_are_found_and_without_one_left_in_peace(data_dir):
    records, held = so_many_clean(data_dir, 40)
    assert held == 40
    shares = shares_found(records)
    assert {name for name in CERTAIN if not all(shares[name][0])} == set()
    assert all(np.mean(shares[name][0]) >= (0.95 if name.startswith("chest") else 0.88) for name in FAULTS)
    assert sum(bool(those) for those in alarms(records)) <= 3


@pytest.mark.slow
def test_the_promised_shares_hold_on_500_clean_real_records(data_dir):
    figures = [*fault_figures(*so_many_clean(data_dir, 500)), *verdict_figures(data_dir)]
    assert [figure.what for figure in figures if figure.met is False] == []
    assert sum(figure.met is True for figure in figures) == len(FAULTS) + 3
