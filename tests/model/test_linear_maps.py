"""oneDNN's linear maps and their gradients are PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cmelt.model import linear as subject
from cmelt.model.linear import Linear

WIDE, OUT = 160, 192


def gradients(layer, states, upstream):
    states = states.detach().requires_grad_()
    layer.zero_grad(set_to_none=True)
    result = layer(states)
    result.backward(upstream)
    return {"result": result.detach(), "states": states.grad, **{name: weight.grad for name, weight in layer.named_parameters()}}


def pair(bias: bool = True) -> tuple[Linear, nn.Linear]:
    torch.manual_seed(0)
    ours, theirs = Linear(WIDE, OUT, bias=bias), nn.Linear(WIDE, OUT, bias=bias).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


STATES = {
    "rows": torch.randn(7, WIDE),
    "sequences": torch.randn(3, 5, WIDE),
    "one": torch.randn(1, WIDE),
    "none": torch.randn(0, WIDE),
    "first tokens": torch.randn(8, 64, WIDE)[:, 0],
    "transposed": torch.randn(4, WIDE, 6).transpose(1, 2),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", STATES)
def test_the_map_and_its_gradients_are_pytorch_s_in_float64(name, bias, monkeypatch):
    ours, theirs = pair(bias)
    states = STATES[name]
    upstream = torch.randn(*states.shape[:-1], OUT)
    calls = []
    product = subject._product
    monkeypatch.setattr(subject, "_product", lambda *inputs: calls.append(1) or product(*inputs))
    found = gradients(ours, states, upstream)
    assert len(calls) == (3 if subject._HAS_ONEDNN and len(states) else 0)
    expected = gradients(theirs, states.double(), upstream.double())
    for key, value in expected.items():
        torch.testing.assert_close(found[key].double(), value, atol=2e-5, rtol=2e-5, msg=lambda told, key=key: f"{key}: {told}")


def test_a_gradient_that_nobody_asks_for_is_not_computed(monkeypatch):
    ours, _ = pair()
    calls = []
    product = subject._product
    monkeypatch.setattr(subject, "_product", lambda *inputs: calls.append(1) or product(*inputs))
    ours.weight.requires_grad_(False)
    ours(torch.randn(4, WIDE)).sum().backward()
    assert ours.weight.grad is None and ours.bias.grad is not None
    assert len(calls) <= 1


def test_upstream_gradients_of_any_layout_are_read_as_they_are_meant():
    ours, theirs = pair()
    states, upstream = torch.randn(5, 4, WIDE), torch.randn(OUT, 4, 5).permute(2, 1, 0)
    found, expected = gradients(ours, states, upstream), gradients(theirs, states.double(), upstream.double())
    torch.testing.assert_close(found["weight"].double(), expected["weight"], atol=2e-5, rtol=2e-5)
    spread = torch.ones(()).expand(5, 4, OUT)
    found, expected = gradients(ours, states, spread), gradients(theirs, states.double(), spread.double())
    torch.testing.assert_close(found["states"].double(), expected["states"], atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_other_precisions_are_pytorch_s_own(precision, monkeypatch):
    monkeypatch.setattr(subject, "_product", lambda *_: pytest.fail("oneDNN was asked"))
    ours, theirs = pair()
    states = torch.randn(2, WIDE)
    if precision == torch.float64:
        torch.testing.assert_close(ours.double()(states.double()), theirs(states.double()))
        return
    with torch.autocast("cpu", dtype=precision):
        assert ours(states).dtype == precision


def test_a_compiled_map_is_a_plain_operator_of_its_graph(monkeypatch):
    monkeypatch.setattr(subject, "_product", lambda *_: pytest.fail("oneDNN was asked"))
    ours, _ = pair()
    states = torch.randn(3, WIDE)
    compiled = torch.compile(ours, backend="eager", fullgraph=True)(states)
    torch.testing.assert_close(compiled, nn.functional.linear(states, ours.weight, ours.bias))
