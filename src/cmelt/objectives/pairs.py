"""Which report of the batch belongs to which ECG: what both contrastive objectives start from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cmelt.model.across_ranks import first_row, gather


@dataclass(frozen=True)
class Pairs:
    """Truth about every (ECG of this process, report) pair, the reports being all processes' or one's.

    Attributes:
        positive: [B, N] bool.
        weight: [B, N] 1 where the pair counts, 0 where it is left out.
    """

    positive: Tensor
    weight: Tensor


def pairs(own_group: Tensor, text_group: Tensor, identical: str) -> Pairs:
    """Classify the pairs of this process's ECGs and every process's reports, by the number of the distinct report.

    Args:
        own_group: [B] number of the ECG's own report.
        text_group: [B] number of the report in the batch, another one where a negative was put in.
        identical: what a pair off the diagonal with the ECG's own report is: "negative", "ignore" or "positive".
    Another process's diagonal is no positive: only this process's own rows can be.
    """
    return judged(own_group, gather(text_group), identical, first_row(len(own_group)))


def judged(own_group: Tensor, text_group: Tensor, identical: str, diagonal: int | None) -> Pairs:
    """The same for own_group [B] against any reports, text_group [N].

    diagonal: the column of the first ECG's own place in the batch; None where these are another process's reports.
    """
    same = own_group[:, None] == text_group[None, :]  # [B, N]
    own = torch.zeros_like(same)
    if diagonal is not None:
        own.diagonal(diagonal).fill_(True)
    positive = same & own if identical != "positive" else same
    weight = torch.ones(same.shape, device=same.device)
    if identical == "ignore":
        weight = weight.masked_fill(same & ~own, 0.0)
    return Pairs(positive, weight)
