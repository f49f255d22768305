"""Dropout: how many values fall out, what the others become, and whose randomness it is."""

from __future__ import annotations

import pytest
import torch

from cmelt.model.attention import attend
from cmelt.model.dropout import Dropout, _sixteen_bits, dropped


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.9])
def test_the_stated_share_falls_out_and_the_mean_stays(probability):
    torch.manual_seed(0)
    found = dropped(torch.ones(1_000_000), probability)
    values = found.unique()
    assert len(values) == 2 and values[0] == 0
    assert values[1].item() == pytest.approx(1 / (1 - probability), rel=1e-4)
    spread = (probability * (1 - probability) / 1_000_000) ** 0.5
    assert (found == 0).double().mean().item() == pytest.approx(probability, abs=4 * spread)


def test_every_draw_is_spread_evenly_and_on_its_own():
    """Four values share 64 bits: none may tell another's."""
    torch.manual_seed(0)
    draws = _sixteen_bits(torch.empty(400_000)).float().view(-1, 4)
    assert draws.min() == -(2**15) and draws.max() == 2**15 - 1
    assert draws.mean(0).abs().max() < 5 * 18918 / 100_000**0.5
    correlation = torch.corrcoef(draws.T) - torch.eye(4)
    assert correlation.abs().max() < 5 / 100_000**0.5
    neighbours = torch.corrcoef(torch.stack([draws[:-1].flatten(), draws[1:].flatten()]))[0, 1]
    assert abs(neighbours) < 5 / 400_000**0.5


def test_nothing_falls_out_at_probability_zero_and_everything_at_one():
    states = torch.randn(3, 5)
    assert torch.equal(dropped(states, 0.0), states)
    assert dropped(states, 1.0).abs().max() == 0


def test_the_gradient_passes_where_the_value_did():
    torch.manual_seed(0)
    states = torch.randn(7, 11, dtype=torch.float64, requires_grad=True)
    found = dropped(states, 0.3)
    found.sum().backward()
    torch.testing.assert_close(states.grad, found.detach() / states.detach())


def test_the_same_seed_drops_the_same_and_another_others():
    states, layer = torch.ones(64, 33), Dropout(0.5)
    torch.manual_seed(4)
    one, other = layer(states), layer(states)
    torch.manual_seed(4)
    assert torch.equal(layer(states), one) and not torch.equal(other, one)
    assert torch.equal(layer.eval()(states), states)


def attention(query, key, value, bias, scale):
    """Score by score, in float64."""
    out = torch.zeros_like(query)
    for b, head, place in torch.cartesian_prod(*(torch.arange(n) for n in query.shape[:3])).tolist():
        scores = torch.stack([query[b, head, place] @ k * scale for k in key[b, head]])
        if bias is not None:
            of = bias.expand(*query.shape[:3], key.shape[2])[b, head, place]
            scores = torch.where(of, scores, -torch.inf) if of.dtype == torch.bool else scores + of
        weights = (scores - scores.max()).exp()
        out[b, head, place] = (weights / weights.sum()) @ value[b, head]
    return out


BIASES = {
    "none": None,
    "mask": torch.tensor([[True, True, False, True, False], [True, False, True, True, True]])[:, None, None],
    "of positions": torch.randn(1, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
}


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("name", BIASES)
def test_attention_is_the_weighted_mean_with_and_without_dropout(name, scale, monkeypatch):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 8, dtype=torch.float64) for n in (4, 5, 5))
    expected = attention(query, key, value, BIASES[name], 8**-0.5 if scale is None else scale)
    torch.testing.assert_close(attend(query, key, value, BIASES[name], scale=scale), expected)
    monkeypatch.setattr("cmelt.model.attention.dropped", lambda weights, probability: weights * (probability == 0.2))
    torch.testing.assert_close(attend(query, key, value, BIASES[name], dropout=0.2, scale=scale), expected)
    weights_dropped = []
    monkeypatch.setattr("cmelt.model.attention.dropped", lambda weights, _: weights_dropped.append(weights) or weights)
    attend(query, key, value, BIASES[name], dropout=0.2)
    torch.testing.assert_close(weights_dropped[0].sum(3), torch.ones(2, 3, 4, dtype=torch.float64))
