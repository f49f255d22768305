"""ETS, ECG–text sigmoid: each pair of the batch judged on its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmelt.objectives.pairs import Pairs
from cmelt.objectives.precision import full


def ets_loss(ecg: Tensor, text: Tensor, truth: Pairs, scale: Tensor, bias: Tensor, balance: bool = False) -> Tensor:
    """−(1/B) Σᵢ Σⱼ log σ(y_ij · (s·eᵢ·tⱼ + b)) (method page, ETS; SigLIP, arXiv 2303.15343).

    Args:
        ecg: [B, D] embeddings of this process.
        text: [N, D] embeddings of every process, this one's among them.
        truth: which pairs are positive and which count.
        scale, bias: scalars; the paper's are 1 and 0.
        balance: a row's positives and negatives are averaged apart, then added, so that many identical reports in a
            batch do not turn the objective into normal against abnormal.
    Returns:
        Scalar.
    """
    logits = scale * full(ecg) @ full(text).T + bias  # [B, N]
    sign = torch.where(truth.positive, 1.0, -1.0)
    losses = -F.logsigmoid(sign * logits) * truth.weight
    if not balance:
        return losses.sum(1).mean()
    return (_mean(losses, truth.weight * truth.positive) + _mean(losses, truth.weight * ~truth.positive)).mean()


def _mean(losses: Tensor, weight: Tensor) -> Tensor:
    return (losses * weight).sum(1) / weight.sum(1).clamp(min=1)
