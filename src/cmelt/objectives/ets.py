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
    rows = ets_rows(ecg, text, truth, scale, bias)
    return (rows / both_kinds(truth).clamp(min=1) if balance else rows).sum() / len(ecg)


def ets_rows(ecg: Tensor, text: Tensor, truth: Pairs, scale: Tensor, bias: Tensor) -> Tensor:
    """The losses of ecg [B, D] against text [M, D], summed over each row's positives and over its negatives: [2, B]."""
    logits = scale * full(ecg) @ full(text).T + bias  # [B, M]
    losses = -F.logsigmoid(torch.where(truth.positive, logits, -logits)) * truth.weight
    return torch.stack([losses.masked_fill(~truth.positive, 0.0).sum(1), losses.masked_fill(truth.positive, 0.0).sum(1)])


def both_kinds(truth: Pairs) -> Tensor:
    """How many positives and how many negatives count in each row, [2, B]."""
    return torch.stack([(truth.weight * truth.positive).sum(1), (truth.weight * ~truth.positive).sum(1)])
