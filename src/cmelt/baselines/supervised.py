"""The supervised rival: a ResNet1d trained from scratch on a task's labels, as Strodthoff et al. 2020 train theirs."""

from __future__ import annotations

from dataclasses import replace

import torch

from cmelt.baselines.resnet1d import ResNet1d
from cmelt.batches.seeds import torch_seed
from cmelt.config.settings import OptimiserSettings
from cmelt.training.classifier import ClassifierSettings, Progress, train_classifier
from cmelt.training.labelled import ChangeSettings, LabelledRecords

#: Their recipe: 50 epochs of batches of 128, one cycle up to a rate of 0.01, weight decay 0.01, random crops of 2.5 s.
SUPERVISED = ClassifierSettings(
    epochs=50,
    batch=128,
    optimiser=OptimiserSettings(
        rate=1e-2,
        betas=(0.9, 0.99),
        epsilon=1e-5,
        weight_decay=1e-2,
        clip=0.0,
        schedule="cosine",
        warm_up=0.3,
        first=0.04,
        last=1e-4,
    ),
    change=ChangeSettings(crop_seconds=2.5),
)


def train_supervised(
    records: LabelledRecords,
    device: torch.device,
    settings: ClassifierSettings = SUPERVISED,
    progress: Progress | None = None,
) -> ResNet1d:
    """A network from scratch on these records' labels alone; weights, order and crops are functions of `settings.seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(settings.seed, "supervised weights"))
        network = ResNet1d(len(records.shown), records.truth.shape[1])
    train_classifier(network, records, settings, device, progress)
    return network


def seeded(settings: ClassifierSettings, seed: int) -> ClassifierSettings:
    """The same settings with another seed."""
    return replace(settings, seed=seed)
