"""Noise of leads and records, against what people said of real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records.beats import beats_of
from cmelt.records.noise import POOR_ABOVE, lead_noise, noise_features, record_noise
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

ECG = simulate(3, [], rate=500)


def scores_with(lead: int, added: np.ndarray) -> np.ndarray:
    signal = ECG.signal.copy()
    signal[lead] = signal[lead] + added
    return lead_noise(beats_of(replace(ECG, signal=signal)))


@pytest.mark.parametrize(
    ("disturbance", "size"),
    [("trembling", 0.3), ("wander", 1.5), ("jumps", 2.0), ("nothing on it", 0.0)],
    ids=lambda value: str(value),
)
def test_each_kind_of_noise_raises_its_lead_s_score_and_no_other_s(disturbance, size):
    rng = np.random.default_rng(0)
    time = np.arange(5000) / 500
    added = {
        "trembling": size * rng.normal(size=5000),
        "wander": size * np.sin(2 * np.pi * 0.3 * time),
        "jumps": size * (rng.integers(0, 2, 10).repeat(500)),
        "nothing on it": -ECG.signal[7] + 0.004 * rng.normal(size=5000),
    }[disturbance]
    before, after = lead_noise(beats_of(ECG)), scores_with(7, added)
    assert after[7] > before[7] + 1
    assert np.abs(np.delete(after - before, 7)).max() < 0.7


def test_more_noise_is_worse():
    noise = np.random.default_rng(1).normal(size=5000)
    found = [scores_with(4, size * noise)[4] for size in (0.02, 0.1, 0.4, 1.0)]
    assert found == sorted(found)


def test_scores_do_not_hang_on_the_rate_much():
    slow = lead_noise(beats_of(simulate(3, [], rate=100)))
    assert np.abs(slow - lead_noise(beats_of(ECG))).max() < 1.0


def test_a_record_is_as_poor_as_its_leads_together():
    scores = np.array([-3.0, -4.0, -9.0])
    assert record_noise(scores) == pytest.approx(np.log(np.exp(scores).sum()))
    assert record_noise(np.full(12, -4.0)) > POOR_ABOVE > record_noise(np.array([-4.0]))


def test_features_are_finite_whatever_the_signal():
    rng = np.random.default_rng(0)
    for signal in (np.zeros((12, 5000)), rng.normal(size=(12, 5000)) * 1e6, np.full((12, 5000), np.nan), np.eye(12, 5000)):
        assert np.isfinite(noise_features(beats_of(Record(signal.astype(np.float32), 500, LEADS)))).all()


def test_people_s_verdicts_are_met_nine_times_in_ten(data_dir):
    held = np.load(data_dir / "challenge-2011/set-a_half.npz")
    signals, known = held["signal"], np.flatnonzero(held["acceptable"] >= 0)[::3]
    poor = []
    for row in known:
        signal = signals[row].T.astype(np.float32) * np.float32(0.005)
        poor.append("poor-quality" in quality_flags(Record(signal, 500, LEADS)))
    bad = held["acceptable"][known] == 0
    assert np.mean(np.array(poor)[bad]) >= 0.85
    assert np.mean(np.array(poor)[~bad]) <= 0.12


def wandering(record: Record, size: float) -> Record:
    """The record with a baseline in each lead that swings by `size` times the lead's height, each in its own phase."""
    time = np.arange(record.signal.shape[1]) / record.rate
    swing = np.sin(2 * np.pi * 0.2 * time + np.arange(len(record.leads))[:, None])
    height = np.ptp(record.signal, axis=1, keepdims=True)
    return replace(record, signal=(record.signal + size / 2 * height * swing).astype(np.float32))


@pytest.mark.parametrize("rate", [100, 500])
def test_a_record_whose_baselines_wander_as_far_as_its_beats_are_high_is_drifting_at_any_gain(rate):
    for seed in range(20_000, 20_006):
        heart = simulate(seed, [], rate=rate)
        for gain in (0.5, 1.0, 2.0):
            larger = replace(heart, signal=heart.signal * np.float32(gain))
            assert "drifting" in quality_flags(wandering(larger, 1.5))
            assert "drifting" not in quality_flags(wandering(larger, 0.3))


def test_one_step_of_all_baselines_is_no_drifting():
    heart = simulate(20_000, [], rate=100)
    stepped = heart.signal.copy()
    stepped[:, 500:] += np.ptp(heart.signal, axis=1, keepdims=True)
    assert "drifting" not in quality_flags(replace(heart, signal=stepped))


def test_few_leads_that_wander_make_no_drifting_record():
    far = wandering(ECG, 3.0)
    assert "drifting" not in quality_flags(replace(ECG, signal=np.concatenate([far.signal[:4], ECG.signal[4:]])))
