"""What is measured of beats, noise, rate and unit is what its definition says: held against slow sums, lead by lead."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cmelt.records import noise, stated_rate
from cmelt.records.beats import Beats, beat_time, beats_of, coarse, stretch
from cmelt.records.mains import Line
from cmelt.records.noise import is_drifting, lead_noise, noise_features
from cmelt.records.record import LEADS, Record
from cmelt.records.stated_rate import rate_features, suspected_rate
from cmelt.records.stated_unit import SMALLEST_MV, suspected_unit
from cmelt.simulation import simulate
from plain_beats import RATES, hearts, plain_beat


@pytest.mark.parametrize("rate", RATES)
def test_a_coarse_record_is_its_means_over_whole_blocks_of_its_first_thirty_seconds(rate):
    whole = simulate(3, rate=rate, seconds=31.234)
    for samples in (whole.signal.shape[1], 7 * rate + 3, 991):
        for leads in (12, 5, 1):
            record = Record(whole.signal[:leads, :samples], rate, LEADS[:leads])
            block = max(rate // 100, 1)
            count = min(samples, 30 * rate) // block
            means = record.signal[:, : count * block].astype(float).reshape(leads, count, block).mean(axis=2)
            found, at = coarse(record)
            assert at == rate / block and found.dtype == np.float32
            np.testing.assert_allclose(found, means - means.mean(axis=1, keepdims=True), atol=1e-5)


def test_gaps_are_zero_in_a_coarse_record_and_absurd_numbers_are_bounded():
    record = simulate(3, rate=200)
    signal = record.signal.copy()
    signal[2, 500:701], signal[4, 8] = np.nan, 7e6
    found, _ = coarse(replace(record, signal=signal))
    means = signal.astype(float).reshape(12, -1, 2).mean(axis=2)
    means = np.clip(means, -1e6, 1e6)
    means -= np.nanmean(means, axis=1, keepdims=True)
    np.testing.assert_allclose(np.delete(found, 4, axis=0), np.nan_to_num(np.delete(means, 4, axis=0)), atol=1e-5)
    np.testing.assert_allclose(found[4], means[4], rtol=1e-4)
    nothing, _ = coarse(replace(record, signal=np.full_like(signal, np.nan)))
    assert not nothing.any()
    unmoved, _ = coarse(replace(record, signal=np.full_like(signal, -3e6)))
    np.testing.assert_allclose(unmoved, 0, atol=1)


def plain_peaks(signal: np.ndarray, rate: float) -> list[int]:
    """Samples where all leads together, each against its usual slope, are steepest within 0.2 s, and steep enough for a beat."""
    reach, half = round(0.2 * rate), round(0.06 * rate) // 2
    slopes = np.abs(signal[:, 2:] - signal[:, :-2]).astype(float)
    usual = [float(np.sort(row[::3])[int(0.96 * row[::3].size)]) for row in slopes]
    limited = [np.minimum(row, 3 * one) / one for row, one in zip(slopes, usual, strict=True) if one > 0]
    together = np.mean(limited, axis=0)
    steepness = np.array([together[max(at - half, 0) : at + half + 1].sum() for at in range(together.size)]) / (2 * half + 1)
    tops = [at for at, value in enumerate(steepness) if 0 < value == steepness[max(at - reach, 0) : at + reach + 1].max()]
    top = np.sort(steepness[tops])[-max(len(tops) // 3, 3) :].mean()
    rest = np.median(steepness)
    return [at + 1 for at in tops if steepness[at] > rest + 0.35 * (top - rest)]


@pytest.mark.parametrize("rate", RATES)
def test_beats_are_where_all_leads_together_are_steepest(rate):
    for record in hearts(rate):
        flat = record.signal.copy()
        flat[3] = 0.2  # says nothing, and changes nothing for the others
        flat[5, ::97] += 3  # what is steeper than any beat does not count for more than three times what is usual
        for one in (record, replace(record, signal=flat)):
            beats = beats_of(one)
            assert beats.peaks.dtype == np.int64 and beats.peaks.tolist() == plain_peaks(beats.signal, beats.rate)


def test_too_short_or_unmoving_records_have_no_beats_and_one_beat_is_where_it_is():
    record = simulate(3, rate=100)
    assert beats_of(replace(record, signal=np.zeros((12, 1000), np.float32))).peaks.tolist() == []
    assert beats_of(replace(record, signal=record.signal[:, :42])).peaks.tolist() == []
    rng = np.random.default_rng(0)
    assert beats_of(replace(record, signal=rng.normal(size=(12, 43)).astype(np.float32))).peaks.size > 0
    step = np.zeros((2, 60), np.float32)
    step[0, 20:31], step[0, 31:] = (1 - np.cos(np.linspace(0, np.pi, 11))) / 2, 1
    assert beats_of(Record(step, 100.0, ("I", "II"))).peaks.tolist() == [25]


def test_a_beat_counts_where_it_lies_wholly_in_the_record():
    beats = Beats(np.arange(300, dtype=np.float32)[None], 100.0, np.array([29, 30, 100, 249, 250]))
    assert beats.cut.shape == (1, 3, 80)
    assert beats.cut[0, :, 0].tolist() == [0, 70, 219] and beats.cut[0, :, -1].tolist() == [79, 149, 298]
    none = Beats(np.zeros((2, 300), np.float32), 100.0, np.array([5, 299]))
    assert none.cut.shape == (2, 0, 80) and none.cut.dtype == np.float32


@pytest.mark.parametrize("rate", [100, 257])
def test_the_middle_beat_is_the_median_and_so_is_the_interval(rate):
    for record in hearts(rate):
        beats = beats_of(record)
        for some in (beats, Beats(beats.signal, beats.rate, beats.peaks[:-1])):
            np.testing.assert_allclose(some.middle, plain_beat(some), atol=1e-6)
            assert some.interval == pytest.approx(float(np.median(np.diff(some.peaks))) / some.rate)
    signal = np.zeros((1, 900), np.float32)
    assert Beats(signal, 100.0, np.array([100, 200, 330])).interval == pytest.approx(1.15)
    assert math.isnan(Beats(signal, 100.0, np.array([100, 200])).interval)


@pytest.mark.parametrize("rate", [100.0, 128.5, 166.0])
def test_a_beat_s_time_counts_from_its_steepest_point_and_stretches_take_their_begin_but_not_their_end(rate):
    time = beat_time(rate)
    np.testing.assert_array_equal(time, np.array(range(-round(0.3 * rate), round(0.5 * rate))) / rate)
    assert Beats(np.zeros((1, 9), np.float32), rate, np.zeros(0, np.int64)).time is time
    with pytest.raises(ValueError, match="read-only"):
        time[0] = 0  # it is kept for all beats of that rate
    for begin, end in ((-0.3, -0.235), (-0.06, 0.08), (0.14, 0.42)):
        np.testing.assert_array_equal(time[stretch(rate, begin, end)], time[(time >= begin) & (time < end)])


def plain_noise(beats: Beats) -> np.ndarray:
    """[leads, 6]: agreement and height of QRS, wander, steps, trembling (logarithms), share of quiet stretches."""
    rate, at = beats.rate, round(0.3 * beats.rate)
    within = slice(at - round(0.1 * rate), at + round(0.12 * rate))
    half, long = max(round(0.5 * rate), 2), max(round(2 * rate), 2)
    told = []
    for lead, row in enumerate(beats.signal.astype(float)):
        agreement = height = 0.0
        if beats.cut.shape[1] >= 3:
            middle = np.median(beats.cut[lead], axis=0)[within]
            middle = middle - middle.mean()
            rests = [beat[within] - middle for beat in beats.cut[lead].astype(float)]
            differing = math.sqrt(np.median([np.mean((rest - rest.mean()) ** 2) for rest in rests]))
            agreement, height = math.sqrt(np.mean(middle**2)) / (differing + 0.003), np.ptp(middle)
        levels = [row[start : start + half].mean() for start in range(0, row.size - half + 1, half)]
        ordered, last = sorted(levels), len(levels) - 1
        spread = ordered[round(0.95 * last)] - ordered[round(0.05 * last)]
        step = max((abs(later - sooner) for sooner, later in pairwise(levels)), default=0.0)
        bends = sorted(abs(row[place - 1] - 2 * row[place] + row[place + 1]) for place in range(1, row.size - 1, 2))
        trembling = bends[int(0.75 * len(bends))] * (rate / 100) ** 2
        stretches = [row[start : start + long] for start in range(0, row.size - long + 1, long)]
        quiet = np.mean([np.ptp(part) < 0.03 for part in stretches])
        least = (0.05, 0.02, 0.1, 0.05, 0.005)
        sizes = [max(*pair) for pair in zip((agreement, height, spread, step, trembling), least, strict=True)]
        told.append([*map(math.log, sizes), quiet])
    return np.array(told)


@pytest.mark.parametrize("rate", RATES)
def test_noise_is_told_by_agreement_size_wander_steps_trembling_and_quiet(rate):
    for record in hearts(rate):
        still = record.signal.copy()
        still[5, : 5 * rate] = 0.3
        long = np.concatenate([still, still], axis=1)
        for samples in (10 * rate, 2 * rate + rate // 2, round(14.7 * rate), round(9.7 * rate)):
            one = replace(record, signal=long[:, :samples])
            beats = beats_of(one)
            np.testing.assert_allclose(noise_features(beats), plain_noise(beats), atol=2e-3)
            scores = plain_noise(beats) @ noise._WEIGHTS + noise._OFFSET
            np.testing.assert_allclose(lead_noise(beats), scores, atol=0.01)


def plain_drift(beats: Beats) -> float:
    """The middle lead's step from half second to half second that a tenth of them exceed, over its beats' height."""
    half, shares = round(0.5 * beats.rate), []
    for row, beat in zip(beats.signal.astype(float), plain_beat(beats), strict=True):
        levels = [row[start : start + half].mean() for start in range(0, row.size - half + 1, half)]
        steps = sorted(abs(later - sooner) for sooner, later in pairwise(levels))
        shares.append(steps[round(0.9 * (len(steps) - 1))] / (np.ptp(beat) + 0.05))
    return float(np.median(shares))


@pytest.mark.parametrize("seconds", [10.0, 7.6])
def test_a_record_drifts_from_a_share_of_its_beats_height_on_and_needs_three_beats(monkeypatch, seconds):
    record = simulate(3, rate=250, seconds=seconds)
    slow = np.sin(2 * np.pi * 0.2 * np.arange(record.signal.shape[1]) / 250 + np.arange(12)[:, None])
    beats = beats_of(replace(record, signal=(record.signal + 0.6 * slow).astype(np.float32)))
    share = plain_drift(beats)
    monkeypatch.setattr(noise, "DRIFTING_ABOVE", share * 0.999)
    assert is_drifting(beats)
    monkeypatch.setattr(noise, "DRIFTING_ABOVE", share * 1.001)
    assert not is_drifting(beats)
    monkeypatch.setattr(noise, "DRIFTING_ABOVE", 0.0)
    assert is_drifting(Beats(beats.signal, beats.rate, beats.peaks[1:4]))
    assert not is_drifting(Beats(beats.signal, beats.rate, beats.peaks[1:3]))


def plain_rate(beats: Beats) -> list[float]:
    """Eight logarithms: interval, spread of QRS, middle of T, four of forgetting, breadth of QRS."""
    beat, rate = plain_beat(beats), beats.rate
    time = (np.arange(beat.shape[1]) - round(0.3 * rate)) / rate
    between = time[:-1] + 0.5 / rate
    speed = np.sqrt(np.sum(np.diff(beat, axis=1) ** 2, axis=0))
    slow = np.sort(speed)[speed.size // 5]
    near = np.abs(between) < 0.12
    fast = np.maximum(speed[near] - slow, 0)
    centre = np.sum(fast * between[near]) / fast.sum()
    spread = math.sqrt(np.sum(fast**2 * (between[near] - centre) ** 2) / np.sum(fast**2))
    wide = np.count_nonzero(fast > 0.25 * fast.max()) / rate
    interval = float(np.median(np.diff(beats.peaks))) / rate
    until = max(min(0.5, 0.75 * interval), 0.14)
    level, part = (time > -0.09) & (time < -0.05), (time > 0.1) & (time < until)
    power = np.sum((beat[:, part] - beat[:, level].mean(axis=1, keepdims=True)) ** 2, axis=0)
    middle_of_t = np.sum(time[part] * power) / power.sum()
    changes = []
    for lag in (0.02, 0.04, 0.08, 0.16, 0.32):
        whole = int(lag * rate)
        ends = [
            np.sum((beats.signal[:, by:] - beats.signal[:, :-by]).astype(float) ** 2) if by else 0.0 for by in (whole, whole + 1)
        ]
        changes.append(ends[0] + (lag * rate - whole) * (ends[1] - ends[0]))
    forgetting = [math.log(later / sooner) for sooner, later in pairwise(changes)]
    return [math.log(interval), math.log(spread + 1e-3), math.log(middle_of_t), *forgetting, math.log(wide + 1e-3)]


@pytest.mark.parametrize("rate", RATES)
def test_a_wrong_rate_is_told_by_eight_durations_and_by_mains_in_the_wrong_place(rate):
    told = set()
    for record in hearts(rate):
        for factor in (0.5, 1.0, 2.0):
            beats = beats_of(replace(record, rate=rate * factor))
            if beats.cut.shape[1] < 3 or beats.rate < 40:
                continue
            features = plain_rate(beats)
            np.testing.assert_allclose(rate_features(beats), features, atol=2e-3)
            doubled = features @ stated_rate._DOUBLED_WEIGHTS + stated_rate._DOUBLED_OFFSET
            halved = features @ stated_rate._HALVED_WEIGHTS + stated_rate._HALVED_OFFSET
            for hertz in (None, 25, 30, 50, 60, 100, 120):
                limits = [-3.0 if hertz in moved else least for moved, least in (((100, 120), 1.2), ((25, 30), 1.83))]
                expected = "×2" if doubled > limits[0] else "÷2" if halved > limits[1] else ""
                told.add(suspected_rate(beats, None if hertz is None else Line(hertz, 9.0, 9.0)))
                assert suspected_rate(beats, None if hertz is None else Line(hertz, 9.0, 9.0)) == expected
    assert told == {"", "×2", "÷2"}


def test_a_beat_without_t_wave_or_slopes_has_a_rate_that_can_be_looked_at():
    signal = np.zeros((2, 1000), np.float32)
    signal[:, 100::200] = 1.0
    beats = Beats(signal, 100.0, np.arange(100, 900, 200))
    features = rate_features(beats)
    assert np.isfinite(features).all() and features[2] == pytest.approx(math.log(0.1))
    still = Beats(np.zeros((2, 1000), np.float32), 100.0, np.arange(100, 900, 200))
    assert rate_features(still)[[0, 2]] == pytest.approx([math.log(2), math.log(0.1)])
    assert rate_features(still)[3:7] == pytest.approx([0] * 4)


@pytest.mark.parametrize("rate", [100, 500])
def test_a_unit_is_suspected_of_beats_that_agree_and_are_smaller_than_any_heart_s(rate):
    record = simulate(3, [], rate=rate)
    height = np.ptp(plain_beat(beats_of(record)), axis=1).max()
    for share, expected in ((0.99, True), (1.01, False)):
        small = beats_of(replace(record, signal=(record.signal * (share * SMALLEST_MV / height)).astype(np.float32)))
        assert suspected_unit(small) == expected
        assert suspected_unit(Beats(small.signal, small.rate, small.peaks[1:4])) == expected
        assert not suspected_unit(Beats(small.signal, small.rate, small.peaks[1:3]))
    assert not suspected_unit(Beats(np.zeros((1, 1000), np.float32), 100.0, np.arange(100, 900, 100)))


def test_beats_agree_from_a_share_of_what_they_differ_by():
    """Every other beat is larger: by how much decides. The middle beat is the mean of both kinds, as is what they differ by."""
    shape = np.sin(np.linspace(0, 2 * np.pi, 80, endpoint=False)) * 0.005
    for apart, expected in ((1.3, True), (1.5, False)):  # 1/√2 of the size would be 0.7 of it: 1 / 0.7 = 1.43
        odd = np.random.default_rng(0).permutation(80)
        beats = np.array([shape + sign * apart * shape[odd] for sign in (1, -1) * 4])
        signal = np.concatenate([np.zeros(20), *beats, np.zeros(20)]).astype(np.float32)
        two = np.stack([signal + np.float32(0.5), signal - np.float32(0.2)])  # leads lie at different heights
        assert suspected_unit(Beats(two, 100.0, np.arange(8) * 80 + 50)) == expected
