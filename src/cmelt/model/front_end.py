"""From millivolts to ECG tokens: convolutional front ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.model.batch_norm import BatchNorm


class StridedFrontEnd(nn.Module):
    """The paper's: strided convolutions without bias, one GroupNorm (a group per channel) after the first, GELU after each.

    A common gain or offset of the whole record cancels out in that GroupNorm; a gain *per lead* does not.
    """

    def __init__(self, leads: int, channels: Sequence[int], kernel: int, windows: Sequence[tuple[int, int]] = ()) -> None:
        """windows: kernel and stride of each stage; none for (kernel, 2) throughout."""
        super().__init__()
        widths = [leads, *channels]
        self.windows = list(windows or [(kernel, 2)] * len(channels))
        self.stages = nn.ModuleList(
            nn.Conv1d(before, after, size, stride=stride, bias=False)
            for before, after, (size, stride) in zip(widths, channels, self.windows, strict=False)
        )
        self.norm = nn.GroupNorm(channels[0], channels[0])

    @property
    def separate(self) -> bool:
        """Whether neighbouring tokens share no sample, so that some can be computed without the others."""
        return all(size == stride for size, stride in self.windows)

    def forward(self, ecg: Tensor, kept: Tensor | None = None) -> Tensor:
        """ecg [B, L, T] in millivolts → tokens [B, P, C]; of `separate` ones, those at kept [B, K] alone, [B, K, C]."""
        states = self.stages[0](ecg if kept is None else _stretches(ecg, kept, math.prod(stride for _, stride in self.windows)))
        states = F.gelu(self.norm(states) if kept is None else self._normal(states, ecg))
        for stage in self.stages[1:]:
            states = F.gelu(stage(states))
        return states.transpose(1, 2)

    def _normal(self, states: Tensor, ecg: Tensor) -> Tensor:
        """The norm of some of the first stage's states [B, C, N], by mean and variance of all of them over the record.

        The stage is linear, so that both follow from the means and covariances of what it looks at, 24 values at a time: a
        hundredth of the work of its outputs.
        """
        # Half precision is no place for it: a slow drift is large in the covariances and nearly gone from what a filter passes.
        with torch.autocast(ecg.device.type, enabled=False):
            scale, offset = self._statistics(ecg if ecg.dtype == torch.float64 else ecg.float())
        return ((states - offset) * scale + self.norm.bias[:, None]).to(self.norm.bias.dtype)

    def _statistics(self, ecg: Tensor) -> tuple[Tensor, Tensor]:
        """What the norm divides and shifts the first stage's states by: scale and mean, [B, C, 1] each."""
        size = self.windows[0][0]
        seen = ecg[..., : ecg.shape[2] // size * size].unflatten(2, (-1, size)).transpose(2, 3).flatten(1, 2)  # [B, L·size, N']
        mean = seen.mean(2, keepdim=True)
        spread = (seen - mean) @ (seen - mean).mT / seen.shape[2]  # [B, L·size, L·size]
        weight = self.get_parameter("stages.0.weight").flatten(1).to(seen.dtype)  # [C, L·size]
        variance = ((weight @ spread) * weight).sum(2).clamp(min=0)  # [B, C]; rounding may leave one below zero
        scale = self.norm.weight * (variance + self.norm.eps).rsqrt()
        return scale[..., None], weight @ mean


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


class BatchNormBlock(nn.Module):
    """ResNet1d-wang's residual block (Strodthoff et al. 2020, arXiv 2004.13701): wider kernel first, batch norm, a shortcut."""

    KERNELS = (5, 3)

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        first, second = self.KERNELS
        self.first = nn.Conv1d(before, after, first, stride=stride, padding=first // 2, bias=False)
        self.first_norm = BatchNorm(after)
        self.second = nn.Conv1d(after, after, second, padding=second // 2, bias=False)
        self.second_norm = BatchNorm(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv1d(before, after, 1, stride=stride, bias=False), BatchNorm(after))

    def forward(self, states: Tensor) -> Tensor:
        """[B, C, T] → [B, C', T / stride]."""
        inner = self.second_norm(self.second(F.relu(self.first_norm(self.first(states)))))
        return F.relu(inner + self.shortcut(states))


class ResNet1dFrontEnd(nn.Module):
    """ResNet1d-wang's blocks as a stem: a convolution at the full rate, then residual blocks, each at half the rate."""

    def __init__(self, leads: int, channels: Sequence[int], kernel: int, windows: Sequence[tuple[int, int]] = ()) -> None:
        """channels: of the first convolution, then of every block."""
        super().__init__()
        if windows:
            raise ValueError("ecg.stem_windows belong to a strided front end")
        if kernel % 2 == 0:
            raise ValueError(f"ecg.stem_kernel {kernel} must be odd for the resnet1d front end")
        self.first = nn.Conv1d(leads, channels[0], kernel, padding=kernel // 2, bias=False)
        self.first_norm = BatchNorm(channels[0])
        self.blocks = nn.ModuleList(BatchNormBlock(a, b, 2) for a, b in pairwise(channels))

    def forward(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] in millivolts → [B, P, C]; a last token that the record does not fill is dropped."""
        tokens = ecg.shape[2] // 2 ** len(self.blocks)
        states = F.relu(self.first_norm(self.first(ecg)))
        for block in self.blocks:
            states = block(states)
        return states[..., :tokens].transpose(1, 2)


FRONT_ENDS: dict[str, type[StridedFrontEnd] | type[ResidualFrontEnd] | type[ResNet1dFrontEnd]] = {
    "strided": StridedFrontEnd, "residual": ResidualFrontEnd, "resnet1d": ResNet1dFrontEnd,
}  # fmt: skip


def _stretches(ecg: Tensor, kept: Tensor, samples: int) -> Tensor:
    """The samples of the kept tokens [B, K] side by side: [B, L, T] → [B, L, K × samples]."""
    tokens = ecg[..., : ecg.shape[2] // samples * samples].unflatten(2, (-1, samples))
    places = kept[:, None, :, None].expand(-1, tokens.shape[1], -1, samples)
    return tokens.gather(2, places).flatten(2)


def _groups(channels: int) -> int:
    return next(g for g in (8, 4, 2, 1) if channels % g == 0)
