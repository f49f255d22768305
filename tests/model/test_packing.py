"""Padding: it is computed nowhere, and whether it is makes no difference to anything."""

from __future__ import annotations

import pytest
import torch

from cmelt.config.settings import FusionSettings
from cmelt.model import packing as subject
from cmelt.model.fusion import Fusion
from cmelt.model.linear import Linear
from cmelt.model.packing import Packing
from cmelt.model.t5_encoder import T5Encoder, T5Sizes

LENGTHS = torch.tensor([9, 1, 4])
MASK = torch.arange(9) < LENGTHS[:, None]


def test_packed_states_come_back_to_their_places_and_padding_is_zero():
    packing, states = Packing.of(MASK), torch.randn(3, 9, 5)
    packed = packing.pack(states)
    assert packed.shape == (14, 5)
    assert torch.equal(packed, states[MASK])
    assert torch.equal(packing.spread(packed), states * MASK[..., None])
    assert torch.equal(packing.pack(torch.arange(27).view(3, 9)), torch.arange(27).view(3, 9)[MASK])


def test_their_gradients_find_the_way_back():
    packing, states = Packing.of(MASK), torch.randn(3, 9, 5, requires_grad=True)
    weight = torch.randn(3, 9, 5)
    (packing.spread(packing.pack(states)) * weight).sum().backward()
    assert torch.equal(states.grad, weight * MASK[..., None])


def test_a_batch_with_hardly_any_padding_is_left_as_it_is():
    full = torch.ones(2, 30, dtype=torch.bool)
    for mask in (full, full & (torch.arange(60).view(2, 30) < 59)):
        packing, states = Packing.of(mask), torch.randn(2, 30, 4)
        assert packing.places is None and packing.pack(states) is states and packing.spread(states) is states
    half = full & (torch.arange(30) < torch.tensor([[30], [5]]))
    assert Packing.of(half).places is not None


def fusion() -> Fusion:
    torch.manual_seed(0)
    built = Fusion(16, FusionSettings(layers=3, heads=2, feed_forward=24, dropout=0.0), midway=1).double().train()
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return built


def t5() -> T5Encoder:
    torch.manual_seed(0)
    sizes = T5Sizes(vocab_size=40, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, dropout_rate=0.0)
    built = T5Encoder(sizes).double().train()
    built.reset_parameters()
    return built


def outcome(model, inputs, monkeypatch, packed: bool):
    """States at real tokens, and all gradients, with padding taken out or left in."""
    monkeypatch.setattr(subject, "_TOO_LITTLE", 0.05 if packed else 2.0)
    model.zero_grad(set_to_none=True)
    found = model(*inputs)
    states = (
        found.last_hidden_state[MASK] if isinstance(model, T5Encoder) else torch.cat([found.text[MASK], found.ecg.flatten(0, 1)])
    )
    generator = torch.Generator().manual_seed(5)
    (states * torch.randn(states.shape, generator=generator, dtype=states.dtype)).sum().backward()
    return states.detach(), {name: weight.grad for name, weight in model.named_parameters()}


@pytest.mark.parametrize("kind", ["fusion", "t5"])
def test_states_and_gradients_are_the_same_with_padding_and_without(kind, monkeypatch):
    model = fusion() if kind == "fusion" else t5()
    source = torch.Generator().manual_seed(1)
    text = torch.randn(3, 9, 16, dtype=torch.float64, generator=source)
    ecg = torch.randn(3, 4, 16, dtype=torch.float64, generator=source)
    ids = torch.randint(0, 40, (3, 9), generator=source)
    inputs = (text, MASK, ecg) if kind == "fusion" else (ids, MASK.long())
    one, gradients = outcome(model, inputs, monkeypatch, packed=True)
    other, expected = outcome(model, inputs, monkeypatch, packed=False)
    torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)
    for name, gradient in gradients.items():
        assert (gradient is None) == (expected[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(gradient, expected[name], atol=1e-11, rtol=1e-9, msg=name)


def test_linear_maps_see_no_padding():
    model, rows = t5(), []
    for module in model.modules():
        if isinstance(module, Linear):
            module.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].shape[:-1].numel()))
    model(torch.randint(0, 40, (3, 9)), MASK.long())
    assert rows and set(rows) == {int(LENGTHS.sum())}


@pytest.mark.parametrize("masked", [torch.tensor([[1, 5], [0, 0], [2, 3]]), torch.tensor([[8, 8], [0, 0], [0, 0]])])
def test_what_is_asked_of_the_last_layer_is_what_all_of_it_would_say(masked):
    model = fusion()
    text, ecg = (torch.randn(3, n, 16, dtype=torch.float64) for n in (9, 4))
    asked = torch.cat([torch.zeros(3, 1, dtype=torch.long), masked], dim=1)
    some, everything = model(text, MASK, ecg, asked), model(text, MASK, ecg)
    torch.testing.assert_close(some.text, everything.text.gather(1, asked[..., None].expand(-1, -1, 16)), atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(some.ecg, everything.ecg[:, :1], atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(some.pair, everything.pair, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(some.ecg_midway, everything.ecg_midway)
    behind = fusion()
    behind.midway = -1  # samples are read from the stream's end: all of it is needed
    assert behind(text, MASK, ecg, asked).ecg_midway.shape == ecg.shape
