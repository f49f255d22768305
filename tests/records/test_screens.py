"""Quick looks never contradict the slow truths that they spare, nor quick sums the plain ones."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.records import mains
from cmelt.records.beats import _averages, _averages_with_gaps, _highest_within, beats_of
from cmelt.records.leads import check_limb_leads
from cmelt.records.quality import (
    FLAT_MV,
    NEAR_RAIL_MV,
    RAIL_BEATS,
    RAIL_MV,
    SPIKE_SHARE,
    _shortest_dropout,
    _shortest_near_rail,
    _shortest_rail,
    duplicate_flags,
    has_dropout,
    is_clipped,
    is_flat,
    limb_flags,
    quality_flags,
)
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record, Signal
from cmelt.records.reversal import NEEDED, exchange_features
from cmelt.records.screens import may_be_clipped, may_end_beats, may_stand_still, surely_consistent, surely_moving
from cmelt.simulation import simulate


def ranges(signal: Signal) -> np.ndarray:
    return np.stack([signal.min(axis=1), signal.max(axis=1)])


def altered(record: Record, rng: np.random.Generator) -> list[Record]:
    """The record as it is, and with each fault that a screen could overlook."""
    signal = record.signal
    low = (signal * np.float32(0.02 * 2 ** rng.uniform(-3, 3))).astype(np.float32)
    spikes = np.zeros_like(signal)
    spikes[:, rng.choice(signal.shape[1], round(rng.uniform(0.002, 0.03) * signal.shape[1]), replace=False)] = 0.5
    drift = np.sin(np.linspace(0, 20, signal.shape[1]) + rng.uniform(0, 6)).astype(np.float32)
    rail = np.clip(signal + drift, -1.1, np.float32(rng.uniform(0.9, 2)))
    scaled = signal.copy()
    scaled[rng.integers(6)] *= np.float32(rng.uniform(0.8, 1.0))
    swapped = signal[[*rng.permutation(6), *range(6, 12)]]
    copied = signal.copy()
    copied[8] = copied[7]
    near = copied.copy()
    near[8, 5] += np.float32(1e-3)
    away = signal + np.float32(rng.uniform(-20, 20))
    gap = signal.copy()
    gap[3, 40:400] = np.nan
    still = signal.copy()
    begin = int(rng.integers(signal.shape[1] // 2))
    still[4, begin : begin + round(record.rate * rng.uniform(0.9, 1.2))] = still[4, begin]
    ends = np.float32(rng.uniform(0.15, 0.6))
    cut = np.clip(signal, -ends, ends)
    parts = (signal, low, spikes, rail, scaled, swapped, copied, near, away, gap, still, cut)
    return [Record(part, record.rate, LEADS) for part in parts]


def disagreement(record: Record) -> str:
    """What a screen said that its truth does not; "" where they agree."""
    signal, rate = record.signal, record.rate
    moving = surely_moving(signal, FLAT_MV, SPIKE_SHARE)
    clipped = may_be_clipped(signal, ranges(signal), _shortest_rail(rate), RAIL_MV)
    clipped |= may_end_beats(signal, ranges(signal), _shortest_near_rail(rate), RAIL_BEATS, NEAR_RAIL_MV)
    for row, lead in enumerate(signal):
        if np.isfinite(lead).all() and (moving[row] and is_flat(lead)):
            return f"{LEADS[row]} moves and is flat"
        if np.isfinite(lead).all() and (not clipped[row] and is_clipped(lead, rate)):
            return f"{LEADS[row]} is clipped and cannot be"
        if has_dropout(lead, rate) and not may_stand_still(signal, _shortest_dropout(rate))[row]:
            return f"{LEADS[row]} stands still and cannot"
    if np.isfinite(signal).all() and surely_consistent(signal, LEADS) and not check_limb_leads(signal, LEADS).consistent:
        return "consistent and not"
    flags = [flag for flag in quality_flags(record) if flag.startswith(("limb-", "duplicated"))]
    live = [lead for lead, row in zip(LEADS, signal, strict=True) if not is_flat(row)]
    truth = duplicate_flags(record, live) + limb_flags(signal, LEADS)
    return "" if flags == truth else f"{flags}, not {truth}"


@pytest.mark.parametrize("rate", [100, 250, 500])
def test_screens_agree_with_their_truths_on_simulated_hearts_and_faults(rate):
    rng = np.random.default_rng(rate)
    for seed in range(12):
        assert [disagreement(record) for record in altered(simulate(seed, rate=rate), rng)] == [""] * 12


@pytest.mark.parametrize(("folder", "rate"), [("records100/01000", 100), ("records500/01000", 500)])
def test_screens_agree_with_their_truths_on_real_records(data_dir, folder, rate):
    rng = np.random.default_rng(rate)
    for path in sorted((data_dir / "ptb-xl" / folder).glob("*.hea"))[:25]:
        assert [disagreement(record) for record in altered(read_ecg(path), rng)] == [""] * 12


def test_screens_settle_the_common_case():
    records = [simulate(seed, rate=500) for seed in range(40)]
    assert np.mean([surely_moving(record.signal, FLAT_MV, SPIKE_SHARE).all() for record in records]) > 0.9
    assert np.mean([surely_consistent(record.signal, LEADS) for record in records]) > 0.9
    assert np.mean([may_be_clipped(record.signal, ranges(record.signal), 10, RAIL_MV).any() for record in records]) < 0.1


def test_screens_leave_open_what_float32_cannot_tell():
    signal = simulate(3, rate=500).signal
    assert surely_consistent(signal, LEADS)
    assert not surely_consistent(signal + np.float32(1e4), LEADS)
    assert not surely_consistent((signal * np.float32(1e20)).astype(np.float32), LEADS)
    assert not surely_consistent(signal[[0, 1, *range(6, 12)]], ("I", "II", *LEADS[6:]))


def test_limb_leads_in_any_order_and_number_are_screened_alike():
    signal = simulate(3, rate=500).signal
    for order in ([11, 5, 0, 1], [2, 7, 1, 0, 8], [0, 1, 2, 3, 4, 5], [*range(11, -1, -1)]):
        assert surely_consistent(signal[order], tuple(LEADS[row] for row in order))
        assert not surely_consistent(signal[[*order[1:], order[0]]], tuple(LEADS[row] for row in order))


@pytest.mark.parametrize(
    ("leads", "samples", "block"), [(12, 5000, 5), (3, 2571, 2), (1, 30, 10), (12, 1000, 1), (5, 7 * 80, 80)]
)
def test_averages_by_matrix_are_averages(leads, samples, block):
    part = np.random.default_rng(0).normal(size=(leads, samples // block * block)).astype(np.float32)
    fast, slow = _averages(part, block), _averages_with_gaps(part, block)
    assert np.allclose(fast - fast.mean(axis=1, keepdims=True), slow, atol=1e-5)


def test_a_gap_is_zero_and_its_neighbours_are_not():
    part = np.random.default_rng(0).normal(size=(12, 5000)).astype(np.float32)
    part[2, 1000:1250] = np.nan
    slow = _averages_with_gaps(part, 5)
    assert not slow[2, 200:250].any()
    assert slow[2, [199, 250]].all()


def test_the_highest_within_reach_is_the_highest_of_each_window():
    values = np.random.default_rng(0).random(300)
    for reach in (1, 2, 7, 20, 40):
        slow = [values[max(at - reach, 0) : at + reach + 1].max() for at in range(values.size)]
        assert (_highest_within(values, reach) == slow).all()


def plain_line(record: Record) -> dict[int, float]:
    """Each place's peak over what is beside it, from the whole spectrum of one mixture after the other."""
    samples = round(10 * record.rate)
    mixed = mains._mixtures(len(record.leads)).astype(float) @ record.signal[:, :samples]
    spectrum = np.fft.rfft((mixed - mixed.mean(axis=1, keepdims=True)) * np.hanning(samples), axis=1)
    amplitude = np.sqrt((np.abs(spectrum) ** 2).mean(axis=0)) * 4000 / samples
    hertz = np.arange(amplitude.size) * record.rate / samples
    found = {}
    for place in mains.PLACES_HZ:
        away = np.abs(hertz - place)
        peak = amplitude[away < 0.25].max()
        contrast = peak / amplitude[(away > 0.75) & (away < 2.25)].max()
        if place < 0.45 * record.rate and peak > mains.LEAST_MICROVOLTS and contrast > mains.LEAST_CONTRAST:
            found[place] = contrast
    return found


