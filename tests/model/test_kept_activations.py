"""What is kept for the backward pass: products, and little else; and the gradients are those of keeping everything."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cmelt.config.settings import DecoderSettings, EcgSettings, FusionSettings
from cmelt.model import recompute as subject
from cmelt.model.ecg_encoder import TransformerLayer
from cmelt.model.fusion import FusionLayer
from cmelt.model.heads import DecoderLayer
from cmelt.model.recompute import frugally

WIDTH, BATCH, TOKENS = 128, 2, 24


def layers():
    torch.manual_seed(0)
    return {
        "ecg": TransformerLayer(EcgSettings(width=WIDTH, heads=2, feed_forward=4 * WIDTH)),
        "fusion": FusionLayer(WIDTH, FusionSettings(heads=2, feed_forward=4 * WIDTH)),
        "decoder": DecoderLayer(DecoderSettings(width=WIDTH, heads=2)),
    }


def inputs(name: str) -> tuple[torch.Tensor | None, ...]:
    states = torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1), requires_grad=True)
    other = torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(2), requires_grad=True)
    return (states, None, other, None) if name == "fusion" else (states,)


def gradients(layer, given, run):
    layer.zero_grad(set_to_none=True)
    torch.manual_seed(7)
    result = run(*given)
    result.square().sum().backward()
    found = [result.detach(), *(weight.grad for weight in layer.parameters())]
    return found + [value.grad for value in given if value is not None]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("name", ["ecg", "fusion", "decoder"])
def test_gradients_are_those_of_keeping_everything_dropout_included(name, everything):
    layer = layers()[name].train()
    plain = gradients(layer, inputs(name), layer)
    frugal = gradients(layer, inputs(name), lambda *given: frugally(layer, *given, everything=everything))
    for one, other in zip(frugal, plain, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("everything", [False, True])
def test_a_layer_that_is_used_twice_in_a_step_learns_in_bfloat16(everything):
    layer = layers()["ecg"].train()

    def twice(run):
        def result(states):
            with torch.autocast("cpu", torch.bfloat16):
                return run(run(states)).float() * weights

        return result

    weights = torch.randn(BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(3))
    plain = gradients(layer, inputs("ecg"), twice(layer))
    frugal = gradients(layer, inputs("ecg"), twice(lambda states: frugally(layer, states, everything=everything)))
    for one, other in zip(frugal, plain, strict=True):  # equal but for where the gradients of two uses are added
        torch.testing.assert_close(one, other, rtol=0.0, atol=0.01 * float(other.abs().max()))


class Products(TorchDispatchMode):
    """How many of each operator were computed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_dispatch__(self, operator, types, arguments=(), named=None):
        self.calls.append(str(operator))
        return operator(*arguments, **(named or {}))

    def count(self, *names: str) -> int:
        return sum(any(name in call for name in names) for call in self.calls)


def test_no_product_is_computed_twice_and_all_between_them_is():
    layer, products = layers()["ecg"].train(), ("_linear_pointwise", "addmm", "aten.mm.")
    with Products() as forward:
        result = frugally(layer, *inputs("ecg"))
    with Products() as backward:
        result.sum().backward()
    assert forward.count(*products) == 6
    assert backward.count(*products) == 12  # two gradients of each; the first input's, too
    assert backward.count("aten.gelu.default") == forward.count("aten.gelu.default") == 1


def kept_bytes(layer, given) -> int:
    """What lies in memory between forward and backward pass that did not before, weights and inputs aside."""
    kept: dict[int, int] = {}
    aside = {value.untyped_storage().data_ptr() for value in (*layer.parameters(), *given) if value is not None}

    def note(value):
        storage = value.untyped_storage()
        if storage.data_ptr() not in aside:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    original = subject.create_selective_checkpoint_contexts
    stores = []

    def noting(policy):
        contexts = original(policy)
        stores.append(contexts[0].storage)
        return contexts

    subject.create_selective_checkpoint_contexts = noting
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            result = frugally(layer, *given)
    finally:
        subject.create_selective_checkpoint_contexts = original
    results = [result for store in stores for by_number in store.values() for result in by_number.values()]
    for value in (value for result in results for value in (result if isinstance(result, tuple) else (result,))):
        if isinstance(getattr(value, "val", None), torch.Tensor):
            note(value.val)
    return sum(kept.values()) * (result is not None)


@pytest.mark.parametrize(("name", "widths"), [("ecg", 9), ("fusion", 13), ("decoder", 10)])
def test_a_layer_keeps_its_products_alone(name, widths, monkeypatch):
    """ecg: query, key, value, output, 4 of the expansion, contraction; no map of attention, activation, norm or draw.

    The decoder has no dropout, hence PyTorch's fused attention, whose result is kept, too.
    """
    layer, state = layers()[name].train(), BATCH * TOKENS * WIDTH * 4
    frugal = kept_bytes(layer, inputs(name))
    monkeypatch.setattr(subject, "_worth_it", lambda _: False)
    plain = kept_bytes(layer, inputs(name))
    assert widths * state <= frugal < (widths + 0.7) * state
    assert plain > 1.7 * frugal


def test_outside_training_nothing_is_wrapped(monkeypatch):
    monkeypatch.setattr(subject, "checkpoint", lambda *_, **__: pytest.fail("recomputation was prepared"))
    layer = layers()["ecg"]
    frugally(layer.eval(), *inputs("ecg"))
    with torch.no_grad():
        frugally(layer.train(), *inputs("ecg"))
