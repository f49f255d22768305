"""What waves say of turned, reversed and exchanged leads is what its definition says: held against slow sums, lead by lead."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from cmelt.records import polarity, reversal
from cmelt.records.beats import Beats, beats_of
from cmelt.records.chest_leads import TOLD, WAVES, expectation, wave_features, waves_of
from cmelt.records.polarity import CHEST, beat_gram, is_chest_reversed, is_upside_down, unlikeness, uprightness
from cmelt.records.record import LEADS, Record
from cmelt.records.reversal import exchange_features, exchanged_electrodes
from plain_beats import RATES, ROWS, cut_out, hearts, plain_beat


def plain_uprightness(beat: np.ndarray, rate: float) -> np.ndarray:
    """[6, 8]: of P, QRS and T the area, and how much taller than deep it is, in the leads of `ALL_NEEDED`."""
    found = []
    for level, part in (((-0.3, -0.235), (-0.26, -0.06)), ((-0.09, -0.055), (-0.06, 0.08)), ((-0.09, -0.055), (0.14, 0.42))):
        trace = cut_out(beat, rate, level, part)
        largest = max(math.sqrt(np.mean(row**2)) for row in trace)
        farthest = np.abs(trace).max()
        found.append([row.mean() / (largest + 1e-3) for row in trace])
        found.append([(row.max() + row.min()) / (farthest + 1e-3) for row in trace])
    return np.array(found)


@pytest.mark.parametrize("rate", RATES)
def test_which_way_waves_go_is_their_area_and_height_beside_the_largest_lead(rate):
    for record in hearts(rate):
        beats = beats_of(record)
        beat = plain_beat(beats)[list(ROWS.values())]
        plain = plain_uprightness(beat, beats.rate)
        np.testing.assert_allclose(uprightness(beats, ROWS), plain, atol=1e-4)
        for sign in (1, -1):
            turned = Beats(sign * beats.signal, beats.rate, beats.peaks)
            speaking = sign * plain * polarity._UPRIGHT_WEIGHTS
            all_turned = bool(speaking.sum() > polarity.UPSIDE_DOWN_ABOVE)
            assert is_upside_down(turned, ROWS) == all_turned == is_upside_down(turned, ROWS, upright=sign * plain)
            chest = bool(speaking[:, 2:].sum() > polarity._CHEST_ABOVE)
            assert is_upside_down(turned, ROWS, limb_leads_exchanged=True) == (all_turned and chest)
            assert not is_upside_down(Beats(turned.signal, beats.rate, beats.peaks[1:3]), ROWS)
        backwards = Beats(beats.signal[[*range(6), *range(11, 5, -1)]], beats.rate, beats.peaks)
        for one, order in ((beats, plain[:, 2:]), (backwards, plain[:, :1:-1])):
            against = order[:, :3] - order[:, :2:-1]
            assert is_chest_reversed(one, ROWS) == bool((against * polarity._ORDER_WEIGHTS).sum() > polarity.REVERSED_ABOVE)
            assert not is_chest_reversed(Beats(one.signal, beats.rate, beats.peaks[1:3]), ROWS)


def test_a_record_is_called_upside_down_or_reversed_above_the_limit_and_needs_three_beats(monkeypatch):
    beats = beats_of(hearts(500)[0])
    three = Beats(beats.signal, beats.rate, beats.peaks[1:4])
    upright = uprightness(three, ROWS)
    for name, score, asked in (
        ("UPSIDE_DOWN_ABOVE", (upright * polarity._UPRIGHT_WEIGHTS).sum(), is_upside_down),
        ("REVERSED_ABOVE", (polarity.against_order(upright) * polarity._ORDER_WEIGHTS).sum(), is_chest_reversed),
    ):
        for above, expected in ((score - 1e-6, True), (score + 1e-6, False)):
            monkeypatch.setattr(polarity, name, above)
            assert asked(three, ROWS) == expected
            assert not asked(Beats(beats.signal, beats.rate, beats.peaks[1:3]), ROWS, upright=upright)


@pytest.mark.parametrize("rate", [100, 257, 500])
def test_unlikeness_is_what_each_undone_fault_leaves_of_the_misses_of_what_is_expected(rate):
    expected = np.random.default_rng(rate).normal(0, 0.3, (6, 6)) * (1 - np.eye(6))
    for record in hearts(rate)[:3]:
        beats = beats_of(record)
        trace = cut_out(plain_beat(beats)[[ROWS[lead] for lead in CHEST]], beats.rate, (-0.09, -0.055), (-0.09, 0.42))
        gram = trace @ trace.T
        np.testing.assert_allclose(beat_gram(beats, ROWS), gram / np.trace(gram), atol=1e-5)
        undone = [np.where(np.arange(6)[:, None] == lead, -trace, trace) for lead in range(6)]
        for one, other in combinations(range(6), 2):
            order = list(range(6))
            order[one], order[other] = other, one
            undone.append(trace[order])
        misses = [np.sum((one - expected @ one) ** 2) for one in (trace, *undone)]
        np.testing.assert_allclose(unlikeness(beat_gram(beats, ROWS), expected), np.array(misses[1:]) / misses[0], rtol=1e-3)


def plain_waves(beat: np.ndarray, rate: float, expected: np.ndarray) -> np.ndarray:
    """[6, 4, 6] what is told of the four waves of each chest lead, wave by wave and lead by lead."""
    told = np.empty((TOLD, len(WAVES), len(CHEST)))
    for wave, (level, part) in enumerate(WAVES):
        traces = cut_out(beat, rate, level, part)
        largest = max(np.mean(trace**2) for trace in traces) + 1e-6
        for chest in range(6):
            own = traces[2 + chest]
            for by in (0, 1):
                guess = expected[by, wave, chest] @ traces
                along, sizes = np.mean(guess * own), (np.mean(own**2), np.mean(guess**2))
                told[by, wave, chest] = along / (math.sqrt(sizes[0] * sizes[1]) + 0.01 * largest)
                little = 1e-3 * largest
                told[2 + by, wave, chest] = (
                    math.log((np.mean((own + guess) ** 2) + little) / (np.mean((own - guess) ** 2) + little)) / 2
                )
            told[4, wave, chest] = own.mean() / math.sqrt(largest)
            high, low = max(own.max(), 0), min(own.min(), 0)
            told[5, wave, chest] = (high + low) / (max(high, -low) + 0.02)
    return told


@pytest.mark.parametrize("rate", RATES)
def test_what_is_told_of_a_chest_lead_s_waves_is_their_likeness_odds_area_and_height(rate):
    known = expectation()
    for record in hearts(rate):
        beats = beats_of(record)
        beat = plain_beat(beats)[list(ROWS.values())]
        plain = plain_waves(beat, beats.rate, known.expected)
        np.testing.assert_allclose(wave_features(waves_of(beat, beats.rate), known.expected), plain, atol=1e-6)
        logits = (plain * known.weights).sum(axis=(0, 1)) + known.offsets
        np.testing.assert_allclose(known.turned(waves_of(beat, beats.rate)), logits, atol=1e-5)


def plain_exchange(beat: np.ndarray, rate: float, turned: int) -> list[float]:
    """The nine numbers of an exchange that turns limb lead 0 (arms) or 1 (right arm and leg); `beat` is I, II, V5, V6."""
    i, ii, v5, v6 = beat
    levels = (((-0.09, -0.055), (-0.06, 0.08)), ((-0.09, -0.055), (0.14, 0.42)), ((-0.3, -0.235), (-0.26, -0.06)))
    waves = [cut_out(np.stack([i, ii, ii - i, v5, v6]), rate, *wave) for wave in levels]

    def along(wave: np.ndarray, chest: int) -> float:
        largest = max(np.linalg.norm(lead) for lead in wave[:3])
        return float(wave[turned] @ wave[chest]) / (np.linalg.norm(wave[chest]) + 1e-6) / (largest + 1e-6)

    def net(wave: np.ndarray, lead: int) -> float:
        largest = max(np.linalg.norm(limb) for limb in wave[:3])
        return float(wave[lead].sum()) / math.sqrt(wave.shape[1]) / (largest + 1e-3)

    qrs, t, p = waves
    others = net(p, 1) - net(p, 2) if turned == 0 else net(p, 0) + net(p, 2)
    return [along(qrs, 4), along(qrs, 3), along(t, 4), along(t, 3), along(p, 4), net(p, turned), others, net(qrs, turned),
            net(t, turned)]  # fmt: skip


def exchanges(record: Record) -> list[np.ndarray]:
    """The record's leads as they are, with the arms' electrodes exchanged, and with the right arm's and the leg's."""
    i, ii, iii, avr, avl, avf = record.signal[:6]
    chest = record.signal[6:]
    return [
        record.signal,
        np.stack([-i, iii, ii, avl, avr, avf, *chest]),
        np.stack([-iii, -ii, -i, avf, avl, avr, *chest]),
    ]


@pytest.mark.parametrize("rate", RATES)
def test_exchanged_electrodes_are_told_by_nine_numbers(rate):
    rows = {lead: LEADS.index(lead) for lead in reversal.NEEDED}
    told = []
    for record in hearts(rate):
        for signal in exchanges(record):
            beats = beats_of(replace(record, signal=signal))
            beat = plain_beat(beats)[list(rows.values())]
            plain = [plain_exchange(beat, beats.rate, turned) for turned in (0, 1)]
            for turned in (0, 1):
                np.testing.assert_allclose(exchange_features(beats, rows, turned), plain[turned], atol=1e-3)
            arms = plain[0] @ reversal._ARMS_WEIGHTS + reversal._ARMS_OFFSET
            leg = plain[1] @ reversal._LEG_WEIGHTS + reversal._LEG_OFFSET
            expected = "right-arm/leg" if leg > max(arms, reversal.LEG_ABOVE) else "arms" if arms > reversal.ARMS_ABOVE else ""
            told.append(exchanged_electrodes(beats, rows))
            assert told[-1] == expected
            three = Beats(beats.signal, beats.rate, beats.peaks[1:4])
            few = [plain_exchange(plain_beat(three)[list(rows.values())], beats.rate, turned) for turned in (0, 1)]
            scores = (
                few[0] @ reversal._ARMS_WEIGHTS + reversal._ARMS_OFFSET,
                few[1] @ reversal._LEG_WEIGHTS + reversal._LEG_OFFSET,
            )
            assert bool(exchanged_electrodes(three, rows)) == (
                scores[0] > reversal.ARMS_ABOVE or scores[1] > max(scores[0], 3.47)
            )
            assert exchanged_electrodes(Beats(beats.signal, beats.rate, beats.peaks[1:3]), rows) == ""
    assert set(told) == {"", "arms", "right-arm/leg"}
