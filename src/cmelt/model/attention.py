"""Multi-head attention, for self- and cross-attention alike; no map of attention weights outlives its use."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.model.dropout import dropped
from cmelt.model.linear import Linear
from cmelt.model.packing import Packing


def attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None, *, dropout: float = 0.0, scale: float | None = None
) -> Tensor:
    """softmax(query · keyᵀ · scale + bias) · value, with some of the softmax's weights dropped.

    Args:
        query: [B, heads, N, C]; key, value: [B, heads, M, C].
        bias: added to the scores, or True where a score counts; [B or 1, heads or 1, N or 1, M].
        scale: 1 / √C unless stated.
    Returns:
        [B, heads, N, C].
    """
    if dropout == 0 or query.device.type != "cpu" or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout, scale=scale)
    # On a CPU PyTorch's fused kernel knows no dropout, and what it falls back to takes twice as long as this.
    scores = (query * (1 / math.sqrt(query.shape[3]) if scale is None else scale)) @ key.transpose(2, 3)
    if bias is not None:
        scores = scores.masked_fill(~bias, -math.inf) if bias.dtype == torch.bool else scores + bias
    # Weights of half precision would not add up to one.
    weights = scores.softmax(3, dtype=torch.promote_types(scores.dtype, torch.float32))
    return dropped(weights, dropout).to(value.dtype) @ value


def heads_of(states: Tensor, heads: int) -> Tensor:
    """[B, N, heads × C] → [B, heads, N, C]."""
    return states.unflatten(2, (heads, -1)).transpose(1, 2)


class Attention(nn.Module):
    """Scaled dot-product attention with `heads` heads over `width` channels."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = Linear(width, width)
        self.key = Linear(width, width)
        self.value = Linear(width, width)
        self.output = Linear(width, width)

    def forward(
        self,
        states: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        packing: Packing | None = None,
        context_packing: Packing | None = None,
    ) -> Tensor:
        """Attend from states [B, N, D] to context [B, M, D] (default: themselves), of which mask [B, M] is True at real tokens.

        Either may be packed, [T, D], and comes with its packing, the context's in place of a mask. Returns what states are.
        """
        if context is None:
            context, context_packing = states, packing
        if context_packing is not None:
            mask = context_packing.mask
        attended = attend(
            self._heads(self.query(states), packing),
            self._heads(self.key(context), context_packing),
            self._heads(self.value(context), context_packing),
            None if mask is None else mask[:, None, None, :],
            dropout=self.dropout if self.training else 0.0,
        )  # [B, heads, N, D / heads]
        joined = attended.transpose(1, 2).flatten(2)
        return self.output(joined if packing is None else packing.pack(joined))

    def _heads(self, states: Tensor, packing: Packing | None) -> Tensor:
        return heads_of(states if packing is None else packing.spread(states), self.heads)
