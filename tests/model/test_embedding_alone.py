"""What embedding leaves out changes nothing: the last layer's other tokens, and a spectrum that is kept."""

from __future__ import annotations

import pytest
import torch

from cmelt.model.positions import PositionalConvolution
from cmelt.model.towers import PlainTowers
from tiny_runs import tiny_recipe


@pytest.fixture
def towers(request):
    torch.manual_seed(1)
    made = (
        PlainTowers(tiny_recipe("model.text.architecture.vocab_size=400", *getattr(request, "param", ())).model).double().eval()
    )
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(0.3 * torch.randn_like(weight))
    return made


def ecgs():
    return torch.randn(3, 12, 1000, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    "towers",
    [(f"model.ecg.pooling={how}", f"model.ecg.layers={layers}") for how in ("first", "mean", "attention") for layers in (1, 3)],
    indirect=True,
)
def test_an_embedding_is_what_pools_all_states(towers):
    ecg = ecgs().requires_grad_()
    every_state = towers.ecg_projection(towers.ecg_encoder(ecg))
    assert every_state.shape[1] == 1 + towers.settings.ecg.tokens
    expected, found = towers.ecg_pooler(every_state), towers.embed_ecg(ecg)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    slopes = [torch.autograd.grad(embedding.square().sum(), ecg, retain_graph=True)[0] for embedding in (found, expected)]
    torch.testing.assert_close(*slopes, atol=1e-12, rtol=1e-9)


def test_the_last_layer_computes_the_class_token_alone_where_it_is_the_embedding(towers):
    seen = []
    towers.ecg_encoder.layers[-1].expand.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    towers.embed_ecg(ecgs())
    towers.encode_ecg(ecgs())
    assert seen == [1, 1 + towers.settings.ecg.tokens]


def drawn(kernel=6):
    torch.manual_seed(3)
    made = PositionalConvolution(8, kernel, 2).double().eval()
    made.reset_parameters()
    with torch.no_grad():
        made.bias.normal_()
    return made


@pytest.fixture
def convolution():
    return drawn()


def tokens_for(convolution, length):
    return torch.randn(2, length, 8, dtype=convolution.bias.dtype, generator=torch.Generator().manual_seed(4))


def convolved(convolution, length=20):
    return convolution(tokens_for(convolution, length), None, length)


def slowly(convolution, length=20):
    """The convolution that it is, tap by tap."""
    norm = convolution.direction.norm(dim=(0, 1), keepdim=True)
    weight = convolution.direction * convolution.magnitude / norm
    tokens = tokens_for(convolution, length).mT
    mixed = torch.nn.functional.conv1d(tokens, weight, convolution.bias, padding=convolution.kernel // 2, groups=2)[..., :length]
    return torch.nn.functional.gelu(mixed).mT


@pytest.mark.parametrize("kernel", [1, 5, 6])
@pytest.mark.parametrize("length", [1, 6, 7, 8, 9, 10, 14, 20, 31, 64])
def test_stretch_by_stretch_it_is_the_convolution_and_so_are_its_slopes(kernel, length):
    one = drawn(kernel)
    torch.testing.assert_close(convolved(one, length), slowly(one, length), atol=1e-12, rtol=0)
    weights = (one.direction, one.magnitude, one.bias)
    found, expected = (torch.autograd.grad(way(one, length).square().sum(), weights) for way in (convolved, slowly))
    for slope, slow in zip(found, expected, strict=True):
        torch.testing.assert_close(slope, slow, atol=1e-10, rtol=1e-10)


def test_all_tokens_are_the_same_by_their_places(convolution):
    tokens = tokens_for(convolution, 31)
    torch.testing.assert_close(convolution(tokens, torch.arange(31)[None], 31), convolved(convolution, 31), atol=1e-12, rtol=0)


def test_a_kept_spectrum_is_the_kernel_s(convolution):
    with torch.no_grad():
        for length in (20, 20, 31, 4):
            torch.testing.assert_close(convolved(convolution, length), slowly(convolution, length), atol=1e-12, rtol=0)
            assert convolution._kept is not None


def step(convolution):
    convolution.direction.add_(1.0)


def magnitude(convolution):
    convolution.magnitude.mul_(2.0)


def other_weights(convolution):
    convolution.load_state_dict({name: tensor + 1 for name, tensor in convolution.state_dict().items()})


def assigned(convolution):
    convolution.load_state_dict({name: tensor + 1 for name, tensor in convolution.state_dict().items()}, assign=True)


def narrower(convolution):
    convolution.float()


@pytest.mark.parametrize("change", [step, magnitude, other_weights, assigned, narrower])
def test_a_kept_spectrum_is_of_these_very_weights(convolution, change):
    with torch.no_grad():
        convolved(convolution)
        change(convolution)
        tolerance = 1e-5 if change is narrower else 1e-12
        torch.testing.assert_close(convolved(convolution), slowly(convolution), atol=tolerance, rtol=0)


def test_nothing_is_kept_where_somebody_learns(convolution):
    convolved(convolution)
    assert convolution._kept is None
    with torch.no_grad():
        convolved(convolution.train())
    assert convolution._kept is None
    with torch.no_grad():
        convolved(convolution.eval())
    assert convolved(convolution).requires_grad  # what was kept has no slope, and is not used for one
