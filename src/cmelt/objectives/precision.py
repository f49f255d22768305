"""In how many bits the losses are computed, and vectors of length 1 in as many."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def full(values: Tensor) -> Tensor:
    """bfloat16 and float16 as float32, for their sums over a batch lose too much; float32 and float64 stay what they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def unit(vectors: Tensor) -> Tensor:
    """[B, D], each row divided by its length, in `full` precision."""
    return F.normalize(full(vectors))
