"""Batch norm whose batch is that of all processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
        rows = states.float() if states.dtype in (torch.bfloat16, torch.float16) else states
        axes = [axis for axis in range(rows.ndim) if axis != 1]
        variances, means = torch.var_mean(rows, axes, correction=0)
        everyone = gather(torch.stack([means, variances])[None])  # [world, 2, C]
        mean = everyone[:, 0].mean(0)
        # What the processes vary in themselves, and from each other: no difference of large squares.
        variance = everyone[:, 1].mean(0) + (everyone[:, 0] - mean).square().mean(0)
        self._remember(mean.detach(), variance.detach(), rows.numel() // rows.shape[1] * processes())
        along = [1, -1] + [1] * (rows.ndim - 2)
        scale = (variance + self.eps).rsqrt() * self.weight
        return torch.addcmul(self.bias.view(along), rows - mean.view(along), scale.view(along)).to(states.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, values: int) -> None:
        """Running statistics as `nn.BatchNorm1d` keeps them: of the variance, the estimate without bias."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_((variance * (values / max(1, values - 1))).to(self.running_var.dtype), share)
