"""InfoNCE: which of the batch's reports is this ECG's, and which ECG is this report's (CLIP, arXiv 2103.00020)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmelt.model.across_ranks import even_share
from cmelt.objectives.pairs import Pairs
from cmelt.objectives.precision import full


def info_nce_loss(ecg: Tensor, text: Tensor, truth: Pairs, scale: Tensor) -> Tensor:
    """Cross-entropy over each row, the positives of a row sharing the target. One direction: call it once a way.

    Args:
        ecg: [B, D] unit vectors that look for their match.
        text: [N, D] unit vectors to choose from.
        truth: which pairs are positive and which count; a row without a positive is left out.
        scale: inverse temperature, a scalar.
    Returns:
        Scalar.
    """
    logits = scale * full(ecg) @ full(text).T  # [B, N]
    logits = logits.masked_fill(truth.weight == 0, -torch.inf)
    log_likelihood = logits.log_softmax(1).masked_fill(~truth.positive, 0.0).sum(1)  # [B], of the positives
    positives = truth.positive.sum(1)  # [B]
    with_positive = (positives > 0).to(logits.dtype).sum()
    return -(log_likelihood / positives.clamp(min=1)).sum() / even_share(with_positive)
