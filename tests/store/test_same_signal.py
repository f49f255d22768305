"""Two signals are one recording where the leads they share say so, and a group holds one recording."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.records.resample import resample
from cmelt.store.same_signal import confirm_groups, same_signal
from ecg_files import heart


def steps(signal: np.ndarray) -> np.ndarray:
    return np.rint(signal * 1000).astype(np.int16)


def noisy(signal: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """With white noise of `share` of each lead's own size."""
    noise = np.random.default_rng(seed).standard_normal(signal.shape) * signal.std(axis=1, keepdims=True)
    return signal + share * noise


def test_a_copy_is_one_at_another_gain_length_and_resolution():
    signal = heart(1)
    exchanged = signal[[1, 0, *range(2, 12)]]
    for copy in (signal, 0.2 * signal, signal[:, :600], np.rint(signal * 200) / 200, noisy(signal, 0.05), exchanged):
        assert same_signal(steps(signal), steps(copy), 100)


def test_a_copy_that_was_resampled_is_one():
    fast = heart(1, rate=500)
    assert same_signal(steps(resample(fast, 500, 100)), steps(heart(1, rate=100)), 100)


@pytest.mark.parametrize("delay", [1, 4])
def test_a_copy_may_come_a_few_milliseconds_late(delay):
    signal = heart(1, rate=500)
    assert same_signal(steps(signal), steps(signal[:, delay:]), 500)
    assert same_signal(steps(signal[:, delay:]), steps(signal), 500)


def test_padding_before_the_beginning_is_passed_over():
    signal = noisy(heart(1), 0.02)
    padded = np.concatenate([np.zeros((12, 100)), signal[:, :900]], axis=1)
    assert same_signal(steps(signal), steps(padded), 100)


def test_stretches_of_one_recording_are_laid_over_one_another():
    signal = heart(1, seconds=20)
    first, central = signal[:, :1000], signal[:, 500:1500]
    assert same_signal(steps(first), steps(central), 100, apart=500)
    assert same_signal(steps(central), steps(first), 100, apart=-500)
    assert not same_signal(steps(first), steps(central), 100)
    assert not same_signal(steps(first), steps(signal[:, 950:1950]), 100, apart=950)  # half a second in common


@pytest.mark.parametrize(
    "other",
    [
        heart(2),
        -heart(1),
        noisy(heart(1), 2.0),
        np.vstack([heart(1)[:5], heart(2)[5:]]),
        np.zeros((12, 1000)),
        heart(1)[:, :150],
    ],
    ids=["another record", "turned", "mostly noise", "most leads of another", "nothing", "too short"],
)
def test_what_is_no_copy(other):
    assert not same_signal(steps(heart(1)), steps(other), 100)


def test_leads_that_one_of_them_lacks_take_no_part():
    lacking = heart(1)
    lacking[6:] = 0
    assert same_signal(steps(heart(1)), steps(lacking), 100)
    other = heart(1)
    other[:6] = 0
    assert not same_signal(steps(lacking), steps(other), 100)  # no lead in both


def test_groups_are_split_where_their_signals_differ_and_others_are_not_even_read():
    seeds = [1, 2, 1, 2, 3, 3]
    read: list[int] = []

    def signal_of(row: int) -> np.ndarray:
        read.append(row)
        return steps(heart(seeds[row]))

    doubtful = np.array([True, False, False, False, False, False])
    found = confirm_groups(np.array([0, 0, 0, 0, 1, 1]), doubtful, signal_of, np.zeros(6, np.int64), 100)
    assert found[0] == found[2] != found[1] == found[3]
    assert found[4] == found[5] not in found[:4]
    assert set(read) == {0, 1, 2, 3}


def test_a_group_of_many_different_signals_is_soon_given_up():
    """What fingerprints could be made to agree in must not cost the square of its number."""
    read: list[int] = []

    def signal_of(row: int) -> np.ndarray:
        read.append(row)
        return steps(heart(row, seconds=2))

    found = confirm_groups(np.zeros(60, np.int64), np.ones(60, bool), signal_of, np.zeros(60, np.int64), 100)
    assert len(set(found.tolist())) == 60
    assert len(read) == 60
