"""ResNet1d-wang, the network of Strodthoff et al. 2020 (arXiv 2004.13701), after Wang, Yan & Oates 2017 (arXiv 1611.06455).

Written from the papers' description: a stem, three residual blocks of two convolutions with the wider kernel first, all of one
width; then average and maximum over time side by side, and a head with one hidden layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HIDDEN = 128, 128
STEM_KERNEL, KERNELS = 7, (5, 3)
STRIDES = (1, 2, 2)


class ResidualBlock(nn.Module):
    """Two convolutions with batch norm and a shortcut."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        first, second = KERNELS
        self.first = nn.Conv1d(width, width, first, stride=stride, padding=first // 2, bias=False)
        self.first_norm = nn.BatchNorm1d(width)
        self.second = nn.Conv1d(width, width, second, padding=second // 2, bias=False)
        self.second_norm = nn.BatchNorm1d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv1d(width, width, 1, stride=stride, bias=False), nn.BatchNorm1d(width))

    def forward(self, states: Tensor) -> Tensor:
        """[B, C, T] → [B, C, T / stride]."""
        inner = self.second_norm(self.second(F.relu(self.first_norm(self.first(states)))))
        return F.relu(inner + self.shortcut(states))


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
        self.blocks = nn.Sequential(*(ResidualBlock(width, stride) for stride in STRIDES))
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
