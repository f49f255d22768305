"""Mains lines and resemblance are what whole spectra say of them, line by line and lead by lead."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cmelt.records import mains
from cmelt.records.mains import PLACES_HZ, mains_line
from cmelt.records.record import Record
from cmelt.records.resample import resample
from cmelt.records.resemblance import resemblance
from cmelt.simulation import simulate


def plain_lines(record: Record) -> dict[int, tuple[float, float]]:
    """Place → amplitude (µV) and contrast of every line that can be told, from the whole spectrum of the first ten seconds."""
    samples = min(record.signal.shape[1], int(10 * record.rate))
    measured = np.clip(np.where(np.isfinite(record.signal), record.signal, 0), -1e6, 1e6)[:, :samples].astype(float)
    mixed = mains._mixtures(len(record.leads)).astype(float) @ measured
    spectrum = np.fft.rfft((mixed - mixed.mean(axis=1, keepdims=True)) * np.hanning(samples), axis=1)
    amplitude = np.sqrt((np.abs(spectrum) ** 2).sum(axis=0)) * 4 / samples * 1000 / math.sqrt(2)
    step = record.rate / samples
    apart, reach = max(round(0.5 / step), 3), round(2 / step)
    found = {}
    for place in PLACES_HZ:
        if place + 2 >= (samples // 2 + 1) * step * 0.96:
            continue
        low, high = round((place - 0.25) / step), round((place + 0.25) / step)
        peak = max(amplitude[low : high + 1])
        beside = max([*amplitude[low - reach : low - apart], *amplitude[high + apart + 1 : high + reach + 1]])
        if peak >= 4 and peak >= 3 * beside:
            found[place] = (peak, peak / max(beside, 1e-6))
    return found


def with_hum(record: Record, hertz: float, size: float) -> Record:
    time = np.arange(record.signal.shape[1]) / record.rate
    phases = np.linspace(0, 3, len(record.leads))[:, None]
    return replace(record, signal=(record.signal + size * np.sin(2 * np.pi * hertz * time + phases)).astype(np.float32))


def assert_plain(record: Record) -> None:
    line, plain = mains_line(record), plain_lines(record)
    best = max(plain, key=lambda place: plain[place][1], default=None)
    assert (line.hertz if line else None) == best
    if line is not None:
        assert line.microvolts == pytest.approx(plain[best][0], rel=1e-3)
        assert line.contrast == pytest.approx(plain[best][1], rel=1e-2)


@pytest.mark.parametrize("rate", [130, 250, 257, 500, 1000])
@pytest.mark.parametrize("seconds", [4.0, 7.3, 14.0])
def test_the_clearest_line_is_that_of_the_whole_spectrum_and_so_is_its_size(rate, seconds):
    dice = np.random.default_rng(rate)
    heart = simulate(rate, rate=rate, seconds=seconds, noise=0.2)
    for place in PLACES_HZ:
        for hertz in (place, place + dice.uniform(-0.4, 0.4), place + dice.uniform(-3, 3)):
            assert_plain(with_hum(heart, hertz, 10 ** dice.uniform(-2.3, -0.5)))
    assert_plain(with_hum(with_hum(heart, 50, 0.1), 60, 0.05))


def test_lines_stand_out_of_gaps_and_absurd_numbers_too():
    heart = with_hum(simulate(3, rate=250, noise=0.1), 50, 0.1)
    signal = heart.signal.copy()
    signal[2, 100:160] = np.nan
    assert_plain(replace(heart, signal=signal))
    assert mains_line(replace(heart, signal=signal)).hertz == 50
    signal[4, 7] = np.inf
    assert_plain(replace(heart, signal=signal))
    signal[5, 8] = 1e9
    assert_plain(replace(heart, signal=signal))


def test_a_line_needs_four_seconds_and_room_below_half_the_rate():
    heart = with_hum(simulate(3, rate=250, noise=0.1), 50, 0.1)
    assert mains_line(replace(heart, signal=heart.signal[:, :1000])).hertz == 50
    assert mains_line(replace(heart, signal=heart.signal[:, :999])) is None
    for rate, seen in ((107, None), (109, 50)):
        slow = with_hum(simulate(3, rate=rate, noise=0.1), 50, 0.2)
        line = mains_line(slow)
        assert (line.hertz if line else None) == seen
    assert mains_line(simulate(3, rate=50)) is None


def test_a_line_is_one_from_its_least_size_and_contrast_on(monkeypatch):
    record = with_hum(simulate(3, rate=250, noise=0.1), 50, 0.05)
    line = mains_line(record)
    assert line is not None
    for name, value in (("LEAST_MICROVOLTS", line.microvolts), ("LEAST_CONTRAST", line.contrast)):
        for factor, seen in ((0.9999, True), (1.0001, False)):
            with monkeypatch.context() as patch:
                patch.setattr(mains, name, value * factor)
                assert (mains_line(record) is not None) == seen
    pure = Record(np.zeros((1, 1000), np.float32), 250.0, ("I",))
    assert mains_line(pure) is None


def plain_resemblance(first: np.ndarray, first_rate: float, second: np.ndarray, second_rate: float) -> float:
    """The middle lead's correlation over lines of 1 to 20 Hz at the best of 13 delays, lead by lead and delay by delay."""
    seconds = min(first.shape[1] / first_rate, second.shape[1] / second_rate)
    spectra = []
    for signal, rate in ((first, first_rate), (second, second_rate)):
        samples = round(seconds * rate)
        time = np.arange(samples) / rate
        edge = np.sin(np.pi / 2 * np.clip(np.minimum(time, seconds - time) / 0.5, 0, 1)) ** 2
        rows = []
        for row in signal[:, :samples].astype(float):
            row = row - row.mean() if np.isfinite(row).all() else np.zeros(samples)
            row = row * edge if np.ptp(row) >= 1e-9 else np.zeros(samples)
            lines = np.arange(math.ceil(seconds), int(20 * seconds) + 1)
            rows.append(np.exp(-2j * np.pi * lines[:, None] * np.arange(samples) / samples) @ row)
        spectra.append(np.array(rows))
    frequencies = np.arange(math.ceil(seconds), int(20 * seconds) + 1) / seconds
    best = []
    for delay in np.arange(-12, 13, 2) / 1000:
        turned = np.exp(2j * np.pi * frequencies * delay)
        alike = []
        for one, other in zip(*spectra, strict=True):
            power = np.sum(np.abs(one) ** 2) * np.sum(np.abs(other) ** 2)
            if power > 0:
                alike.append(np.sum(one * other.conj() * turned).real / math.sqrt(power))
        best.append(np.median(alike))
    return float(max(best))


