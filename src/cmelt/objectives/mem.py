"""MEM, masked ECG modelling: rebuild the samples of the hidden tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from cmelt.objectives.across_ranks import even_share
from cmelt.objectives.precision import full

EPSILON = 1e-6


def mem_target(ecg: Tensor, tokens: int, samples_per_token: int) -> Tensor:
    """The samples to rebuild: each lead normalised to zero mean and unit variance over the covered part of the record.

    Args:
        ecg: [B, L, T] millivolts, *before* random lead masking: a dropped lead must be rebuilt, not its zeros.
    Returns:
        [B, P, L × samples], the samples of a lead side by side.
    """
    covered = full(ecg[..., : tokens * samples_per_token])
    variance, mean = torch.var_mean(covered, dim=2, keepdim=True)  # unbiased, as in the reference numbers
    normal = (covered - mean) / (variance + EPSILON).sqrt()
    return normal.unflatten(2, (tokens, samples_per_token)).transpose(1, 2).flatten(2)


def mem_loss(predicted: Tensor, target: Tensor, kept: Tensor, measured: Tensor) -> Tensor:
    """Mean squared error over masked tokens and over leads that were measured (method page, MEM).

    Args:
        predicted, target: [B, P, L × samples].
        kept: [B, K] indices of the tokens that were *not* masked.
        measured: [B, L] True where the record has the lead; a missing one is all zeros and teaches nothing.
    Returns:
        Scalar.
    """
    batch, tokens = target.shape[:2]
    masked = torch.ones(batch, tokens, dtype=torch.bool, device=target.device).scatter(1, kept, False)
    error = (full(predicted) - target).square()
    error = error.unflatten(2, (measured.shape[1], -1)).mean(3)  # [B, P, L]
    weight = (masked[..., None] & measured[:, None]).to(error.dtype)
    return (error * weight).sum() / even_share(weight.sum())
