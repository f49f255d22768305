"""From millivolts to ECG tokens: two convolutional front ends, each halving the rate once a stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class StridedFrontEnd(nn.Module):
    """The paper's: strided convolutions without bias, one GroupNorm (a group per channel) after the first, GELU after each.

    A common gain or offset of the whole record cancels out in that GroupNorm; a gain *per lead* does not.
    """

    def __init__(self, leads: int, channels: Sequence[int], kernel: int, windows: Sequence[tuple[int, int]] = ()) -> None:
        """windows: kernel and stride of each stage; none for (kernel, 2) throughout."""
        super().__init__()
        widths = [leads, *channels]
        self.stages = nn.ModuleList(
            nn.Conv1d(before, after, size, stride=stride, bias=False)
            for before, after, (size, stride) in zip(widths, channels, windows or [(kernel, 2)] * len(channels), strict=False)
        )
        self.norm = nn.GroupNorm(channels[0], channels[0])

    def forward(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] in millivolts → [B, P, C]."""
        for i, stage in enumerate(self.stages):
            ecg = stage(ecg)
            ecg = F.gelu(self.norm(ecg) if i == 0 else ecg)
        return ecg.transpose(1, 2)


class ResidualBlock(nn.Module):
    """Two convolutions with a shortcut, at half the rate; norms over the channels of each group along the whole record."""

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        padding = kernel // 2
        self.first = nn.Conv1d(before, after, kernel, stride=2, padding=padding, bias=False)
        self.first_norm = nn.GroupNorm(_groups(after), after)
        self.second = nn.Conv1d(after, after, kernel, padding=padding, bias=False)
        self.second_norm = nn.GroupNorm(_groups(after), after)
        self.shortcut = nn.Conv1d(before, after, 1, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        """[B, C, T] → [B, C', T / 2]."""
        inner = self.second_norm(self.second(F.gelu(self.first_norm(self.first(states)))))
        return F.gelu(inner + self.shortcut(F.avg_pool1d(states, 2, ceil_mode=True))[..., : inner.shape[2]])


class ResidualFrontEnd(nn.Module):
    """Residual stages with a wider kernel: with few pairs, better than plain strided convolutions under a deep transformer."""

    def __init__(self, leads: int, channels: Sequence[int], kernel: int, windows: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__()
        if windows:
            raise ValueError("ecg.stem_windows belong to a strided front end")
        if kernel % 2 == 0:
            raise ValueError(f"ecg.stem_kernel {kernel} must be odd for the residual front end")
        widths = [leads, *channels]
        self.stages = nn.ModuleList(ResidualBlock(a, b, kernel) for a, b in zip(widths, channels, strict=False))

    def forward(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] in millivolts → [B, P, C]; a last token that the record does not fill is dropped."""
        tokens = ecg.shape[2] // 2 ** len(self.stages)
        for stage in self.stages:
            ecg = stage(ecg)
        return ecg[..., :tokens].transpose(1, 2)


FRONT_ENDS: dict[str, type[StridedFrontEnd] | type[ResidualFrontEnd]] = {"strided": StridedFrontEnd, "residual": ResidualFrontEnd}


def _groups(channels: int) -> int:
    return next(g for g in (8, 4, 2, 1) if channels % g == 0)
