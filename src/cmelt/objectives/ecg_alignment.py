"""ECG alignment: two views of the same ECG agree more than those of different ones (SimCLR; MERL's uni-modal alignment)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmelt.model.across_ranks import first_row, gather
from cmelt.objectives.precision import unit


def ecg_alignment_loss(one: Tensor, other: Tensor, temperature: float, within: bool) -> Tensor:
    """Cross-entropy of finding an ECG's other view among the views of the batch, both ways, averaged.

    With `within`, the other ECGs' views of the *same* side are candidates too: SimCLR's NT-Xent (arXiv 2002.05709), 2N − 1
    candidates. Without, only the other side is searched, as CLIP does between modalities: MERL's (arXiv 2403.06659), N.

    Args:
        one, other: [B, D] the two views of this process's ECGs; compared by their cosine.
        temperature: divides the cosines.
        within: see above.
    Returns:
        Scalar.
    """
    one, other = unit(one), unit(other)
    everyone = gather(one), gather(other)  # [N, D] each
    there = _search(one, everyone[1], everyone[0] if within else None, temperature)
    back = _search(other, everyone[0], everyone[1] if within else None, temperature)
    return 0.5 * (there + back)


def _search(views: Tensor, opposite: Tensor, same: Tensor | None, temperature: float) -> Tensor:
    """One way: views [B, D] look for their counterparts among `opposite` [N, D] and, where given, `same` [N, D]."""
    rows = torch.arange(len(views), device=views.device)
    own = first_row(len(views)) + rows
    logits = views @ opposite.T / temperature  # [B, N]
    if same is not None:
        neighbours = views @ same.T / temperature
        neighbours = neighbours.index_put((rows, own), neighbours.new_tensor(-torch.inf))  # a view is no candidate of itself
        logits = torch.cat([logits, neighbours], dim=1)  # [B, 2N]
    return F.cross_entropy(logits, own)