@pytest.mark.parametrize("hertz", [25, 30, 50, 60, 100, 120])
def test_the_line_is_that_of_the_whole_spectrum(hertz):
    for seed in range(6):
        whole = simulate(seed, rate=500, noise=0.3)
        hum = 0.1 * np.sin(2 * np.pi * hertz * np.arange(5000) / 500)
        record = Record((whole.signal + hum).astype(np.float32), 500, LEADS)
        line, plain = mains.mains_line(record), plain_line(record)
        assert line is not None
        assert line.hertz == max(plain, key=plain.__getitem__) == hertz
        assert line.contrast == pytest.approx(plain[hertz], rel=0.01)


def test_waves_by_matrix_are_the_waves():
    beats = beats_of(simulate(3, rate=250))
    rows = {lead: LEADS.index(lead) for lead in NEEDED}
    first, second, v6 = (beats.middle[rows[lead]].astype(float) for lead in ("I", "II", "V6"))
    level = (beats.time >= -0.09) & (beats.time < -0.055)
    qrs = (beats.time >= -0.06) & (beats.time < 0.08)
    i, ii, far = (lead[qrs] - lead[level].mean() for lead in (first, second, v6))
    largest = max(np.linalg.norm(i), np.linalg.norm(ii), np.linalg.norm(ii - i))
    features = exchange_features(beats, rows, turned=0)
    assert features[0] == pytest.approx(i @ far / np.linalg.norm(far) / largest, abs=1e-4)
    assert features[7] == pytest.approx(i.sum() / np.sqrt(i.size) / largest, abs=1e-3)


def test_how_samples_lie_in_memory_changes_no_flag():
    record = simulate(4, rate=500)
    turned = record.signal[[0, 2, 1, *range(3, 12)]].copy()
    by_sample = np.ascontiguousarray(turned.T).T
    assert not by_sample.flags.c_contiguous
    assert quality_flags(Record(by_sample, 500, LEADS)) == quality_flags(Record(turned, 500, LEADS)) == ("limb-swapped:II/III",)


def test_limb_leads_with_offsets_of_their_own_are_consistent_at_first_sight():
    signal = simulate(20_000, [], rate=100).signal.copy()
    offsets = np.array([0.5, -0.5, 0.5, 0.5, -0.5, 0.5], np.float32) * signal[:6].std()
    signal[:6] += offsets[:, None]
    assert check_limb_leads(signal, LEADS).consistent and surely_consistent(signal, LEADS)
