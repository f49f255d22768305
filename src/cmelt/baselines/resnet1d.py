"""ResNet1d-wang, the network of Strodthoff et al. 2020 (arXiv 2004.13701), after Wang, Yan & Oates 2017 (arXiv 1611.06455).

Written from the papers' description: a stem, three residual blocks of two convolutions with the wider kernel first, all of one
width; then average and maximum over time side by side, and a head with one hidden layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.model.front_end import BatchNormBlock

WIDTH, HIDDEN = 128, 128
STEM_KERNEL = 7
STRIDES = (1, 2, 2)


class ResNet1d(nn.Module):
    """ECG → logits; any length from a few samples on.

    Args:
        leads: channels of the ECG; classes: logits.
        width: channels inside.
    """

    def __init__(self, leads: int, classes: int, width: int = WIDTH) -> None:
        super().__init__()
        self.stem = nn.Conv1d(leads, width, STEM_KERNEL, padding=STEM_KERNEL // 2, bias=False)
        self.stem_norm = nn.BatchNorm1d(width)
        self.blocks = nn.Sequential(*(BatchNormBlock(width, width, stride) for stride in STRIDES))
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * width),
            nn.Dropout(0.25),
            nn.Linear(2 * width, HIDDEN),
            nn.ReLU(),
            nn.BatchNorm1d(HIDDEN),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] millivolts → [B, classes]."""
        states = self.blocks(F.relu(self.stem_norm(self.stem(ecg))))  # [B, C, T / 4]
        return self.head(torch.cat([states.mean(2), states.amax(2)], dim=1))
