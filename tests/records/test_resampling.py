"""Resampling: what is below the limit stays, what is above does not fold back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.records.resample import resample

RATES = st.sampled_from([100.0, 128.0, 250.0, 257.0, 360.0, 400.0, 500.0, 1000.0])


def sine(frequency: float, rate: float, seconds: float = 10.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)[None].astype(np.float32)


@given(RATES, RATES, st.floats(0.05, 0.8))
@settings(max_examples=40, deadline=None)
def test_a_tone_within_both_bands_keeps_its_shape_and_time(rate, to, share):
    frequency = share * min(rate, to) / 2
    found, wanted = resample(sine(frequency, rate), rate, to), sine(frequency, to)
    length = min(found.shape[1], wanted.shape[1])
    middle = slice(length // 10, length - length // 10)
    assert np.abs(found[0, middle] - wanted[0, middle]).max() < 2e-3


@given(st.sampled_from([250.0, 400.0, 500.0, 1000.0]), st.floats(1.05, 2.4))
@settings(max_examples=25, deadline=None)
def test_a_tone_above_the_new_limit_is_gone(rate, share):
    frequency = min(share * 50, rate / 2 * 0.95)
    found = resample(sine(frequency, rate), rate, 100.0)[0]
    assert np.abs(found[100:-100]).max() < 1e-3


@given(RATES, RATES, st.floats(-5, 5))
@settings(max_examples=25, deadline=None)
def test_an_offset_stays_an_offset_to_the_very_edges(rate, to, offset):
    signal = np.full((2, round(rate * 4)), offset, dtype=np.float32)
    assert np.allclose(resample(signal, rate, to), offset, atol=1e-3 * max(abs(offset), 1e-3))


@given(RATES, RATES, st.integers(100, 3000))
@settings(max_examples=25, deadline=None)
def test_the_length_follows_the_rate(rate, to, samples):
    assert resample(np.zeros((1, samples), np.float32), rate, to).shape == (1, math.ceil(samples * to / rate - 1e-9))


def test_the_same_rate_changes_nothing():
    signal = sine(10, 500)
    assert resample(signal, 500, 500) is signal


def test_ptb_xl_at_500_resampled_is_ptb_xl_at_100(data_dir):
    """The database's own 100 Hz files come from the same recordings by another filter; the 500 Hz ones hold their last value."""
    from cmelt.records.readers import read_ecg

    high = read_ecg(data_dir / "ptb-xl/records500/00000/00001_hr")
    low = read_ecg(data_dir / "ptb-xl/records100/00000/00001_lr")
    found = resample(high.signal, 500, 100)
    for ours, theirs in zip(found, low.signal, strict=True):
        assert np.corrcoef(ours[:950], theirs[:950])[0, 1] > 0.99


@pytest.mark.parametrize("rate", [257.0, 1000.0])
def test_resampling_is_linear_and_leads_do_not_mix(rate):
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(3, 2000)).astype(np.float32)
    together = resample(signal, rate, 500)
    assert np.allclose(together[1:2], resample(signal[1:2], rate, 500))
    assert np.allclose(resample(2 * signal, rate, 500), 2 * together, atol=1e-5)
