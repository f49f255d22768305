"""The check of explanations: places that the simulator states, orders that the score decides, intervals by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import explanation as script
from cmelt.explanation import RecordScore
from cmelt.records.record import LEADS
from cmelt.simulation import simulate

EARLY, INFERIOR, _ = script.FINDINGS


def test_early_beats_lie_where_the_simulator_says_and_in_every_lead():
    record = simulate(script.seeds_with(EARLY, 1)[0], [EARLY.condition], rate=100)
    place = script.place_of(record, EARLY, 50)
    beats = record.truth["premature_r_times"]
    assert beats and all(place[:, int(beat / script.CELL)].all() for beat in beats)
    far = [cell for cell in range(50) if all(abs((cell + 0.5) * script.CELL - beat) > 0.5 for beat in beats)]
    assert far and not place[:, far].any()


def test_an_infarction_lies_in_its_leads():
    place = script.place_of(simulate(1, [INFERIOR.condition], rate=100), INFERIOR, 50)
    assert {lead for lead, row in zip(LEADS, place, strict=True) if row.all()} == {"II", "III", "aVF"}
    assert not place[LEADS.index("V2")].any()


def test_a_hit_is_the_strongest_lead_or_moment():
    evidence = np.zeros((12, 50))
    evidence[LEADS.index("III"), 10] = 2.0
    evidence[0, 20:22] = 0.9
    leads = script.place_of(simulate(1, [INFERIOR.condition], rate=100), INFERIOR, 50)
    assert script.hits(evidence, leads, INFERIOR) and not script.hits(np.roll(evidence, 6, axis=0), leads, INFERIOR)
    moments = np.zeros((12, 50), bool)
    moments[:, 10] = True
    assert script.hits(evidence, moments, EARLY) and not script.hits(np.roll(evidence, 1, axis=1), moments, EARLY)


def test_the_order_that_the_score_follows_gains_most_and_its_reverse_loses_as_much():
    weights = torch.arange(8.0).reshape(2, 4)

    def embedded(windows):  # the sums of cells by their weights, so small an angle that the score is their line
        cells = windows.unflatten(2, (4, -1)).mean(3)
        return torch.stack([cells.mul(weights).sum((1, 2)), torch.full((len(windows),), 1e4)], dim=1)

    score = RecordScore(embedded, torch.tensor([1.0, 0.0]))
    ecg, flat = torch.ones(2, 12), torch.zeros(2, 12)
    best = script.gain_of_order(score, ecg, flat, weights.numpy())
    by_hand = []
    for share in script.SHARES:  # cells of the largest weights first: 7, 6, …
        taken = sum(cell for cell in range(8) if 7 - cell < share * 8)
        by_hand.append((taken - (28 - taken)) / 1e4)
    assert best == pytest.approx(np.mean(by_hand), abs=1e-6) and best > 0
    assert script.gain_of_order(score, ecg, flat, -weights.numpy()) < 0 < best


def test_the_interval_holds_the_mean_and_is_a_bootstrap_s():
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    point, low, high = script.interval(values)
    assert point == 0.75 and low == pytest.approx(0.375, abs=0.13) and high == 1.0
    assert script.interval(np.ones(5)) == (1.0, 1.0, 1.0)


def test_figures_compare_with_random_places_record_by_record():
    found = {way: np.stack([np.ones(4), np.arange(4.0) + number], axis=1) for number, way in enumerate(script.WAYS)}
    figures = script.figures_of(EARLY, found, 0.3)
    paired = {figure.what.rpartition(", ")[2]: figure for figure in figures if figure.against}
    assert set(paired) == set(script.WAYS) - {"random places"}
    assert [paired[way].value for way in script.WAYS if way in paired] == [-2.0, -1.0, 1.0, 2.0]
    assert all(figure.low == figure.value == figure.high for figure in paired.values())


def test_every_way_explains_a_record_in_cells_and_random_places_keep_the_numbers():
    direction = torch.tensor([1.0, 0.0])
    own = RecordScore(lambda windows: torch.stack([windows[:, 3].mean(1), torch.ones(len(windows))], dim=1), direction)
    fresh = RecordScore(lambda windows: torch.stack([windows[:, 7].mean(1), torch.ones(len(windows))], dim=1), direction)
    ecg = torch.rand(12, 1000, generator=torch.Generator().manual_seed(0))
    found = script.explained(own, fresh, ecg, torch.zeros(12, 1000), np.random.default_rng(0))
    assert tuple(found) == script.WAYS and all(cells.shape == (12, 50) for cells in found.values())
    assert found["integrated gradients"].sum(axis=1).argmax() == found["occlusion"].sum(axis=1).argmax() == 3
    assert found["gradients of fresh weights"].sum(axis=1).argmax() == 7
    assert sorted(found["random places"].ravel()) == sorted(found["integrated gradients"].ravel())
    np.testing.assert_allclose(found["size of the trace"].sum(), float(ecg.sum()), rtol=1e-5)
