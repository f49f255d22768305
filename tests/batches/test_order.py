"""Which pairs make a step: a function of seed and step that leaves nobody out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.batches.order import positions
from cmelt.batches.seeds import generator, torch_seed

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
