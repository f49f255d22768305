"""Counting a real step: every part's operations are those of the closed form, and each operator is counted in its own part."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cmelt.config import load_recipe
from counted_costs import OUTSIDE, PartCounter, count_step
from gpu import tiny
from model_costs import Work, costs


@pytest.mark.parametrize(("size", "tokens"), [(1, 16), (3, 24)])
def test_the_real_model_computes_what_the_closed_form_says(size, tokens):
    recipe = tiny(load_recipe("paper"))
    counted = count_step(recipe, size, tokens)
    for part, cost in costs(recipe.model, Work.ours(recipe.model, tokens), size).items():
        found = counted[part].operations
        assert (found[False], found[True]) == cost.operations, part
    moved = sum(sum(part.product_values.values()) for name, part in counted.items() if name != OUTSIDE)
    closed = sum(sum(cost.moved) for cost in costs(recipe.model, Work.ours(recipe.model, tokens), size).values())
    assert moved == pytest.approx(closed, rel=0.05)


class TwoParts(nn.Module):
    """A narrow map, then a wide one, and a product that is in neither."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Linear(4, 8), nn.Sequential(nn.Linear(8, 64), nn.Linear(64, 2))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        found = self.wide(self.narrow(states))
        return found @ found.T


def test_each_operator_is_counted_in_the_part_that_made_it_backward_too():
    model, states = TwoParts(), torch.randn(3, 4)
    with PartCounter(model, {"narrow": ("narrow",), "wide": ("wide",)}) as counter:
        model(states).sum().backward()
    narrow, wide, product = 2 * 3 * 4 * 8, 2 * 3 * (8 * 64 + 64 * 2), 2 * 3 * 2 * 3
    # The input needs no gradient.
    assert counter.counted["narrow"].operations == {False: narrow, True: narrow}
    assert counter.counted["wide"].operations == {False: wide, True: 2 * wide}
    assert counter.counted[OUTSIDE].operations == {False: product, True: 2 * product}


def test_the_sum_is_that_of_pytorch_s_own_counter():
    model, states = TwoParts(), torch.randn(3, 4)
    with PartCounter(model, {}) as ours:
        model(states).sum().backward()
    with FlopCounterMode(display=False) as theirs:
        model(states).sum().backward()
    assert sum(ours.counted[OUTSIDE].operations.values()) == theirs.get_total_flops()


def test_groups_of_a_convolution_are_counted_backward_too():
    convolution = nn.Conv1d(16, 16, 5, groups=4, bias=False)
    states = torch.randn(2, 16, 20, requires_grad=True)
    with PartCounter(convolution, {}) as counter:
        convolution(states).sum().backward()
    forward = 2 * 2 * 16 * 16 * 4 * 5
    assert counter.counted[OUTSIDE].operations == {False: forward, True: 2 * forward}


def test_an_operator_that_nobody_can_count_is_refused_not_taken_for_nothing():
    query = torch.randn(1, 2, 8, 4)
    with pytest.raises(NotImplementedError, match="attention"), PartCounter(nn.Identity(), {}):
        nn.functional.scaled_dot_product_attention(query, query, query)
