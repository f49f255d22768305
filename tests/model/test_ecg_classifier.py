"""A classifier is the pre-trained ECG side, to the bit, with a layer on top; windows cover a record."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.ecg_classifier import classifier_of, window_starts, windowed_logits
from tiny_runs import SAMPLES, tiny_recipe


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CMeltModel(CMeltConfig.of(tiny_recipe().model)).eval()


def ecgs(count=3):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(count, 12, SAMPLES)).astype(np.float32))


def test_the_tower_embeds_as_the_model_does(model):
    network = classifier_of(model, 5, 0.5, seed=1).eval()
    with torch.no_grad():
        expected = model.embed_ecg(ecgs())
        assert torch.equal(network.ecg_encoder(ecgs()), expected)
        assert torch.allclose(network(ecgs()), expected @ network.head.weight.T + network.head.bias)


def test_training_the_classifier_leaves_the_model_as_it_was(model):
    before = model.ecg_projection.weight.detach().clone()
    network = classifier_of(model, 2, 0.0, seed=1)
    with torch.no_grad():
        network.ecg_encoder.ecg_projection.weight.add_(1.0)
    assert torch.equal(model.ecg_projection.weight, before)


def test_a_head_is_a_function_of_its_seed_and_texts_are_left_behind(model):
    torch.manual_seed(5)
    outside = torch.get_rng_state()
    one, same, other = (classifier_of(model, 4, 0.0, seed) for seed in (1, 1, 2))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert torch.equal(torch.get_rng_state(), outside)
    assert not any("text" in name for name, _ in one.named_parameters())


@pytest.mark.parametrize("samples", [1000, 1001, 997, 500])
@pytest.mark.parametrize("window", [250, 333, 499])
def test_windows_cover_the_record_and_overlap_by_half_at_least(samples, window):
    starts = window_starts(samples, window)
    assert (starts[0], starts[-1]) == (0, samples - window)
    assert max(np.diff(starts)) <= window / 2 + 1


@pytest.mark.parametrize("window", [0, 1000, 2000])
def test_one_window_is_the_whole_record(window):
    assert window_starts(1000, window) == [0]


def test_two_and_a_half_seconds_of_ten_are_seven_windows():
    assert window_starts(1000, 250) == [0, 125, 250, 375, 500, 625, 750]


def test_windowed_log_odds_are_those_of_the_mean_probability():
    def network(ecg):
        return ecg.mean(2)[:, :2] * 30.0  # sure of itself, one way and the other

    ecg = ecgs()
    parts = [1 / (1 + np.exp(-network(ecg[..., s : s + 250]).double().numpy())) for s in window_starts(SAMPLES, 250)]
    mean = np.mean(parts, axis=0)
    np.testing.assert_allclose(windowed_logits(network, ecg, 250).numpy(), np.log(mean / (1 - mean)), rtol=1e-6)
    assert torch.equal(windowed_logits(network, ecg), network(ecg))
