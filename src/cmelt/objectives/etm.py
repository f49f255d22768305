"""ETM, ECG–text matching: is this report this ECG's, or a negative put in its place?"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from cmelt.objectives.precision import full


def etm_loss(logits: Tensor, aligned: Tensor) -> Tensor:
    """Cross-entropy of logits [B, 2] against aligned [B] bool (method page, ETM). Returns a scalar."""
    return F.cross_entropy(full(logits), aligned.long())
