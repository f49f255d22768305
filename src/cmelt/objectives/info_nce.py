"""InfoNCE: which of the batch's reports is this ECG's, and which ECG is this report's (CLIP, arXiv 2103.00020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
    target = truth.positive.to(logits.dtype)
    has_positive = (target.sum(1) > 0).to(logits.dtype)
    log_likelihood = F.log_softmax(logits, dim=1).masked_fill(truth.weight == 0, 0.0)
    losses = -(log_likelihood * target).sum(1) / target.sum(1).clamp(min=1)
    return (losses * has_positive).sum() / even_share(has_positive.sum())