@pytest.mark.parametrize(("rate", "late"), [(500, 3), (250, 0), (100, 1), (333, 2)])
def test_resemblance_is_the_middle_lead_s_correlation_at_the_best_delay(rate, late):
    one, other = simulate(3, rate=500, seconds=4.5), simulate(4, rate=500, seconds=6.0)
    signal = resample(one.signal, 500, rate)
    copy = np.roll(signal, late, axis=1) * np.float32(-0.5) ** 2 + np.float32(3)
    copy[4, 5], copy[6] = np.nan, 0.7
    foreign = resample(other.signal, 500, rate) + resample(one.signal, 500, rate)[:, :1]
    for second in (copy, foreign, copy[:, : round(2.6 * rate)]):
        found = resemblance(one.signal, 500.0, second, float(rate))
        assert found == pytest.approx(plain_resemblance(one.signal, 500.0, second, float(rate)), abs=1e-6)
        assert resemblance(second, float(rate), one.signal, 500.0) == pytest.approx(found, abs=1e-6)


def test_a_copy_may_be_twelve_milliseconds_late_and_no_more():
    ecg = simulate(3, rate=500)
    alike = [resemblance(ecg.signal[:, 40:-40], 500, ecg.signal[:, 40 + late : 4960 + late], 500) for late in (0, 6, -6, 12, -12)]
    assert min(alike[:3]) > 0.99 and max(alike[3:]) < min(alike[:3]) - 0.01


def test_two_seconds_in_common_are_compared_and_less_tells_nothing():
    ecg = simulate(3, rate=500)
    assert resemblance(ecg.signal, 500, ecg.signal[:, :1000], 500) == pytest.approx(1)
    assert resemblance(ecg.signal[:, :1000], 500, ecg.signal, 500) == pytest.approx(1)
    assert resemblance(ecg.signal, 500, ecg.signal[:, :999], 500) == -1
    small = np.zeros((1, 1000), np.float32)
    small[0, ::3] = np.float32(5e-10)
    assert resemblance(small, 500, ecg.signal[:1], 500) == -1, "nothing but rounding moves there"
