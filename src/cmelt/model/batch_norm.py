"""Batch norm whose batch is that of all processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cmelt.model.across_ranks import gather, processes


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d`; while several processes train together, by the means and variances of all their rows.

    So several processes are one with the whole batch, and hold the same running statistics, without which weights could not be
    divided among them. PyTorch's own SyncBatchNorm wants GPUs. Every process must bring as many rows, of the same length.
    """

    def forward(self, states: Tensor) -> Tensor:
        """[B, C, T] or [B, C] → the same shape and precision."""
        if self.training and processes() > 1:
            # Nothing for a graph to capture; asked here, since the question alone imports a second's worth of compiler.
            result: Tensor = torch.compiler.disable(self._over_processes)(states)
            return result
        return super().forward(states)

    def _over_processes(self, states: Tensor) -> Tensor:
        mean, variance, values = _of_everyone(states.detach())
        self._remember(mean, variance, values)
        result: Tensor = _Normal.apply(states, self.weight, self.bias, mean, variance, values, self.eps)
        return result

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, values: int) -> None:
        """Running statistics as `nn.BatchNorm1d` keeps them: of the variance, the estimate without bias."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_((variance * (values / max(1, values - 1))).to(self.running_var.dtype), share)


def _of_everyone(states: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and variance [C] of each channel over all processes, in single precision or better, and how many values each is of."""
    variances, means = torch.var_mean(_full(states), _rows(states), correction=0)
    everyone = gather(torch.stack([means, variances])[None])  # [world, 2, C]
    mean = everyone[:, 0].mean(0)
    # What the processes vary in themselves, and from each other: no difference of large squares.
    variance = everyone[:, 1].mean(0) + (everyone[:, 0] - mean).square().mean(0)
    return mean, variance, states.numel() // states.shape[1] * processes()


class _Normal(torch.autograd.Function):
    """The normalised states. A process's own states move everyone's statistics: their gradients are summed over the processes."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, values: int, eps: float
    ) -> Tensor:
        ctx.save_for_backward(states, weight, mean, (variance + eps).rsqrt())
        ctx.values = values
        return F.batch_norm(states, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, mean, scale = ctx.saved_tensors
        along = [1, -1] + [1] * (states.ndim - 2)
        passed, centred = _full(gradient), _full(states) - mean.view(along)
        sums = torch.stack([passed.sum(_rows(states)), (passed * centred).sum(_rows(states)) * scale])  # of bias, of weight
        everyones = sums.clone()
        torch.distributed.all_reduce(everyones)
        # Of a mean and of a variance: what every value has a share in.
        level, slope = (everyones / ctx.values).unbind()
        found = torch.addcmul(passed - level.view(along), centred, (-slope * scale).view(along))
        return (
            (found * (weight * scale).view(along)).to(states.dtype),
            sums[1].to(weight.dtype),
            sums[0].to(weight.dtype),
            None,
            None,
            None,
            None,
        )


def _rows(states: Tensor) -> list[int]:
    """Every axis but the channels'."""
    return [axis for axis in range(states.ndim) if axis != 1]


def _full(states: Tensor) -> Tensor:
    return states.float() if states.dtype in (torch.bfloat16, torch.float16) else states
