"""Statement-level alignment: does the report of this ECG hold this phrase? A sigmoid a pair of ECG and phrase.

Not in the paper. A contrast of whole reports learns which report is whose; a class prompt asks whether one finding is there.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cmelt.model.across_ranks import even_share
from cmelt.objectives.precision import full


def phrases_loss(ecg: Tensor, phrases: Tensor, held: Tensor, counted: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """(1/K) Σₖ ½ (mean over i with phrase k of −log σ(z_ik) + mean over i without it of −log σ(−z_ik)), z = s·eᵢ·pₖ + b.

    With and without are averaged apart: a finding that one record of a batch has weighs as much as one that half of them have.

    Args:
        ecg: [B, D] unit vectors, of this process.
        phrases: [K, D] unit vectors, the same K phrases in every process.
        held: [B, K] True where the ECG's own report holds the phrase.
        counted: [B, K] False where that says nothing: the phrase is of another archive, whose wording the report does not share.
        scale, bias: scalars.
    Returns:
        Scalar; 0 without phrases.
    """
    logits = scale * full(ecg) @ full(phrases).T + bias  # [B, K]
    present = held.to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, present, reduction="none")
    return 0.5 * (_mean(losses, present * counted) + _mean(losses, (1 - present) * counted)).sum() / max(1, held.shape[1])


def _mean(losses: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the records of all processes: this one's part of it, [K]."""
    return (losses * weight).sum(0) / even_share(weight.sum(0))
