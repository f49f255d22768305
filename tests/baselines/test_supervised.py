"""The supervised rival: the published network's sizes, any length, and that it learns from labels alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmelt.baselines.resnet1d import ResNet1d
from cmelt.baselines.supervised import SUPERVISED, train_supervised
from cmelt.training.classifier import macro_auroc, predict
from cmelt.training.labelled import ChangeSettings, LabelledRecords

CPU = torch.device("cpu")


class Beats:
    """Records with a bump in lead II that is wide in class 0 and inverted in class 1, anywhere in the record."""

    rate, samples = 100.0, 100

    def __init__(self, truth, rng):
        time = np.arange(100)[None, :]
        width = np.where(truth[:, :1], 6.0, 2.0)
        bump = np.exp(-(((time - rng.integers(20, 80, (len(truth), 1))) / width) ** 2)) * np.where(truth[:, 1:], -1, 1)
        self.signal = (0.1 * rng.normal(size=(len(truth), 12, 100))).astype(np.float32)
        self.signal[:, 1] += bump

    def millivolts(self, rows):
        return self.signal[rows]


def beats(count, seed):
    rng = np.random.default_rng(seed)
    truth = rng.random((count, 2)) < 0.5
    return LabelledRecords(Beats(truth, rng), np.arange(count), truth, np.arange(count), np.ones(12, bool))


def test_the_network_has_the_published_parts():
    """Stem of kernel 7 and width 128; three blocks with kernels 5 and 3, two halving; pooled twice; hidden layer of 128."""
    network = ResNet1d(12, 5)
    shapes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, torch.nn.Conv1d)]
    assert shapes[0] == (128, 12, 7)
    assert [s[2] for s in shapes[1:]] == [5, 3, 5, 3, 1, 5, 3, 1]
    assert [m.in_features for m in network.modules() if isinstance(m, torch.nn.Linear)] == [256, 128]
    states = network.blocks(torch.zeros(2, 128, 250))
    assert states.shape == (2, 128, 63)


@pytest.mark.parametrize("samples", [100, 250, 1000])
def test_any_length_gives_a_logit_a_class(samples):
    assert ResNet1d(12, 7)(torch.zeros(2, 12, samples)).shape == (2, 7)


def test_it_is_trained_as_published():
    assert (SUPERVISED.epochs, SUPERVISED.batch, SUPERVISED.change.crop_seconds) == (50, 128, 2.5)
    assert (SUPERVISED.optimiser.rate, SUPERVISED.optimiser.weight_decay) == (1e-2, 1e-2)


def test_it_learns_shapes_from_labels_and_repeats_itself():
    settings = replace(SUPERVISED, epochs=8, batch=32, change=ChangeSettings(crop_seconds=0.8))
    training, test = beats(160, 0), beats(80, 1)
    network = train_supervised(training, CPU, settings)
    scores = predict(network, test, settings, CPU)
    assert macro_auroc(scores, test.truth) > 0.9
    again = train_supervised(training, CPU, replace(settings, epochs=1))
    once = train_supervised(training, CPU, replace(settings, epochs=1))
    assert torch.equal(again.stem.weight, once.stem.weight)
    other = train_supervised(training, CPU, replace(settings, epochs=1, seed=1))
    assert not torch.equal(again.stem.weight, other.stem.weight)
