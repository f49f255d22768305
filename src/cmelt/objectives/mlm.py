"""MLM, masked language modelling: name the hidden word pieces."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cmelt.objectives.across_ranks import even_share
from cmelt.objectives.precision import full


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
    logits = full(logits)
    return F.cross_entropy(logits, targets, reduction="sum") / even_share(logits.new_tensor(len(targets)))
