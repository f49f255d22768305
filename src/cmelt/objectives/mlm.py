"""MLM, masked language modelling: name the hidden word pieces."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cmelt.model.across_ranks import even_share
from cmelt.objectives.precision import full

#: Rows whose probabilities are computed at once: the vocabulary is wide.
AT_ONCE = 128


def mlm_loss(logits: Tensor, words: Tensor) -> Tensor:
    """Cross-entropy over the masked pieces only (method page, MLM).

    Args:
        logits: [M, vocabulary] at the masked pieces, in the order of `words[words >= 0]`.
        words: [B, S] the piece to name, −100 where nothing was masked.
    Returns:
        Scalar; 0 for a batch in which nothing was masked.
    """
    targets = words[words >= 0]
    # Processes have not equally many masked pieces: each one's sum is divided by an even share of all.
    total: Tensor = _SummedCrossEntropy.apply(logits, targets)
    return total / even_share(total.new_tensor(len(targets)))


class _SummedCrossEntropy(torch.autograd.Function):
    """Cross-entropy that keeps the logits alone for the backward pass, not their logarithms of probabilities beside them."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        levels = torch.cat([full(part).logsumexp(1) for part in logits.split(AT_ONCE)])
        ctx.save_for_backward(logits, targets, levels)
        return (levels - full(logits.gather(1, targets[:, None])[:, 0])).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, targets, levels = ctx.saved_tensors
        of_logits = torch.empty_like(logits)
        parts = (values.split(AT_ONCE) for values in (logits, targets, levels, of_logits))
        for some, target, level, out in zip(*parts, strict=True):
            probabilities = (full(some) - level[:, None]).exp_()
            probabilities[torch.arange(len(target), device=target.device), target] -= 1
            out.copy_(probabilities.mul_(gradient))
        return of_logits, None
