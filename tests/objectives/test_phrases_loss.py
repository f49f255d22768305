"""Statement-level alignment against loops in float64, and what it is to be: blind to how common a finding is."""

from __future__ import annotations

import math

import torch

from cmelt.objectives.phrases import phrases_loss


def doubles(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def slow(ecg, phrases, held, counted, scale, bias):
    total = 0.0
    for k in range(len(phrases)):
        sides: dict[bool, list] = {True: [], False: []}
        for i in range(len(ecg)):
            if counted[i, k]:
                logit = scale * sum(a * b for a, b in zip(ecg[i], phrases[k], strict=True)) + bias
                chance = 1 / (1 + torch.exp(-logit))
                sides[bool(held[i, k])].append(-torch.log(chance if held[i, k] else 1 - chance))
        total = total + 0.5 * sum(sum(side) / len(side) for side in sides.values() if side)
    return total / len(phrases)


def test_phrases_is_the_balanced_sigmoid_loss_of_every_pair_that_counts():
    ecg, phrases = doubles(5, 4, seed=1), doubles(3, 4, seed=2)
    scale, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (2.0, -0.5))
    held = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=torch.bool)
    counted = torch.ones_like(held)
    counted[3, 0] = counted[2, 1] = False
    inputs = (ecg, phrases, scale, bias)
    results = [f(ecg, phrases, held, counted, scale, bias) for f in (phrases_loss, slow)]
    for fast, truth in zip(*(torch.autograd.grad(loss, inputs) for loss in results), strict=True):
        torch.testing.assert_close(fast, truth, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(*results, atol=1e-12, rtol=1e-12)


def test_a_record_of_another_archive_changes_nothing():
    ecg, phrases = doubles(4, 3, seed=3).detach(), doubles(2, 3, seed=4).detach()
    held = torch.tensor([[1, 0], [0, 1], [0, 0], [0, 0]], dtype=torch.bool)
    counted = torch.ones_like(held)
    counted[3] = False
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    other = ecg.clone()
    other[3] = 100.0
    assert torch.equal(
        phrases_loss(ecg, phrases, held, counted, one, zero), phrases_loss(other, phrases, held, counted, one, zero)
    )


def test_a_rare_finding_weighs_as_much_as_a_common_one():
    indifferent = torch.zeros(8, 2)
    phrase = torch.ones(1, 2)
    for holders in (1, 4, 7):
        held = (torch.arange(8) < holders)[:, None]
        loss = phrases_loss(indifferent, phrase, held, torch.ones_like(held), torch.tensor(1.0), torch.tensor(0.0))
        assert math.isclose(float(loss), math.log(2), rel_tol=1e-6)


def test_no_phrases_cost_nothing():
    none = torch.zeros(4, 0, dtype=torch.bool)
    assert float(phrases_loss(torch.ones(4, 2), torch.ones(0, 2), none, none, torch.tensor(1.0), torch.tensor(0.0))) == 0.0
