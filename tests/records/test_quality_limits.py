"""From where on a lead is flat, clipped, gone or jumping, and from when a record is judged: to the sample and the step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records import quality
from cmelt.records.beats import beats_of
from cmelt.records.noise import lead_noise, record_noise
from cmelt.records.quality import (
    duplicate_flags,
    has_dropout,
    has_jump,
    is_clipped,
    is_flat,
    limb_flags,
    longest_gap,
    quality_flags,
)
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate


def quiet(samples: int, seed: int = 0) -> np.ndarray:
    """A lead that moves by tens of microvolts, no two samples alike."""
    return (0.02 * np.random.default_rng(seed).uniform(-1, 1, samples)).astype(np.float32)


def with_row(row: np.ndarray, rate: float = 250.0, lead: int = 7) -> Record:
    whole = simulate(3, [], rate=rate)
    signal = whole.signal.copy()
    signal[lead] = row[: signal.shape[1]]
    return replace(whole, signal=signal)


def test_a_lead_is_flat_where_one_sample_of_a_hundred_moves_and_not_where_more_do():
    for spikes, flat in ((10, True), (11, False)):
        row = np.full(1000, 5.0, np.float32)
        row[7 : 7 + spikes] += np.float32(0.0102)
        row[100:120] -= np.float32(0.0098)
        assert is_flat(row) is flat
        assert is_flat(np.concatenate([row, np.full(900, np.nan, np.float32)])) is flat, "gaps are neither"
    assert is_flat(np.array([np.inf, np.nan], np.float32)) is True


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("rate", "shortest"), [(100.0, 5), (250.0, 5), (500.0, 10)])
def test_one_plateau_far_from_the_middle_is_a_rail_from_twenty_milliseconds_and_five_samples_on(rate, shortest, sign):
    for height, samples, clipped in (
        (1.5, shortest, True),
        (1.5, shortest - 1, False),
        (0.95, shortest, False),
        (1.05, shortest, True),
    ):
        row = quiet(round(4 * rate))
        row[200 : 200 + samples] = height
        assert is_clipped(sign * row, rate) is clipped, (height, samples)
        gaps = np.concatenate([row[:300], np.full(40, np.nan, np.float32), row[300:]])
        assert is_clipped(sign * gaps + np.float32(3), rate) is clipped
    assert is_clipped(np.full(9, np.nan, np.float32), rate) is False


@pytest.mark.parametrize("sign", [1, -1])
def test_a_plateau_at_the_beginning_or_end_is_a_rail_where_it_is_left_steeply_alone(sign):
    for within, clipped in ((10, True), (60, False)):
        fall = np.linspace(2, 0, within + 1, dtype=np.float32)[1:]
        row = np.concatenate([np.full(30, 2, np.float32), fall, quiet(900)])
        assert is_clipped(sign * row, 500.0) is clipped
        assert is_clipped(sign * row[::-1], 500.0) is clipped
        assert is_clipped(sign * np.concatenate([quiet(1), row]), 500.0) is True, "within the record it is met steeply"
    # A quarter of its height within twenty milliseconds is steep.
    for share, clipped in ((0.26, True), (0.24, False)):
        fall = np.linspace(2, 2 - 2 * share, 11, dtype=np.float32)[1:]
        slow = np.linspace(fall[-1], 0, 200, dtype=np.float32)[1:]
        assert is_clipped(sign * np.concatenate([np.full(30, 2, np.float32), fall, slow, quiet(900)]), 500.0) is clipped


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("rate", "shortest"), [(50.0, 2), (100.0, 2), (250.0, 5), (500.0, 10)])
def test_three_beats_that_end_at_one_near_height_are_clipped(rate, shortest, sign):
    for height, beats, samples, clipped in (
        (0.5, 3, shortest, True),
        (0.5, 2, shortest, False),
        (0.5, 3, shortest - 1, False),
        (0.21, 3, shortest, True),
        (0.17, 3, shortest, False),
    ):
        row = quiet(1000) / 4
        for beat in range(beats):
            row[100 + 200 * beat : 100 + 200 * beat + samples] = height
        assert is_clipped(sign * row, rate) is clipped, (height, beats, samples)


def test_tops_of_a_coarse_converter_are_rounded_and_not_cut_off():
    for step, clipped in ((0.012, True), (0.013, False)):  # forty steps of 0.5 mV are 0.0125
        row = np.zeros(1000, np.float32)
        row[::7] = step
        for beat in range(3):
            row[101 + 200 * beat : 112 + 200 * beat] = 0.5
        assert is_clipped(row, 500.0) is clipped


def test_tops_that_are_reached_slowly_are_no_rails():
    rise = np.linspace(0, 0.5, 100, dtype=np.float32)
    beat = np.concatenate([rise, np.full(12, 0.5, np.float32), rise[::-1], np.zeros(60, np.float32)])
    assert is_clipped(np.tile(beat, 4) + quiet(4 * beat.size) * (np.tile(beat, 4) < 0.45), 500.0) is False


@pytest.mark.parametrize(("rate", "shortest"), [(100.0, 100), (62.5, 62), (5.0, 8)])
def test_a_dropout_is_a_second_at_one_value_wherever_it_lies(rate, shortest):
    for place in (0, 50, None):
        for samples, gone in ((shortest, True), (shortest - 1, False)):
            row = quiet(400)
            row[slice(place, place + samples) if place is not None else slice(-samples, None)] = 0.3
            assert has_dropout(row, rate) is gone
    gap = quiet(400)
    gap[100:300] = np.nan
    assert has_dropout(gap, rate) is False


def test_ten_millivolts_from_sample_to_sample_are_no_jump_and_more_are():
    for far, jumps in ((10.0, False), (10.01, True), (-10.01, True), (-10.0, False)):
        assert has_jump(np.array([0, 0, far, far], np.float32)) is jumps
    for hole in (np.nan, np.inf, -np.inf):
        assert has_jump(np.array([0, hole, 0, 1], np.float32)) is False
        assert has_jump(np.array([hole, 20, 0], np.float32)) is True
        assert has_jump(np.array([0, 20, hole], np.float32)) is True


def test_a_gap_is_what_is_not_finite_and_the_longest_counts():
    assert longest_gap(np.array([np.nan, 0, np.inf, -np.inf, np.nan, 0, np.nan], np.float32)) == 3
    assert longest_gap(np.array([0, np.nan, np.nan], np.float32)) == 2


def test_one_lead_may_have_gaps_and_a_rail_or_a_dropout_or_a_jump_besides():
    row = simulate(3, [], rate=250).signal[7].copy()
    row[100:103] = np.nan
    assert quality_flags(with_row(row)) == ("nan:V2",)
    rail = row.copy()
    rail[500:520] = 3.0
    assert quality_flags(with_row(rail))[:2] == ("nan:V2", "clipped:V2")
    still = row.copy()
    still[600:900] = 0.1
    assert quality_flags(with_row(still))[:2] == ("nan:V2", "dropout:V2")
    jump = row.copy()
    jump[700] = 30
    assert quality_flags(with_row(jump))[:2] == ("nan:V2", "jump:V2")
    assert quality_flags(with_row(np.full(2500, np.nan, np.float32)))[:2] == ("nan:V2", "flat:V2")


def test_copies_are_told_by_their_first_lead_and_near_copies_are_not():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(5, 500)).astype(np.float32)
    signal[3] = signal[1] = signal[0]
    leads = ("V1", "V2", "V3", "V4", "V5")
    assert duplicate_flags(Record(signal, 100.0, leads), leads) == ["duplicated:V1/V2", "duplicated:V1/V4"]
    assert duplicate_flags(Record(signal, 100.0, leads), leads[1:]) == ["duplicated:V2/V4"]
    signal[3, 7] += 1
    assert duplicate_flags(Record(signal, 100.0, leads), leads) == ["duplicated:V1/V2"]
    assert duplicate_flags(Record(signal[:, :20], 100.0, leads), leads) == ["duplicated:V1/V2"]
    assert quality_flags(Record(signal, 100.0, leads))[-1:] != ()


def test_limb_flags_name_the_pair_the_lead_or_nobody():
    signal = simulate(3, [], rate=100).signal.copy()
    assert limb_flags(signal, LEADS) == []
    assert limb_flags(signal[[0, 2, 1, *range(3, 12)]], LEADS) == ["limb-swapped:II/III"]
    signal[4] *= -1
    assert limb_flags(signal, LEADS) == ["limb-inverted:aVL"]
    signal[2] += 1.0 * np.sin(np.arange(1000) / 9).astype(np.float32)
    assert limb_flags(signal, LEADS) == ["limb-inconsistent"]


def test_a_record_is_short_below_five_seconds_and_its_beats_are_judged_from_three_seconds_and_forty_hertz_on():
    whole = simulate(3, [], rate=100)
    hum = whole.signal + 0.2 * np.sin(2 * np.pi * 0.7 * np.arange(1000) / 100).astype(np.float32) * 30
    for samples, short in ((500, False), (499, True)):
        assert ("short" in quality_flags(replace(whole, signal=whole.signal[:, :samples]))) is short
    for samples, judged in ((300, True), (299, False)):
        assert ("poor-quality" in quality_flags(replace(whole, signal=hum[:, :samples]))) is judged
    for rate, judged in ((40.0, True), (39.9, False)):
        assert ("poor-quality" in quality_flags(replace(whole, signal=hum, rate=rate))) is judged


def test_noise_is_named_from_its_limits_on(monkeypatch):
    whole = simulate(3, [], rate=250)
    rng = np.random.default_rng(0)
    noisy = whole.signal.copy()
    noisy[[1, 9]] += (0.3 * rng.normal(size=(2, 2500))).astype(np.float32)
    record = replace(whole, signal=noisy)
    scores = lead_noise(beats_of(record))
    for above in (min(scores[1], scores[9]) - 1e-6, *(score + by for score in (scores[1], scores[9]) for by in (-1e-6, 1e-6))):
        monkeypatch.setattr(quality, "NOISY_ABOVE", above)
        named = [flag for flag in quality_flags(record) if flag.startswith("noisy")]
        assert named == [f"noisy:{lead}" for lead, score in zip(LEADS, scores, strict=True) if score > above]
    for above, poor in ((record_noise(scores) - 1e-6, True), (record_noise(scores) + 1e-6, False)):
        monkeypatch.setattr(quality, "POOR_ABOVE", above)
        assert ("poor-quality" in quality_flags(record)) is poor


def test_a_lead_that_carries_nothing_is_flat_and_not_noisy():
    still = simulate(3, [], rate=250).signal.copy()
    still[7] = 0.002 * np.sign(np.sin(np.arange(2500)))
    flags = quality_flags(Record(still, 250.0, LEADS))
    assert "flat:V2" in flags and "noisy:V2" not in flags


def test_of_a_wrong_unit_nothing_else_is_said_that_hangs_on_it():
    whole = simulate(3, [], rate=500)
    flags = quality_flags(replace(whole, signal=whole.signal / 1000))
    assert flags == (*(f"flat:{lead}" for lead in LEADS), "unit-suspect")


def test_mains_is_named_at_fifty_and_sixty_hertz_alone():
    whole = simulate(3, [], rate=500, noise=0.2)
    for hertz, named in ((50, "mains:50"), (60, "mains:60"), (25, None), (100, None)):
        hum = 0.05 * np.sin(2 * np.pi * hertz * np.arange(5000) / 500 + np.linspace(0, 3, 12)[:, None])
        flags = quality_flags(replace(whole, signal=(whole.signal + hum).astype(np.float32)))
        assert [flag for flag in flags if flag.startswith("mains")] == ([named] if named else [])


def test_a_calibration_pulse_is_not_looked_at():
    whole = simulate(3, [], rate=250)
    pulse = np.concatenate([whole.signal, np.ones((12, 300), np.float32)], axis=1)
    assert quality_flags(Record(pulse, 250.0, LEADS, calibration=300)) == quality_flags(whole)


def test_twelve_live_leads_without_one_whole_beat_are_looked_at():
    time = np.arange(300) / 100
    spike = np.exp(-(((time - 0.12) / 0.02) ** 2)) + 0.05 * time  # too near the beginning
    first, second = 0.6, 1.0
    limb = [first, second, second - first, -(first + second) / 2, first - second / 2, second - first / 2]
    record = Record(np.outer([*limb, *np.linspace(0.5, 2, 6)], spike).astype(np.float32), 100, LEADS)
    assert beats_of(record).cut.shape[1] == 0
    assert quality_flags(record) == ("short", "poor-quality")
