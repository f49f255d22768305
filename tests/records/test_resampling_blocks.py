"""Resampling by matrix products gives what adding up sample by sample gives, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.records import resample as resampling
from cmelt.records.readers import read_ecg
from cmelt.records.resample import by_blocks, by_samples, resample

RATIOS = [(1, 5), (5, 1), (1, 2), (2, 1), (2, 5), (5, 4), (4, 5), (25, 18), (5, 18), (1, 10), (3, 7), (100, 257), (500, 257)]


def assert_same_bits(signal: np.ndarray, up: int, down: int) -> None:
    blocks = resampling._blocks(up, down)
    assert blocks is not None
    one, other = by_samples(signal, up, down), by_blocks(signal, blocks)
    assert one.shape == other.shape
    assert np.array_equal(one.view(np.uint32), other.view(np.uint32))


@pytest.mark.parametrize(("up", "down"), RATIOS)
@pytest.mark.parametrize("samples", [5000, 4999, 701])
def test_blocks_equal_samples_to_the_last_bit(up, down, samples):
    rng = np.random.default_rng(samples + up)
    signal = rng.normal(size=(6, samples)).astype(np.float32)
    signal[1] = np.round(signal[1], 3)  # as digital recordings are
    signal[2] *= 1e-4
    signal[3] += 300  # an electrode's offset
    signal[4] = 0
    signal[5, :] = signal[5, 0]
    assert_same_bits(signal, up, down)


def test_blocks_equal_samples_on_real_records(data_dir):
    for header in sorted((data_dir / "ptb-xl" / "records500").rglob("*.hea"))[::40]:
        assert_same_bits(read_ecg(header).signal, 1, 5)


def test_samples_that_rounding_decides_are_added_up_in_order(monkeypatch):
    """Without it some of a hundred thousand samples would differ in their last bit; and it is needed for few."""
    counted = []
    in_order = resampling._in_order

    def counting(padded, blocks, row, place):
        counted.append(row.size)
        return in_order(padded, blocks, row, place)

    monkeypatch.setattr(resampling, "_in_order", counting)
    resample(np.random.default_rng(0).normal(size=(12, 50_000)).astype(np.float32), 500, 100)
    assert 0 < counted[0] < 1200  # of 120,000


@pytest.mark.parametrize("place", [0, 1, 499, 2500, 4999])
def test_a_single_spike_lies_where_it_lay(place):
    signal = np.zeros((1, 5000), dtype=np.float32)
    signal[0, place] = 1
    assert_same_bits(signal, 1, 5)
    assert_same_bits(signal, 5, 1)


def test_the_usual_ratios_go_by_blocks(monkeypatch):
    monkeypatch.setattr(resampling, "by_samples", None)
    signal = np.zeros((12, 3000), dtype=np.float32)
    for rate, to in ((500, 100), (1000, 500), (1000, 100), (257, 500), (400, 100), (100, 500), (240, 250)):
        assert resample(signal, rate, to).shape[1] == -(-3000 * to // rate)


def test_what_blocks_cannot_do_goes_sample_by_sample():
    short = np.ones((2, 50), dtype=np.float32)
    assert resample(short, 500, 100).shape == (2, 10)
    gappy = np.ones((2, 5000), dtype=np.float32)
    gappy[1, 2500] = np.nan
    resampled = resample(gappy, 500, 100)
    assert np.isfinite(resampled[0]).all() and np.isnan(resampled[1]).any()
    assert resampling._blocks(1999, 2000) is None
    assert resample(np.ones((1, 5000), dtype=np.float32), 2000, 1999).shape[1] == 4998
