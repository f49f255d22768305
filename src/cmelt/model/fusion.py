"""Fusion: two streams that look at each other, pair by pair of layers (method page, 'Fusion')."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.config.settings import FusionSettings
from cmelt.model.attention import Attention
from cmelt.model.dropout import Dropout
from cmelt.model.linear import Linear
from cmelt.model.packing import Packing
from cmelt.model.recompute import frugally

EPSILON = 1e-12  # BERT's


class FusionLayer(nn.Module):
    """Self-attention → cross-attention to the other stream → feed-forward, post-norm after each."""

    def __init__(self, width: int, settings: FusionSettings) -> None:
        super().__init__()
        self.attention = Attention(width, settings.heads, settings.dropout)
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.cross_attention = Attention(width, settings.heads, settings.dropout)
        self.cross_attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.expand = Linear(width, settings.feed_forward)
        self.contract = Linear(settings.feed_forward, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = Dropout(settings.dropout)

    def forward(
        self,
        states: Tensor,
        packing: Packing | None,
        other: Tensor,
        other_packing: Packing | None,
        asked: Tensor | None = None,
    ) -> Tensor:
        """states [B, N, D] attend to themselves and to `other` [B, M, D]; what comes with a packing is packed, [T, D].

        Returns what states are, or those at `asked` [B, W] alone, [B, W, D].
        """
        own, of_own = states, packing
        if asked is not None:
            whole = states if packing is None else packing.spread(states)
            own, of_own = whole.gather(1, asked[..., None].expand(-1, -1, whole.shape[2])), None
        attended = self.attention(own, states, None, of_own, packing)
        states = self.attention_norm(own + self.dropout(attended))
        attended = self.cross_attention(states, other, None, of_own, other_packing)
        states = self.cross_attention_norm(states + self.dropout(attended))
        inner = self.contract(F.gelu(self.expand(states)))
        return self.feed_forward_norm(states + self.dropout(inner))


class Pooler(nn.Module):
    """tanh(W · state + b) of the first token's state, of the mean over the real ones, or of what the first one asks of all.

    heads: of the attention, where the pooling is one. dense: False leaves the pooled state as it is.
    """

    def __init__(self, width: int, pooling: str = "first", heads: int = 1, dense: bool = True) -> None:
        super().__init__()
        self.pooling = pooling
        self.attention = Attention(width, heads) if pooling == "attention" else None
        self.dense = Linear(width, width) if dense else None

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """states [B, N, D], mask [B, N] True at real tokens → [B, D]."""
        if self.attention is not None:
            pooled = self.attention(states[:, :1], states, mask)[:, 0]
        elif self.pooling == "first":
            pooled = states[:, 0]
        elif mask is None:
            pooled = states.mean(1)
        else:
            weight = mask[..., None].to(states.dtype)
            pooled = (states * weight).sum(1) / weight.sum(1)
        return pooled if self.dense is None else torch.tanh(self.dense(pooled))


@dataclass(frozen=True)
class Fused:
    """Both streams at their end, the ECG's on the way [B, 1 + K, D], the joined pair [B, 2D].

    text is [B, S, D] and ecg [B, 1 + K, D], or what was asked of them.
    """

    text: Tensor
    ecg: Tensor
    ecg_midway: Tensor
    pair: Tensor


class Fusion(nn.Module):
    """Modality types, pairs of layers, a pooler a stream; the text's pooled vector stands first in the pair."""

    TEXT, ECG = 0, 1

    def __init__(self, width: int, settings: FusionSettings, midway: int) -> None:
        super().__init__()
        self.midway, self.gradient_checkpointing = midway, False
        self.modality = nn.Embedding(2, width)
        self.text_layers = nn.ModuleList(FusionLayer(width, settings) for _ in range(settings.layers))
        self.ecg_layers = nn.ModuleList(FusionLayer(width, settings) for _ in range(settings.layers))
        self.text_pooler = Pooler(width)
        self.ecg_pooler = Pooler(width)

    def before_any_text(self, ecg: Tensor) -> Tensor:
        """ecg [B, 1 + K, D], projected → the ECG's stream in front of the first layer: all that `midway` 0 needs."""
        return ecg + self.modality.weight[self.ECG]

    def forward(self, text: Tensor, text_mask: Tensor, ecg: Tensor, asked: Tensor | None = None) -> Fused:
        """text [B, S, D] with text_mask [B, S], ecg [B, 1 + K, D], both projected.

        asked: [B, W] the text's tokens whose states are asked for at the end, the first token first. Nothing else is computed
        in the last layer, of the ECG its first token alone. None: all states.
        """
        # Out of training padding stays in, with states of its own as in the authors' release.
        packing = Packing.of(text_mask) if self.training else Packing(text_mask, None)
        text = packing.pack(text) + self.modality.weight[self.TEXT]
        midway = ecg = self.before_any_text(ecg)
        for i, (text_layer, ecg_layer) in enumerate(zip(self.text_layers, self.ecg_layers, strict=True)):
            if i == self.midway:
                midway = ecg
            last = asked is not None and i + 1 == len(self.text_layers)
            of_text, of_ecg = (asked, _first(ecg, self.midway)) if last else (None, None)
            # Each looks at the other's state *before* this layer.
            text, ecg = (
                frugally(text_layer, text, packing, ecg, None, of_text, everything=self.gradient_checkpointing),
                frugally(ecg_layer, ecg, None, text, packing, of_ecg, everything=self.gradient_checkpointing),
            )
        if self.midway == -1:
            midway = ecg
        text = text if asked is not None else packing.spread(text)
        pair = torch.cat([self.text_pooler(text), self.ecg_pooler(ecg)], dim=1)
        return Fused(text, ecg, midway, pair)


def _first(ecg: Tensor, midway: int) -> Tensor | None:
    """The place [B, 1] of each ECG's first token; None (all of them) where the samples are read from the stream's end."""
    return None if midway == -1 else torch.zeros(len(ecg), 1, dtype=torch.long, device=ecg.device)
