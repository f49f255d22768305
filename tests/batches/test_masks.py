"""What is hidden: shares, places, and that it is hidden at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.batches.masks import NOT_MASKED, keep_leads, keep_tokens, mask_pieces, others_of_batch, rows_to_replace
from cmelt.records.record import LEAD_SETS, LEADS

MASK, VOCABULARY = 3, 500


def reports(seed: int, batch: int = 64, length: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, length + 1, batch)
    maskable = np.arange(length) < lengths[:, None]
    maskable[:, 0] = False  # the class token
    return np.where(maskable, rng.integers(10, VOCABULARY, maskable.shape), 0), maskable


def test_fault_2_masked_pieces_cannot_be_read():
    pieces, maskable = reports(0)
    hidden, words = mask_pieces(pieces, maskable, 0.25, MASK, VOCABULARY, np.random.default_rng(1))
    chosen = words != NOT_MASKED
    assert np.array_equal(words[chosen], pieces[chosen])
    assert np.array_equal(hidden[~chosen], pieces[~chosen])
    assert (hidden[chosen] != pieces[chosen]).mean() > 0.8


def test_a_quarter_is_chosen_of_which_80_10_10_are_masked_random_and_kept():
    pieces, maskable = reports(1, batch=4000)
    hidden, words = mask_pieces(pieces, maskable, 0.25, MASK, VOCABULARY, np.random.default_rng(2))
    chosen = words != NOT_MASKED
    long = maskable.sum(1) >= 8
    assert chosen[long].sum() / maskable[long].sum() == pytest.approx(0.25, abs=0.005)
    fates = hidden[chosen], pieces[chosen]
    assert (fates[0] == MASK).mean() == pytest.approx(0.8, abs=0.01)
    assert (fates[0] == fates[1]).mean() == pytest.approx(0.1, abs=0.01)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.floats(0, 1))
def test_no_special_piece_is_hidden_and_every_text_gives_something_to_guess(seed, share):
    pieces, maskable = reports(seed, batch=8, length=12)
    hidden, words = mask_pieces(pieces, maskable, share, MASK, VOCABULARY, np.random.default_rng(seed))
    chosen = words != NOT_MASKED
    assert not (chosen & ~maskable).any()
    assert np.array_equal(hidden[~maskable], pieces[~maskable])
    assert np.array_equal(chosen.any(1), maskable.any(1))
    assert (chosen.sum(1) <= np.maximum(1, np.round(share * maskable.sum(1)))).all()


def test_the_paper_keeps_78_of_312_tokens_each_as_often_as_another():
    kept = keep_tokens(2000, 312, 0.25, np.random.default_rng(0))
    assert kept.shape == (2000, 78)
    assert (np.diff(kept, axis=1) > 0).all()
    counts = np.bincount(kept.ravel(), minlength=312)
    assert counts.min() > 400 and counts.max() < 600  # 500 ± 5 standard deviations
    assert keep_tokens(2, 3, 0.1, np.random.default_rng(0)).shape == (2, 1)


def test_each_lead_is_hidden_with_its_probability_and_one_is_always_left():
    measured = np.ones((4000, 12), dtype=bool)
    measured[:, 7] = False
    kept = keep_leads(measured, 0.5, np.random.default_rng(0))
    assert kept.mean() == pytest.approx(0.5, abs=0.01)
    assert (kept & measured).any(1).all()
    only = np.zeros((500, 12), dtype=bool)
    only[:, 4] = True
    assert keep_leads(only, 0.9, np.random.default_rng(1))[:, 4].all()
    assert keep_leads(measured, 0.0, np.random.default_rng(2)).all()


def test_a_share_of_the_records_shows_one_of_the_usual_reduced_lead_sets():
    measured = np.ones((6000, 12), dtype=bool)
    kept = keep_leads(measured, 0.0, np.random.default_rng(0), sets=0.5)
    shown, times = np.unique(kept, axis=0, return_counts=True)
    assert {tuple(np.array(LEADS)[row]) for row in shown} == {LEADS, *(names for names in LEAD_SETS.values() if names)}
    whole = times[shown.all(1)][0]
    assert whole == pytest.approx(3000, abs=200) and (np.abs(times[~shown.all(1)] - 600) < 120).all()
    only = np.zeros((500, 12), dtype=bool)
    only[:, 11] = True
    assert (keep_leads(only, 0.0, np.random.default_rng(1), sets=1.0) & only).any(1).all()


def test_half_of_the_rows_get_a_negative_on_average():
    rng = np.random.default_rng(0)
    for batch, share in ((7, 0.5), (4, 0.3), (5, 1.0), (6, 0.0)):
        drawn = [rows_to_replace(batch, share, rng) for _ in range(4000)]
        assert np.mean([len(rows) for rows in drawn]) == pytest.approx(share * batch, abs=0.04)
        assert {len(rows) for rows in drawn} <= {int(share * batch), min(batch, int(share * batch) + 1)}
        assert all(len(set(rows.tolist())) == len(rows) and (rows < batch).all() for rows in drawn)
    often = np.bincount(np.concatenate([rows_to_replace(6, 0.5, rng) for _ in range(3000)]), minlength=6)
    assert often.min() > 1350 and often.max() < 1650  # every row alike


def test_kept_tokens_are_those_with_the_lowest_lots():
    for seed in range(10):
        lots = np.random.default_rng(seed).random((7, 62))
        slow = np.sort(lots.argsort(1)[:, :15], axis=1)
        assert np.array_equal(keep_tokens(7, 62, 0.25, np.random.default_rng(seed)), slow)


def test_another_report_of_the_batch_is_drawn_as_row_by_row():
    for seed in range(30):
        own = np.random.default_rng(seed).integers(0, 1 + seed % 4, 12)
        replaced = np.array([0, 3, 4, 9, 11])
        rng, found = np.random.default_rng(seed), own[replaced].copy()
        for place, row in enumerate(replaced):
            others = np.flatnonzero(own != own[row])
            if others.size:
                found[place] = own[others[rng.integers(others.size)]]
        assert np.array_equal(others_of_batch(own, replaced, np.random.default_rng(seed)), found)


def test_hidden_pieces_are_those_that_rank_first_in_the_lottery():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        pieces, may = rng.integers(5, 90, (6, 20)), rng.random((6, 20)) < 0.7
        words = mask_pieces(pieces, may, 0.25, 3, 90, np.random.default_rng(seed + 100))[1]
        lots = np.where(may, np.random.default_rng(seed + 100).random(pieces.shape), 2.0)
        for row, chosen in enumerate(words != NOT_MASKED):
            count = max(1, round(0.25 * may[row].sum()))
            assert set(np.flatnonzero(chosen)) == set(np.argsort(lots[row])[:count])
