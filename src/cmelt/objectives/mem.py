"""MEM, masked ECG modelling: rebuild the samples of the hidden tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from cmelt.model.across_ranks import even_share
from cmelt.model.heads import hidden_of
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
        predicted: [B, P − K, L × samples] of the masked tokens, in the order of `hidden_of`.
        target: [B, P, L × samples] of all tokens.
        kept: [B, K] indices of the tokens that were *not* masked.
        measured: [B, L] True where the record has the lead; a missing one is all zeros and teaches nothing.
    Returns:
        Scalar.
    """
    masked = hidden_of(kept, target.shape[1])[..., None].expand(-1, -1, target.shape[2])
    error = (full(predicted) - target.gather(1, masked)).square()
    error = error.unflatten(2, (measured.shape[1], -1)).mean(3)  # [B, P − K, L]
    weight = measured[:, None].to(error.dtype)
    return (error * weight).sum() / even_share(weight.sum() * error.shape[1])
