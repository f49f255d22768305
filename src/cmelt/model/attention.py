"""Multi-head attention, for self- and cross-attention alike, on PyTorch's fused kernel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Scaled dot-product attention with `heads` heads over `width` channels."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, states: Tensor, context: Tensor | None = None, context_mask: Tensor | None = None) -> Tensor:
        """Attend from states [B, N, D] to context [B, M, D] (default: themselves); context_mask [B, M] is True at real tokens."""
        context = states if context is None else context
        mask = None if context_mask is None else context_mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(
            self._split(self.query(states)),
            self._split(self.key(context)),
            self._split(self.value(context)),
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )  # [B, heads, N, D / heads]
        return self.output(attended.transpose(1, 2).flatten(2))

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(2, (self.heads, -1)).transpose(1, 2)
