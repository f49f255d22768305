"""Labelled batches: hidden leads stay zero whatever is done to a record, and what is done leaves its labels true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmelt.training.labelled import ChangeSettings
from labelled_signals import planted

CPU = torch.device("cpu")
EVERYTHING = ChangeSettings(shift_seconds=0.1, gain=0.3, noise_mv=0.5, lead_drop=0.3)


def batch(records, change, step=0, seed=0):
    ecg, truth = records.batch(np.arange(len(records)), change, seed, step, CPU)
    return ecg.numpy(), truth.numpy()


def test_unchanged_records_are_those_of_the_store_with_their_truth():
    records = planted(10)
    ecg, truth = batch(records, ChangeSettings())
    np.testing.assert_array_equal(ecg, records.store.signal)
    np.testing.assert_array_equal(truth, records.truth)


def test_hidden_leads_are_zero_in_training_and_prediction():
    records = replace(planted(10), shown=np.arange(12) < 3)
    ecg, _ = batch(records, replace(EVERYTHING, lead_drop=0.0))
    assert not ecg[:, 3:].any()
    assert ecg[:, :3].any(axis=2).all()
    assert not records.millivolts(np.arange(10))[:, 3:].any()
    np.testing.assert_array_equal(records.millivolts(np.arange(10))[:, :3], records.store.signal[:, :3])


def test_a_lead_that_was_not_recorded_gets_no_noise():
    records = planted(10)
    records.store.signal[:, 7] = 0.0
    ecg, _ = batch(records, replace(EVERYTHING, lead_drop=0.0))
    assert not ecg[:, 7].any()


def test_dropping_leads_leaves_at_least_one_and_drops_the_share_asked_for():
    records = planted(400)
    ecg, _ = batch(records, ChangeSettings(lead_drop=0.3))
    seen = ecg.any(axis=2)
    assert seen.mean() == pytest.approx(0.7, abs=0.03)
    alone = replace(records, shown=np.arange(12) == 4)
    assert batch(alone, ChangeSettings(lead_drop=0.9))[0][:, 4].any(axis=1).all()


def test_a_moved_record_is_the_record_moved_and_zero_where_it_was_moved_in():
    records = planted(60)
    ecg, _ = batch(records, ChangeSettings(shift_seconds=0.1))
    moves = set()
    for one, original in zip(ecg, records.store.signal, strict=True):
        by = next(b for b in range(-10, 11) if np.array_equal(np.roll(original, b, axis=1)[:, 10:-10], one[:, 10:-10]))
        moves.add(by)
        gap = one[:, :by] if by > 0 else one[:, by:] if by < 0 else one[:, :0]
        assert not gap.any()
    assert min(moves) < -5 and max(moves) > 5


def test_crops_are_stretches_of_the_record():
    records = planted(30)
    ecg, _ = batch(records, ChangeSettings(crop_seconds=0.25))
    assert ecg.shape == (30, 12, 25)
    starts = set()
    for one, original in zip(ecg, records.store.signal, strict=True):
        starts.add(next(s for s in range(16) if np.array_equal(original[:, s : s + 25], one)))
    assert len(starts) > 8


def test_gain_is_of_the_whole_record_and_noise_as_loud_as_said():
    records = planted(200, samples=400)
    louder, _ = batch(records, ChangeSettings(gain=0.2))
    ratio = louder / records.store.signal
    assert np.ptp(ratio.reshape(200, -1), axis=1).max() < 1e-4
    assert np.log(ratio[:, 0, 0]).std() == pytest.approx(0.2, rel=0.2)
    noisy, _ = batch(records, ChangeSettings(noise_mv=0.5))
    spread = (noisy - records.store.signal).std(axis=(1, 2))
    assert spread.max() <= 0.55
    assert spread.mean() == pytest.approx(0.25, abs=0.04)


def test_a_batch_is_a_function_of_seed_and_step():
    records = planted(8)
    first, again, other, elsewhere = (batch(records, EVERYTHING, *at)[0] for at in ((3, 1), (3, 1), (4, 1), (3, 2)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, elsewhere)
    assert torch.is_tensor(records.batch(np.arange(2), EVERYTHING, 0, 0, CPU)[0])


def test_the_store_is_not_written_to():
    records = planted(8)
    before = records.store.signal.copy()
    batch(records, EVERYTHING)
    np.testing.assert_array_equal(records.store.signal, before)


@pytest.mark.parametrize("change", [{"gain": -0.1}, {"lead_drop": 1.0}, {"crop_seconds": -1.0}])
def test_impossible_changes_are_refused(change):
    with pytest.raises(ValueError, match="out of range"):
        ChangeSettings(**change)
