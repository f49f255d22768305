"""Positions by spectra, and tokens alone: what the plain convolutions over the whole record compute."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cmelt.model.front_end import StridedFrontEnd
from cmelt.model.positions import PositionalConvolution


def places(batch: int, kept: int, length: int) -> torch.Tensor:
    drawn = torch.rand(batch, length, generator=torch.Generator().manual_seed(3))
    return drawn.argsort(1)[:, :kept].sort(1).values


def convolved(positions: PositionalConvolution, tokens: torch.Tensor, at: torch.Tensor, length: int) -> torch.Tensor:
    """The convolution itself, over all tokens, zero where none stands."""
    index = at[..., None].expand(-1, -1, tokens.shape[2])
    everywhere = tokens.new_zeros(len(tokens), length, tokens.shape[2]).scatter(1, index, tokens)
    direction = positions.direction
    norm = direction.square().sum((0, 1)).sqrt()
    weight = direction * positions.magnitude / norm
    mixed = F.conv1d(everywhere.mT, weight, positions.bias, padding=positions.kernel // 2, groups=positions.groups)
    return F.gelu(mixed[..., :length]).mT.gather(1, index)


@pytest.mark.parametrize(("kernel", "length", "kept"), [(128, 312, 78), (16, 20, 20), (7, 33, 9), (8, 5, 2), (40, 13, 13)])
def test_positions_are_those_of_the_convolution_with_their_gradients(kernel, length, kept):
    torch.manual_seed(0)
    positions = PositionalConvolution(12, kernel, 3).double()
    positions.reset_parameters()
    with torch.no_grad():
        positions.magnitude.mul_(torch.rand(kernel) + 0.5)
        positions.bias.normal_()
    at, tokens = places(2, kept, length), torch.randn(2, kept, 12, dtype=torch.float64, requires_grad=True)
    weights, upstream = [tokens, *positions.parameters()], torch.randn(2, kept, 12, dtype=torch.float64)
    found, expected = positions(tokens, at, length), convolved(positions, tokens, at, length)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)
    mine, theirs = (torch.autograd.grad(values, weights, upstream) for values in (found, expected))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-9)


def test_single_precision_is_enough_at_the_paper_s_kernel():
    torch.manual_seed(0)
    positions = PositionalConvolution(96, 128, 2)
    positions.reset_parameters()
    torch.nn.init.normal_(positions.bias)
    at, tokens = torch.arange(312).expand(2, -1), torch.randn(2, 312, 96)
    found = positions(tokens, at[:1], 312)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(positions(tokens, at, 312), found, atol=0, rtol=0)
    expected = convolved(positions.double(), tokens.double(), at, 312)
    assert (found - expected).abs().max() < 1e-5 * expected.std()


def test_a_model_that_was_made_in_inference_mode_computes_the_same_and_notices_other_weights():
    torch.manual_seed(0)
    with torch.inference_mode():
        positions = PositionalConvolution(12, 8, 3).eval()
        positions.reset_parameters()
        torch.nn.init.zeros_(positions.bias)
        tokens, at = torch.randn(2, 9, 12), torch.arange(9).expand(2, -1)
        for _ in range(2):
            torch.testing.assert_close(positions(tokens, None, 9), convolved(positions, tokens, at, 9), atol=1e-5, rtol=1e-4)
            positions.direction.mul_(torch.rand_like(positions.direction))


@pytest.mark.parametrize("windows", [(), ((4, 4), (2, 2))])
def test_the_front_end_of_some_tokens_is_that_of_all_of_them(windows):
    """Its one norm is over the record: a gain or offset of hidden tokens counts, too."""
    torch.manual_seed(0)
    channels = (6, 5) if windows else (6, 5, 5)
    front_end = StridedFrontEnd(3, channels, 2, windows).double()
    for weight in (front_end.norm.weight, front_end.norm.bias):
        torch.nn.init.normal_(weight)
    ecg = torch.randn(2, 3, 163, dtype=torch.float64) + torch.tensor([[[2.0], [0.0], [-5.0]]])  # the last samples belong to none
    at = places(2, 6, 20)
    index, weights = at[..., None].expand(-1, -1, 5), list(front_end.parameters())
    found, expected = front_end(ecg, at), front_end(ecg).gather(1, index)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)
    upstream = torch.randn_like(found)
    for one, other in zip(*(torch.autograd.grad(values, weights, upstream) for values in (found, expected)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-9)


def test_a_drift_that_the_filters_take_away_does_not_break_the_norm_in_half_precision():
    """Filters that take differences: of a drift of 20 mV nothing is left, of what stands on it hundredths of a millivolt."""
    torch.manual_seed(0)
    front_end = StridedFrontEnd(3, (4, 4), 2)
    with torch.no_grad():
        front_end.stages[0].weight[..., 1] = -front_end.stages[0].weight[..., 0]
    ecg = 20.0 * torch.sin(torch.arange(1000) / 150.0) + 0.03 * torch.randn(2, 3, 1000)
    nothing = torch.zeros(2, 4, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = front_end._normal(nothing, ecg)
        assert torch.isfinite(front_end(ecg, places(2, 9, 250))).all()
    expected = front_end.double()._normal(nothing.double(), ecg.double())
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-2)


def test_only_windows_without_overlap_make_tokens_separate():
    assert StridedFrontEnd(3, (4, 4), 2).separate
    assert not StridedFrontEnd(3, (4, 4), 3).separate
    assert not StridedFrontEnd(3, (4, 4), 2, ((4, 2), (2, 2))).separate
