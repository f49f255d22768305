"""The losses make what they need on the way where the embeddings lie: held by tensors without content that know their device."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from cmelt.config.settings import OBJECTIVE_NAMES, ContrastSettings, ObjectiveSettings
from cmelt.model.cmelt import Outputs
from cmelt.objectives.pairs import pairs
from cmelt.objectives.total import Truth, total_loss

PAIRS, WIDTH, TOKENS, LEADS, SAMPLES = 4, 6, 5, 2, 3


def a_step() -> tuple[Outputs, Truth]:
    """Tensors of a step as the model gives them, on the device that is the default."""
    embeddings = [torch.randn(PAIRS, WIDTH) for _ in range(4)]
    one = torch.ones(())
    outputs = Outputs(
        embeddings[0], embeddings[1], torch.randn(3, 9), torch.randn(PAIRS, TOKENS - 1, LEADS * SAMPLES), torch.randn(PAIRS, 2),
        one, one, one, (embeddings[2], embeddings[3]), (torch.randn(7, WIDTH), one, one),
    )  # fmt: skip
    group, flags = torch.arange(PAIRS), torch.ones(PAIRS, 7, dtype=torch.bool)
    truth = Truth(
        torch.randn(PAIRS, LEADS, TOKENS * SAMPLES), torch.ones(PAIRS, LEADS, dtype=torch.bool),
        torch.zeros(PAIRS, 1, dtype=torch.long), torch.zeros(PAIRS, 3, dtype=torch.long), group, group, group, SAMPLES,
        flags, flags,
    )  # fmt: skip
    return outputs, truth


# How many words are masked only their content tells: their loss cannot be followed without.
@pytest.mark.parametrize("name", [name for name in OBJECTIVE_NAMES if name != "mlm"])
@pytest.mark.parametrize("identical", ["negative", "ignore", "positive"])
def test_no_objective_mixes_tensors_of_two_devices(name: str, identical: str) -> None:
    weights = dict.fromkeys(OBJECTIVE_NAMES, 0.0) | {name: 1.0}
    settings = ObjectiveSettings(**weights, contrast=ContrastSettings(identical_reports=identical, balance=True))
    with FakeTensorMode():
        with torch.device("meta"):
            outputs, truth = a_step()
        held = [getattr(truth, field.name) for field in fields(truth)]
        assert all(tensor.is_meta for tensor in held if isinstance(tensor, Tensor))
        loss = total_loss(outputs, truth, settings).total  # what is made without a device named lies on the CPU, and does not mix
    assert loss.is_meta and loss.shape == ()


@pytest.mark.parametrize("identical", ["negative", "ignore", "positive"])
def test_the_truth_about_pairs_lies_where_their_numbers_lie(identical: str) -> None:
    with FakeTensorMode():
        group = torch.arange(3, device="meta")
        truth = pairs(group, group, identical)
    assert truth.positive.is_meta and truth.weight.is_meta
