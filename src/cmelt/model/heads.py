"""Heads: words (MLM), samples (MEM) and match (ETM) on the fused streams, two views of an ECG on the encoder alone."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.config.settings import DecoderSettings
from cmelt.model.attention import Attention
from cmelt.model.dropout import Dropout
from cmelt.model.linear import Linear
from cmelt.model.recompute import frugally


class WordHead(nn.Module):
    """Masked language modelling: dense → GELU → LayerNorm → linear to the vocabulary, with a bias of its own."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.decoder = Linear(width, vocabulary, bias=True)

    def forward(self, states: Tensor) -> Tensor:
        """[N, D] → logits [N, vocabulary]."""
        return self.decoder(self.norm(F.gelu(self.dense(states))))


class DecoderLayer(nn.Module):
    """A pre-norm transformer layer with quick-GELU."""

    def __init__(self, settings: DecoderSettings) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(settings.width)
        self.attention = Attention(settings.width, settings.heads)
        self.feed_forward_norm = nn.LayerNorm(settings.width)
        self.expand = Linear(settings.width, 4 * settings.width)
        self.contract = Linear(4 * settings.width, settings.width)

    def forward(self, states: Tensor, asked: Tensor | None = None) -> Tensor:
        """[B, N, C] → [B, N, C], or [B, W, C] of those at asked [B, W] alone."""
        normal = self.attention_norm(states)
        if asked is None:
            states = states + self.attention(normal)
        else:
            places = asked[..., None].expand(-1, -1, states.shape[2])
            states = states.gather(1, places) + self.attention(normal.gather(1, places), normal)
        inner = self.expand(self.feed_forward_norm(states))
        return states + self.contract(inner * torch.sigmoid(1.702 * inner))


class EcgDecoder(nn.Module):
    """Masked ECG modelling: from the kept tokens on the way through fusion to the hidden tokens' samples."""

    positions: Tensor | None

    def __init__(self, width: int, settings: DecoderSettings, samples_per_token: int, leads: int) -> None:
        """Raises ValueError for a decoder without layers."""
        super().__init__()
        if settings.layers < 1:
            raise ValueError(f"decoder.layers {settings.layers} must be 1 or more")
        self.gradient_checkpointing = False
        self.embed = Linear(width, settings.width)
        self.mask_token = nn.Parameter(torch.empty(settings.width))
        # A table that came with imported weights is kept as it is; None where positions are computed.
        rows = settings.position_rows
        self.register_buffer("positions", torch.empty(rows, settings.width) if rows else None)
        self.layers = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width)
        self.predict = Linear(settings.width, samples_per_token * leads)

    def reset_parameters(self) -> None:
        """The mask token starts small, as every embedding."""
        with torch.no_grad():
            nn.init.normal_(self.mask_token, std=0.02)
            if self.positions is not None:
                self.positions.copy_(sinusoids(*self.positions.shape))

    def forward(self, states: Tensor, kept: Tensor, tokens: int, shown: Tensor | None = None) -> Tensor:
        """states [B, 1 + K, D] (class token first), kept [B, K] → the samples of some of the tokens.

        shown: [B, N] which; None for the hidden ones, in the order of `hidden_of`. Returns [B, N, leads × samples].
        """
        states = self.embed(states)
        filled = self.mask_token.to(states.dtype).expand(states.shape[0], tokens, -1)
        places = kept[..., None].expand(-1, -1, states.shape[2])
        states = torch.cat([states[:, :1], filled.scatter(1, places, states[:, 1:])], dim=1)  # [B, 1 + P, C]
        states = states + self._positions(states).to(states.dtype)
        wanted = 1 + (hidden_of(kept, tokens) if shown is None else shown)
        for layer in self.layers[:-1]:
            states = frugally(layer, states, everything=self.gradient_checkpointing)
        states = frugally(self.layers[-1], states, wanted, everything=self.gradient_checkpointing)
        return self.predict(self.norm(states))

    def _positions(self, states: Tensor) -> Tensor:
        """[1 + P, C] for states [B, 1 + P, C]."""
        if self.positions is None:
            return sinusoids(states.shape[1], states.shape[2], states.device)
        return self.positions[: states.shape[1]]


def hidden_of(kept: Tensor, tokens: int) -> Tensor:
    """Places [B, P − K] of the tokens that are not among the kept [B, K], ascending."""
    hidden = torch.ones(kept.shape[0], tokens, dtype=torch.bool, device=kept.device).scatter(1, kept, False)
    return hidden.byte().argsort(dim=1, descending=True, stable=True)[:, : tokens - kept.shape[1]]


class DropoutViews(nn.Module):
    """Two views of an ECG from one latent: a linear map and a dropout mask each (MERL, arXiv 2403.06659)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.one = Linear(width, width, bias=False)
        self.other = Linear(width, width, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D] → two views [B, D]; the masks are independent."""
        return self.dropout(self.one(latent)), self.dropout(self.other(latent))


class ViewProjection(nn.Module):
    """SimCLR's projection (arXiv 2002.05709): the loss compares what it makes of embeddings, and is not compared itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = Linear(width, width)
        self.contract = Linear(width, width)

    def forward(self, embedding: Tensor) -> Tensor:
        """[B, D] → [B, D]."""
        return self.contract(F.relu(self.expand(embedding)))


def sinusoids(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sine and cosine positions of 'Attention is all you need', interleaved: [length, width]."""
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000.0) / width))
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
