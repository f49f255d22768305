"""The script that fits what is expected of chest leads: it finds what was put in, and counts what it prints."""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import pytest

from cmelt.records.chest_leads import TOLD, WAVES, Expectation, Waves, expectation
from cmelt.records.polarity import ALL_NEEDED, CHEST
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

from .conftest import script

script("polarity")  # by this name the other finds it
turned_leads = script("turned_leads")


@cache
def hearts() -> tuple[Record, ...]:
    return tuple(simulate(seed, [], rate=100) for seed in range(50_000, 50_016))


@cache
def waves() -> tuple[tuple[Waves, ...], ...]:
    return tuple(tuple(row) for row in turned_leads.waves_under_faults(turned_leads.middles(hearts())))


def test_each_fault_changes_the_signs_and_places_that_it_is_called_after():
    one = turned_leads.middles(hearts())[0]
    changed = [fault(one).signal for fault in turned_leads.FAULTS]
    assert np.array_equal(changed[0], one.signal) and np.array_equal(changed[9], -one.signal)
    for number, lead in enumerate(CHEST, 1):
        rows = np.flatnonzero((changed[number] != one.signal).any(axis=1))
        assert [LEADS[row] for row in rows] == [lead] and turned_leads.ANSWERS[number] == number
    assert np.array_equal(changed[7][0], -one.signal[0]) and np.array_equal(changed[8][1], -one.signal[1])
    assert not turned_leads.ANSWERS[[0, 7, 8, 9]].any() and turned_leads.SHARES.sum() == pytest.approx(1)


def test_a_lead_is_expected_to_be_what_the_others_make_of_it_and_nothing_of_itself():
    rng = np.random.default_rng(0)
    made = []
    for _ in range(60):
        leads = rng.normal(size=(len(WAVES), len(ALL_NEEDED), 40))
        leads[1, 4] = 0.7 * leads[1, 3] - 0.3 * leads[1, 0]  # of QRS alone, V3 of V2 and I
        made.append(Waves(leads @ leads.transpose(0, 2, 1) / 40, np.zeros((4, 6)), np.zeros((4, 6))))
    by_all, by_limb = turned_leads.fit_expected(made, np.ones(60))
    np.testing.assert_allclose(by_all[1, 2], [-0.3, 0, 0, 0.7, 0, 0, 0, 0], atol=0.03)
    assert np.abs(by_all[0]).max() < 0.1, "other waves are fitted by themselves"
    np.testing.assert_allclose(by_limb[1, 2, :2], [-0.3, 0], atol=0.06)
    assert not by_limb[..., 2:].any() and not any(by_all[:, lead, 2 + lead].any() for lead in range(6))


def test_logits_learn_which_lead_is_turned_and_records_of_no_weight_count_for_nothing():
    rng = np.random.default_rng(1)
    right = rng.normal(1.0, 0.5, (80, 6, 3))
    features = np.array(
        [right, *(right * np.where(np.arange(6) == lead, -1, 1)[:, None] for lead in range(6)), right, right, right]
    )
    weights, offsets = turned_leads.fit_logits(features, np.ones(80))
    logits = np.einsum("vnlf,lf->vnl", features, weights) + offsets
    assert np.mean([(logits[1 + lead].argmax(axis=1) == lead).mean() for lead in range(6)]) > 0.97
    assert (logits[0].max(axis=1) < 0).mean() > 0.97 and (weights < 0).mean() > 0.9
    odd = np.concatenate([features, -5 * features[:, :9]], axis=1)
    again, _ = turned_leads.fit_logits(odd, np.append(np.ones(80), np.zeros(9)))
    assert np.abs(again - weights).max() < 0.15 * np.abs(weights).max()


def test_what_is_fitted_on_hearts_tells_turned_leads_of_others_and_is_kept_as_it_was_fitted(tmp_path, monkeypatch):
    learned = turned_leads.fitted(waves()[:10], np.ones(10))
    logits = turned_leads.logits_of(waves()[10:], learned)
    named = [(logits[1 + lead].argmax(axis=1) == lead) & (logits[1 + lead].max(axis=1) > 0) for lead in range(6)]
    assert np.mean(named) > 0.9 and (logits[0] < 0).all()
    place = tmp_path / "chest_leads.json"
    monkeypatch.setattr(turned_leads, "FITTED", place)
    turned_leads.write(learned)
    told = json.loads(place.read_text())
    kept = Expectation(**{name: np.array(told[name]) for name in ("expected", "weights", "offsets")})
    for name in ("expected", "weights", "offsets"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(learned, name))
    assert kept.weights.shape == (TOLD, len(WAVES), len(CHEST)) == expectation().weights.shape


def test_tables_count_what_is_named_and_accused(capsys):
    logits = turned_leads.logits_of(waves(), expectation())
    turned_leads.tell("some", logits)
    named = sum(int((one.argmax(axis=1) == lead)[one.max(axis=1) > 0].sum()) for lead, one in enumerate(logits[1:7]))
    accused = int((logits[0].max(axis=1) > 0).sum())
    assert re.search(rf"\| 0 \| [^|]*, {named}/96 \| [^|]*, {accused}/16 \|", capsys.readouterr().out)


def test_a_middle_beat_gets_the_flag_that_its_record_gets():
    one = turned_leads.middles(hearts())[3]
    for fault, flag in ((turned_leads.FAULTS[0], ""), (turned_leads.FAULTS[3], "chest-inverted:V3")):
        assert turned_leads.flag_of(fault(one), expectation()) == flag
    swap, flag = turned_leads.OTHERS["V1 and V5 exchanged"]
    assert turned_leads.flag_of(swap(one), expectation()) == flag == "chest-swapped:V1/V5"
    turned_leads.tell_flags({"none": [""], "V3 turned": ["chest-inverted:V3", ""]})
