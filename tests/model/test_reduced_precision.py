"""Products in bfloat16 and int8: what they are against double precision, and what they leave as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cmelt
from cmelt.errors import ConfigError
from cmelt.model.reduced_precision import BFloat16Linear, Int8Linear, native_precision, reduce_precision
from cmelt.serving.loading import load
from trained_towers import saved_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("precision") / "model")


@pytest.fixture
def whole():
    torch.manual_seed(0)
    return nn.Linear(96, 40)


def states():
    """Tokens of very different sizes, one of them nothing at all."""
    torch.manual_seed(1)
    rows = torch.randn(2, 5, 96) * torch.logspace(-3, 3, 10).view(2, 5, 1)
    rows[1, 2] = 0
    return rows


def records(count=6):
    wave = np.sin(np.arange(12000.0).reshape(12, 1000) / 9)
    rng = np.random.default_rng(0)
    return [cmelt.record_of(wave + rng.normal(size=(12, 1000)), rate=100.0, unit="mV", leads=cmelt.LEADS) for _ in range(count)]


def test_a_bfloat16_map_is_that_of_rounded_numbers_summed_exactly(whole):
    rounded = [tensor.bfloat16().double() for tensor in (states(), whole.weight, whole.bias)]
    expected = F.linear(*rounded)
    found = BFloat16Linear(whole)(states())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), expected, rtol=2**-8, atol=2**-8 * 1e-3)


def test_an_int8_map_is_that_of_whole_steps_counted_exactly(whole):
    def steps(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale = rows.abs().amax(-1, keepdim=True) / 127
        return torch.where(scale > 0, (rows / scale.clamp(min=1e-30)).round(), 0.0), scale

    (left, left_scale), (right, right_scale) = steps(states().double()), steps(whole.weight.detach().double())
    assert left.abs().max() == right.abs().max() == 127
    expected = (left @ right.T) * left_scale * right_scale[:, 0] + whole.bias.double()
    torch.testing.assert_close(Int8Linear(whole)(states()).double(), expected, rtol=1e-2, atol=1e-5)
    # Steps that lie between two may fall on either side in single precision: nearly all results agree to its last digits.
    close = torch.isclose(Int8Linear(whole)(states()).double(), expected, rtol=1e-5, atol=1e-6)
    assert close.double().mean() > 0.95


@pytest.mark.parametrize(("kind", "most"), [(BFloat16Linear, 0.005), (Int8Linear, 0.015)])
def test_each_token_is_as_exact_as_any_other_however_large(whole, kind, most):
    exact = F.linear(states().double(), whole.weight.double(), None)
    found = kind(whole)(states()).double() - whole.bias.double()
    error = (found - exact).norm(dim=2) / exact.norm(dim=2).clamp(min=1e-30)
    # The bias, and in bfloat16 the result, are rounded to what they are beside the product: small tokens drown in it.
    large = exact.norm(dim=2) > 10 * whole.bias.norm()
    assert large.sum() >= 4 and error[large].max() < most


def test_nothing_gives_the_bias_and_no_nan(whole):
    for kind in (BFloat16Linear, Int8Linear):
        found = kind(whole)(torch.zeros(3, 96)).float()
        torch.testing.assert_close(found, whole.bias.expand(3, -1), rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize(("precision", "least"), [("bfloat16", 0.9999), ("int8", 0.999)])
def test_embeddings_point_where_they_did(folder, precision, least):
    plain = cmelt.embed(*load(folder, device="cpu"), records())
    found = cmelt.embed(*load(folder, device="cpu", precision=precision), records())
    assert ((plain * found).sum(1) > least).all()
    assert not np.array_equal(plain, found)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_texts_and_raw_millivolts_stay_in_single_precision(folder, precision):
    towers, processor = load(folder, device="cpu", precision=precision)
    plain = load(folder, device="cpu")
    assert np.array_equal(cmelt.embed_texts(towers, processor, ["sinus rhythm."]), cmelt.embed_texts(*plain, ["sinus rhythm."]))
    ecg = torch.randn(2, 12, 1000)
    with torch.no_grad():
        assert torch.equal(towers.ecg_encoder.tokenise(ecg), plain[0].ecg_encoder.tokenise(ecg))
        assert towers.ecg_encoder(ecg).dtype == torch.float32


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_an_embedding_does_not_depend_on_its_neighbours(folder, precision):
    towers, processor = load(folder, device="cpu", precision=precision)
    together = cmelt.embed(towers, processor, records())
    alone = np.concatenate([cmelt.embed(towers, processor, one) for one in records()])
    assert np.abs(together - alone).max() < (1e-5 if precision == "float32" else 2e-3)


def test_all_of_the_transformer_s_maps_are_replaced_and_nothing_else(folder):
    towers, _ = load(folder, device="cpu")
    maps = sum(isinstance(module, nn.Linear) for module in towers.ecg_encoder.layers.modules())
    others = sum(isinstance(module, nn.Linear) for module in towers.modules()) - maps
    reduce_precision(towers, "bfloat16")
    assert sum(isinstance(module, BFloat16Linear) for module in towers.modules()) == maps > 0
    assert sum(isinstance(module, nn.Linear) for module in towers.modules()) == others


def test_float32_is_what_it_was_and_the_default(folder):
    plain, asked = (cmelt.embed(*load(folder, device="cpu", **given), records(2)) for given in ({}, {"precision": "float32"}))
    assert np.array_equal(plain, asked)


def test_other_precisions_are_refused(folder):
    with pytest.raises(ConfigError, match="choose float32, bfloat16, int8 or auto"):
        load(folder, device="cpu", precision="float8")


@pytest.mark.parametrize(
    ("known", "expected"),
    [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({"avx512_vnni": True}, "float32"), ({}, "float32")],
)
def test_auto_is_bfloat16_where_the_processor_multiplies_it(monkeypatch, known, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert native_precision(torch.device("cpu")) == expected
