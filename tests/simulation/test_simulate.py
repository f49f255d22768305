"""What every simulated record must be: a 12-lead ECG by Einthoven's law, the same one for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.records.record import LEADS
from cmelt.simulation import CONDITIONS, simulate

SEEDS = range(12)


@pytest.mark.parametrize("name", CONDITIONS)
def test_limb_leads_obey_einthoven_and_goldberger_with_noise_in_every_condition(name):
    i, ii, iii, avr, avl, avf = simulate(1, [name], noise=3.0).signal[:6]
    assert np.allclose(iii, ii - i, atol=2e-6)
    assert np.allclose(avr, -(i + ii) / 2, atol=2e-6)
    assert np.allclose(avl, i - ii / 2, atol=2e-6)
    assert np.allclose(avf, ii - i / 2, atol=2e-6)


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_gives_a_finite_signal_of_plausible_size(name):
    for seed in (0, 1, 2):
        record = simulate(seed, [name])
        assert record.signal.shape == (12, 5000)
        assert record.signal.dtype == np.float32
        assert record.leads == LEADS
        assert np.isfinite(record.signal).all()
        assert 0.03 < record.signal.std() < 1.5
        assert np.abs(record.signal).max() < 6.5


def test_same_seed_same_record_and_another_seed_another():
    one, same, other = simulate(5), simulate(5), simulate(6)
    assert np.array_equal(one.signal, same.signal)
    assert (one.report, one.labels, dict(one.truth)) == (same.report, same.labels, dict(same.truth))
    assert not np.array_equal(one.signal, other.signal)


def test_simulating_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()
    simulate(3)
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_100_hz_is_the_500_hz_record_without_what_lies_above_45_hz(seed):
    from scipy.signal import resample_poly

    fast, slow = simulate(seed, rate=500), simulate(seed, rate=100)
    assert slow.signal.shape == (12, 1000)
    assert slow.report == fast.report
    reduced = resample_poly(fast.signal.astype(float), 1, 5, axis=1)
    inner = slice(20, -20)
    error = (slow.signal - reduced)[:, inner].std() / reduced[:, inner].std()
    assert error < 0.05


@pytest.mark.parametrize(("rate", "seconds"), [(257, 10.0), (400, 7.3), (1000, 5.0), (500, 30.0)])
def test_any_rate_and_length(rate, seconds):
    record = simulate(2, ["atrial-premature-beats"], rate=rate, seconds=seconds)
    assert record.signal.shape == (12, round(rate * seconds))
    assert record.rate == rate
    assert np.isfinite(record.signal).all()


def test_two_records_of_a_patient_look_alike_and_of_two_patients_less(beat):
    """Mean beats over all 12 leads correlate higher within a patient than between patients."""
    from tests.simulation.conftest import averaged

    def shape(seed, patient):
        times, leads = averaged(simulate(seed, ["normal"], patient=patient, noise=0.3), 0.10, 0.06)
        return np.concatenate([leads[lead][times > -0.05] for lead in LEADS])

    first = [shape(10 + p, p) for p in range(12)]
    second = [shape(500 + p, p) for p in range(12)]
    likeness = np.array([[np.corrcoef(a, b)[0, 1] for b in second] for a in first])
    within, between = np.diag(likeness), likeness[~np.eye(12, dtype=bool)]
    assert within.min() > 0.97
    assert between.mean() < 0.93
    assert (likeness.argmax(axis=1) == np.arange(12)).mean() > 0.9


def test_a_patient_keeps_age_and_sex_and_what_is_chronic():
    records = [simulate(seed, patient=7) for seed in range(30)]
    assert len({(r.age, r.sex, r.patient) for r in records}) == 1
    chronic = [{name for name in r.truth["conditions"] if not CONDITIONS[name].episodic and name != "normal"} for r in records]
    assert all(c == chronic[0] for c in chronic)
    assert len({r.report for r in records}) > 20


def test_about_a_third_is_normal_and_every_condition_is_drawn():
    from collections import Counter

    from cmelt.simulation import DOMAINS
    from cmelt.simulation.conditions import CONDITIONS as REGISTRY
    from cmelt.simulation.simulate import _drawn

    drawn = [_drawn(seed, seed, DOMAINS["textbook"]) for seed in range(4000)]
    counts = Counter(c.name for held in drawn for c in held)
    assert 0.28 < counts["normal"] / 4000 < 0.38
    assert set(counts) == set(REGISTRY)
    assert all(counts[name] >= 12 for name in REGISTRY)


def test_no_noise_is_no_noise():
    clean, noisy = simulate(4, ["normal"], noise=0.0), simulate(4, ["normal"], noise=1.0)
    assert 0.002 < (noisy.signal - clean.signal).std() < 0.5
    # between beats a clean trace moves by microvolts only
    times = np.arange(5000) / 500
    p = clean.truth["p_times"][3]
    quiet = clean.signal[:, (times > p - 0.07) & (times < p - 0.03)]
    assert np.diff(quiet, axis=1).std() < 0.002


def test_an_impossible_combination_is_named():
    with pytest.raises(ConfigError, match=r"atrial-fibrillation with first-degree-av-block"):
        simulate(0, ["atrial-fibrillation", "first-degree-av-block"])
    with pytest.raises(ConfigError, match="normal with left-bundle-branch-block"):
        simulate(0, ["normal", "left-bundle-branch-block"])


def test_an_unknown_condition_is_named_with_those_known():
    with pytest.raises(ConfigError, match=r"unknown condition 'afib'.*atrial-fibrillation"):
        simulate(0, ["afib"])


def test_a_string_is_not_a_list_of_conditions():
    with pytest.raises(ConfigError, match="list"):
        simulate(0, "normal")


@pytest.mark.parametrize("wrong", [{"rate": 10}, {"seconds": 0.5}, {"noise": -1}, {"patient": -1}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        simulate(0, ["normal"], **wrong)


def test_possible_combinations_carry_all_their_labels():
    for names in (
        ["atrial-fibrillation", "right-bundle-branch-block", "left-anterior-fascicular-block"],
        ["sinus-bradycardia", "first-degree-av-block", "old-inferior-infarction"],
        ["sinus-tachycardia", "left-ventricular-hypertrophy"],
        ["left-atrial-enlargement", "left-bundle-branch-block", "ventricular-premature-beats"],
        ["low-voltage", "sinus-tachycardia"],
    ):
        labels = simulate(1, names).labels
        assert {f"sim:{name}" for name in names} <= set(labels)


def test_importing_the_room_loads_no_scipy():
    import subprocess
    import sys

    code = (
        "import sys, cmelt.simulation as s; s.simulate(0); print([m for m in ('scipy', 'pandas', 'torch') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    assert told.stdout.strip() == "[]"


def _environment() -> dict[str, str]:
    import os
    import sys

    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
