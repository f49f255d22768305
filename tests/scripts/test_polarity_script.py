"""The script that fits and measures the checks of turned leads: what it fits holds, what it prints is counted right."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from cmelt.records.beats import beats_of
from cmelt.records.polarity import (
    _EXPECTED,
    _ORDER_WEIGHTS,
    _UPRIGHT_WEIGHTS,
    CHEST,
    against_order,
    beat_gram,
    unlikeness,
    uprightness,
)
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

from .conftest import script

polarity = script("polarity")


@cache
def hearts() -> tuple[Record, ...]:
    return tuple(simulate(seed, [], rate=100) for seed in range(30_000, 30_024))


def test_weights_tell_records_from_their_mirror_images_and_belong_to_neither():
    features = np.array([uprightness(beats_of(one), polarity.ROWS) for one in hearts()])
    weights = polarity.fit_upright(features, np.ones(len(features)))
    logits = (features * weights).sum(axis=(1, 2))
    assert weights.shape == _UPRIGHT_WEIGHTS.shape and (logits < -1).all()
    none = polarity.fit_upright(np.zeros_like(features), np.ones(len(features)))
    assert not none.any(), "what says nothing has no weight"


def test_a_lead_is_expected_to_be_what_the_others_make_of_it():
    rng = np.random.default_rng(0)
    leads = rng.normal(size=(40, 6, 50))
    leads[:, 2] = 0.7 * leads[:, 1] - 0.2 * leads[:, 4]
    grams = leads @ leads.transpose(0, 2, 1) / 50
    found = polarity.fit_expected(grams, np.ones(40))
    np.testing.assert_allclose(found[2], [0, 0.7, 0, 0, -0.2, 0], atol=0.01)
    assert not np.diag(found).any() and found.shape == _EXPECTED.shape


def test_records_that_count_for_nothing_change_nothing():
    grams = np.array([beat_gram(beats_of(one), polarity.ROWS) for one in hearts()])
    odd = np.concatenate([grams, np.eye(6)[None] * 5])
    counts = np.append(np.ones(len(grams)), 0.0)
    np.testing.assert_allclose(polarity.fit_expected(odd, counts), polarity.fit_expected(grams, counts[:-1]))


def test_scores_are_the_module_s():
    beats = [beats_of(one) for one in hearts()[:3]]
    found = polarity.scores_of(beats, _UPRIGHT_WEIGHTS, _ORDER_WEIGHTS, _EXPECTED)
    for one, (logit, turned, exchanged, backwards) in zip(beats, found, strict=True):
        assert backwards == pytest.approx((against_order(uprightness(one, polarity.ROWS)) * _ORDER_WEIGHTS).sum())
        assert logit == pytest.approx((uprightness(one, polarity.ROWS) * _UPRIGHT_WEIGHTS).sum())
        ratios = unlikeness(beat_gram(one, polarity.ROWS), _EXPECTED)
        assert (turned, exchanged) == (pytest.approx(ratios[:6].min()), pytest.approx(ratios[6:].min()))


def test_faults_are_put_in_as_they_are_called():
    record = hearts()[0]
    assert np.array_equal(polarity.upside_down(record).signal, -record.signal)
    turned = polarity.turned(record, "V3").signal
    assert np.array_equal(turned[8], -record.signal[8]) and np.array_equal(
        np.delete(turned, 8, 0), np.delete(record.signal, 8, 0)
    )
    swapped = polarity.exchanged(record, "V1", "V6")
    assert swapped.leads == LEADS and np.array_equal(swapped.signal[[6, 11]], record.signal[[11, 6]])


def test_shares_are_those_of_the_flags(capsys):
    polarity.measure("some", list(hearts()))
    told = capsys.readouterr().out
    found = ["upside-down" in quality_flags(polarity.upside_down(one)) for one in hearts()]
    assert re.search(rf"\| upside down \| {np.mean(found):.3f} \(.*?\), {sum(found)}/24 \|", told)
    named = ["chest-inverted:V2" in quality_flags(polarity.turned(one, "V2")) for one in hearts()]
    assert re.search(rf"\| V2 turned \| {np.mean(named):.3f} \(.*?\), {sum(named)}/24 \|", told)
    alarms = [flag for one in hearts() for flag in polarity.own_flags(one)]
    assert f"| false alarm: any | {len(alarms) / 24:.3f} (" in told
    assert all(f"| {lead} turned |" in told for lead in CHEST) and told.count(" exchanged |") == 15


def test_copies_of_the_fitted_archive_are_no_other_hospital(monkeypatch):
    import pandas as pd

    tables = {"other": ["a" * 64, "0f" * 32], "ptbxl": ["a" * 64, "c" * 64]}

    class Known:
        def __init__(self, name):
            self.index = pd.DataFrame({"fingerprint": tables[name]})

    monkeypatch.setattr(polarity, "open_store", Known)
    monkeypatch.setattr(polarity, "records_of", lambda _: (["copy", "own"], None))
    assert polarity.others_of("other", "ptbxl") == ["own"]
