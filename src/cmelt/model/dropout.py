"""Dropout whose draws cost little on a CPU: sixteen bits a value, where PyTorch takes a float's work and keeps a float's room."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Values of sixteen random bits; a probability is rounded to a multiple of their inverse (0.1 to 0.100006).
_VALUES = 2**16


class Dropout(nn.Dropout):
    """`nn.Dropout`, on CPUs by `dropped`."""

    def forward(self, states: Tensor) -> Tensor:
        """Any shape; as it is outside training."""
        return dropped(states, self.p) if self.training else states


def dropped(states: Tensor, probability: float) -> Tensor:
    """states with each value zeroed at this probability and the others scaled so that the mean stays.

    Draws come from PyTorch's own generator, as those of its own dropout do.
    """
    if states.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(states, probability)
    below = round(probability * _VALUES)
    if below in (0, _VALUES):
        return states if below == 0 else states * 0
    kept = _sixteen_bits(states) >= below - _VALUES // 2
    return (states * kept).mul_(_VALUES / (_VALUES - below))


def _sixteen_bits(like: Tensor) -> Tensor:
    """An integer from -32,768 to 32,767 for every value: four of them from each draw of 64 bits."""
    draws = torch.empty((like.numel() + 3) // 4, dtype=torch.int64, device=like.device).random_(-(2**63), None)
    return draws.view(torch.int16)[: like.numel()].view(like.shape)
