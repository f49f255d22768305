"""Which pairs make a step: a function of seed and step that leaves nobody out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.batches.order import Share, positions, weighted_positions
from cmelt.batches.seeds import generator, torch_seed

GOLDEN = [17, 7, 0, 13, 25, 11, 8, 27]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}


@settings(max_examples=60, deadline=None)
@given(count=st.integers(2, 60), size=st.integers(1, 80), seed=st.integers(0, 1000))
def test_every_pair_comes_once_a_pass_and_passes_follow_without_a_gap(count, size, seed):
    steps = -(-3 * count // size)
    stream = np.concatenate([positions(count, size, step, seed) for step in range(steps)])
    for number in range(3):
        assert sorted(stream[number * count : (number + 1) * count]) == list(range(count))


def test_passes_and_seeds_differ_in_order():
    first, second = positions(50, 50, 0, 1), positions(50, 50, 1, 1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, positions(50, 50, 0, 2))


def test_any_step_can_be_asked_for_alone():
    in_turn = [positions(37, 8, step, 5) for step in range(40)]
    for step in (39, 3, 17, 0):
        assert np.array_equal(positions(37, 8, step, 5), in_turn[step])


def test_an_odd_step_of_half_the_size_is_the_second_half():
    whole = positions(37, 8, 6, 5)
    assert np.array_equal(np.concatenate([positions(37, 4, 12, 5), positions(37, 4, 13, 5)]), whole)


def test_the_order_of_one_store_is_what_it_always_was():
    """Runs that were stopped go on with it: it must never change."""
    assert positions(37, 8, 6, 5).tolist() == GOLDEN


SHARES = st.lists(st.builds(Share, st.integers(1, 30), st.floats(0.05, 5)), min_size=1, max_size=4)


def stream_of(shares: list[Share], draws: int, size: int, seed: int) -> np.ndarray:
    return np.concatenate([weighted_positions(shares, size, step, seed) for step in range(-(-draws // size))])[:draws]


@settings(max_examples=60, deadline=None)
@given(shares=SHARES, size=st.integers(1, 40), seed=st.integers(0, 1000), draws=st.integers(1, 300))
def test_every_pair_of_a_store_is_drawn_equally_often_up_to_one_whatever_its_weight(shares, size, seed, draws):
    counts = np.bincount(stream_of(shares, draws, size, seed), minlength=sum(share.pairs for share in shares))
    for own in np.split(counts, np.cumsum([share.pairs for share in shares])[:-1]):
        assert own.max() - own.min() <= 1


@settings(max_examples=60, deadline=None)
@given(shares=SHARES, seed=st.integers(0, 1000))
def test_in_each_pass_every_store_has_the_share_of_its_weight(shares, seed):
    length = sum(share.draws for share in shares)
    stream = stream_of(shares, 3 * length, 7, seed)
    store = np.repeat(np.arange(len(shares)), [share.pairs for share in shares])[stream]
    for number in range(3):
        found = np.bincount(store[number * length : (number + 1) * length], minlength=len(shares))
        assert found.tolist() == [max(1, round(share.pairs * share.weight)) for share in shares]


def test_a_weight_of_two_draws_a_store_s_pairs_twice_as_often_and_mixed_with_the_others():
    shares = [Share(40, 1.0), Share(20, 2.0)]
    stream = stream_of(shares, 800, 16, 3)
    counts = np.bincount(stream, minlength=60)
    assert counts[:40].tolist() == [10] * 40 and counts[40:].tolist() == [20] * 20
    runs = np.flatnonzero(np.diff((stream >= 40).astype(int))).size
    assert 300 < runs < 500  # of 799 neighbours, half differ where draws are mixed at random


def test_any_weighted_step_can_be_asked_for_alone_and_depends_on_the_seed():
    shares = [Share(13, 0.5), Share(5, 3.0), Share(2, 1.0)]
    in_turn = [weighted_positions(shares, 6, step, 5) for step in range(40)]
    for step in (39, 3, 17, 0):
        assert np.array_equal(weighted_positions(shares, 6, step, 5), in_turn[step])
    assert any(not np.array_equal(weighted_positions(shares, 6, step, 6), in_turn[step]) for step in range(3))


def test_generators_depend_on_each_of_their_arguments_and_on_nothing_else():
    draws = {
        (seed, purpose, step, rank): generator(seed, purpose, step, rank).integers(2**62)
        for seed in (0, 1) for purpose in ("words", "leads") for step in (0, 1, 11) for rank in (0, 1)
    }  # fmt: skip
    assert len(set(draws.values())) == len(draws)
    assert all(generator(*key).integers(2**62) == value for key, value in draws.items())
    assert len({torch_seed(*key) for key in draws}) == len(draws)
    assert all(0 <= torch_seed(*key) < 2**63 for key in draws)


def test_generators_are_the_same_in_another_process():
    code = "from cmelt.batches.seeds import *; print(generator(3, 'x', 9).integers(2**62), torch_seed(3, 'x', 9))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert told.stdout.split() == [str(generator(3, "x", 9).integers(2**62)), str(torch_seed(3, "x", 9))]
