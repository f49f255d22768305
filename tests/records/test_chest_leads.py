"""Chest leads turned or under each other's names, in hearts not fitted on: told from right ones and from other faults."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cmelt.records.beats import Beats, beats_of
from cmelt.records.chest_leads import PUT_BACK, TOLD, WAVES, Expectation, chest_fault, expectation, wave_features, waves_of
from cmelt.records.polarity import ALL_NEEDED, CHEST, is_chest_reversed
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

ROWS = {lead: LEADS.index(lead) for lead in ALL_NEEDED}


@cache
def hearts(rate: int = 100, count: int = 30) -> tuple[Record, ...]:
    return tuple(simulate(seed, rate=rate) for seed in range(40_000, 40_000 + count))


def turned(record: Record, *leads: str) -> Record:
    signs = np.array([-1.0 if lead in leads else 1.0 for lead in record.leads], np.float32)
    return replace(record, signal=record.signal * signs[:, None])


def fault_of(record: Record) -> str:
    beats = beats_of(record)
    return chest_fault(beats, ROWS, looks=["reversed"] if is_chest_reversed(beats, ROWS) else [])


def middle(record: Record) -> tuple[np.ndarray, float]:
    beats = beats_of(record)
    return beats.middle[list(ROWS.values())].astype(np.float64), beats.rate


@pytest.mark.parametrize("rate", [100, 500])
def test_nine_in_ten_turned_leads_of_simulated_hearts_are_named_at_any_rate_and_right_ones_are_not(rate):
    for lead in CHEST:
        assert np.mean([fault_of(turned(one, lead)) == f"chest-inverted:{lead}" for one in hearts(rate)]) >= 0.9, lead
    assert sum(bool(fault_of(one)) for one in hearts(rate)) <= 1


def test_what_is_told_of_a_lead_changes_its_sign_with_the_lead_and_of_no_wave_nothing_is_told():
    known = expectation()
    beat, rate = middle(hearts()[0])
    told = wave_features(waves_of(beat, rate), known.expected)
    assert told.shape == (TOLD, len(WAVES), len(CHEST)) and (np.abs(told) > 1e-3).mean() > 0.95
    for lead in range(len(CHEST)):
        other = beat.copy()
        other[2 + lead] *= -1
        changed = wave_features(waves_of(other, rate), known.expected)
        np.testing.assert_allclose(changed[..., lead], -told[..., lead], atol=1e-9)
    nothing = wave_features(waves_of(np.zeros_like(beat), rate), known.expected)
    assert not nothing.any()


def test_a_lead_that_is_what_the_others_make_one_expect_is_as_like_as_can_be():
    beat, rate = middle(hearts()[1])
    expected = np.zeros((2, len(WAVES), len(CHEST), len(ALL_NEEDED)))
    expected[0, :, 3, [4, 6]] = 0.5  # V4 halfway between V3 and V5
    beat[5] = (beat[4] + beat[6]) / 2
    by_others, by_limb, odds, odds_by_limb, area, _ = wave_features(waves_of(beat, rate), expected)[..., 3]
    assert (by_others[area != 0] > 0.8).all() and (odds > 1).all()
    assert not by_limb.any() and not odds_by_limb.any(), "nothing was expected by the limb leads"


def test_size_of_the_ecg_and_order_of_the_leads_change_little():
    known = expectation()
    for record in hearts(count=8):
        beat, rate = middle(record)
        np.testing.assert_allclose(known.turned(waves_of(beat, rate)), known.turned(waves_of(beat * 0.5, rate)), atol=0.6)
        order = np.random.default_rng(0).permutation(12)
        shuffled = replace(record, signal=record.signal[order], leads=tuple(LEADS[row] for row in order))
        rows = {lead: shuffled.leads.index(lead) for lead in ALL_NEEDED}
        assert chest_fault(beats_of(shuffled), rows) == chest_fault(beats_of(record), ROWS)


def reversed_chest(record: Record) -> Record:
    return replace(record, signal=record.signal[[*range(6), *range(11, 5, -1)]])


def test_a_turned_v6_that_looks_like_leads_in_reverse_is_still_called_turned():
    named = [chest_fault(beats_of(turned(one, "V6")), ROWS, looks=["reversed"]) == "chest-inverted:V6" for one in hearts()]
    assert np.mean(named) >= 0.85
    assert not any(chest_fault(beats_of(reversed_chest(one)), ROWS, looks=["reversed"]) for one in hearts())


def test_two_exchanged_leads_that_explain_it_much_better_are_not_called_a_turned_one():
    swapped = [replace(one, signal=one.signal[[0, 1, 2, 3, 4, 5, 10, 7, 8, 9, 6, 11]]) for one in hearts()]  # V1 and V5
    found = [fault_of(one) for one in swapped]
    assert np.mean([flag == "chest-swapped:V1/V5" for flag in found]) >= 0.6
    assert np.mean([flag.startswith("chest-inverted") for flag in found]) <= 0.2


def test_without_three_beats_nothing_is_said_and_of_what_was_fitted_otherwise_something_else():
    record = turned(hearts()[2], "V3")
    beats = beats_of(record)
    assert chest_fault(beats, ROWS) == "chest-inverted:V3"
    assert chest_fault(Beats(beats.signal, beats.rate, beats.peaks[:2]), ROWS) == ""
    own = expectation()
    silent = Expectation(own.expected, own.weights * 0, own.offsets * 0 - 1)
    assert not chest_fault(beats, ROWS, known=silent).startswith("chest-inverted")


def test_a_real_turned_chest_lead_is_named_in_ninety_eight_of_a_hundred_and_no_right_one(data_dir):
    records = [read_ecg(path) for path in sorted((data_dir / "ptb-xl/records100/21000").glob("*.hea"))[:60]]
    named = [fault_of(turned(one, lead)) == f"chest-inverted:{lead}" for one in records for lead in CHEST]
    assert np.mean(named) >= 0.98
    assert sum(fault_of(one).startswith("chest-inverted") for one in records) <= 1


def test_real_leads_in_reverse_are_seldom_called_turned_once_they_are_known_to_look_reversed(data_dir):
    records = [reversed_chest(read_ecg(path)) for path in sorted((data_dir / "ptb-xl/records100/21000").glob("*.hea"))[:60]]
    blind = [chest_fault(beats_of(one), ROWS).startswith("chest-inverted") for one in records]
    assert np.mean(blind) >= 0.1
    assert np.mean([fault_of(one).startswith("chest-inverted") for one in records]) <= np.mean(blind) / 3


def exchanged_arms(record: Record) -> Record:
    i, ii, iii, avr, avl, avf = record.signal[:6]
    return replace(record, signal=np.stack([-i, iii, ii, avl, avr, avf, *record.signal[6:]]))


def exchanged_arm_and_leg(record: Record) -> Record:
    i, ii, iii, avr, avl, avf = record.signal[:6]
    return replace(record, signal=np.stack([-iii, -ii, -i, avf, avl, avr, *record.signal[6:]]))


@pytest.mark.parametrize(
    ("what", "fault"), [("reversed", reversed_chest), ("arms", exchanged_arms), ("right-arm/leg", exchanged_arm_and_leg)]
)
def test_what_is_put_back_is_what_was_there(what, fault):
    record = hearts()[4]
    right, changed = (one.signal[list(ROWS.values())] for one in (record, fault(record)))
    assert np.abs(changed - right).max() > 0.1
    np.testing.assert_allclose(PUT_BACK[what] @ changed, right, atol=2e-3)  # III is II less I but for rounding


def test_a_lead_that_only_exchanged_electrodes_make_look_turned_is_not_called_so():
    """Expected here of V6 is I, and nothing else: exchanged arms, which turn I, make it look turned until they are put back."""
    expected, weights = np.zeros((2, len(WAVES), len(CHEST), len(ALL_NEEDED))), np.zeros((TOLD, len(WAVES), len(CHEST)))
    expected[1, :, 5, 0], weights[1, 1, 5] = 1.0, -10.0
    known = Expectation(expected, weights, np.array([-9.0, -9, -9, -9, -9, 0]))
    beats = beats_of(exchanged_arms(simulate(3, [], rate=100)))
    assert chest_fault(beats, ROWS, known=known) == "chest-inverted:V6"
    assert chest_fault(beats, ROWS, known=known, looks=["arms"]) == ""
