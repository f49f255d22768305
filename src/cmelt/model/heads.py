"""Heads: words (MLM), samples (MEM) and match (ETM) on the fused streams, two views of an ECG on the encoder alone."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.config.settings import DecoderSettings
from cmelt.model.attention import Attention


class WordHead(nn.Module):
    """Masked language modelling: dense → GELU → LayerNorm → linear to the vocabulary, with a bias of its own."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.decoder = nn.Linear(width, vocabulary, bias=True)

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
        self.expand = nn.Linear(settings.width, 4 * settings.width)
        self.contract = nn.Linear(4 * settings.width, settings.width)

    def forward(self, states: Tensor) -> Tensor:
        """[B, N, C] → [B, N, C]."""
        states = states + self.attention(self.attention_norm(states))
        inner = self.expand(self.feed_forward_norm(states))
        return states + self.contract(inner * torch.sigmoid(1.702 * inner))


class EcgDecoder(nn.Module):
    """Masked ECG modelling: from the kept tokens on the way through fusion to every token's samples."""

    positions: Tensor | None

    def __init__(self, width: int, settings: DecoderSettings, samples_per_token: int, leads: int) -> None:
        super().__init__()
        self.embed = nn.Linear(width, settings.width)
        self.mask_token = nn.Parameter(torch.empty(settings.width))
        # A table that came with imported weights is kept as it is; None where positions are computed.
        rows = settings.position_rows
        self.register_buffer("positions", torch.empty(rows, settings.width) if rows else None)
        self.layers = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width)
        self.predict = nn.Linear(settings.width, samples_per_token * leads)

    def reset_parameters(self) -> None:
        """The mask token starts small, as every embedding."""
        with torch.no_grad():
            nn.init.normal_(self.mask_token, std=0.02)
            if self.positions is not None:
                self.positions.copy_(sinusoids(*self.positions.shape))

    def forward(self, states: Tensor, kept: Tensor, tokens: int) -> Tensor:
        """states [B, 1 + K, D] (class token first), kept [B, K] → predicted samples [B, P, samples × leads]."""
        states = self.embed(states)
        filled = self.mask_token.to(states.dtype).expand(states.shape[0], tokens, -1)
        places = kept[..., None].expand(-1, -1, states.shape[2])
        states = torch.cat([states[:, :1], filled.scatter(1, places, states[:, 1:])], dim=1)  # [B, 1 + P, C]
        states = states + self._positions(states).to(states.dtype)
        for layer in self.layers:
            states = layer(states)
        return self.predict(self.norm(states))[:, 1:]

    def _positions(self, states: Tensor) -> Tensor:
        """[1 + P, C] for states [B, 1 + P, C]."""
        if self.positions is None:
            return sinusoids(states.shape[1], states.shape[2], states.device)
        return self.positions[: states.shape[1]]


class DropoutViews(nn.Module):
    """Two views of an ECG from one latent: a linear map and a dropout mask each (MERL, arXiv 2403.06659)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.one = nn.Linear(width, width, bias=False)
        self.other = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D] → two views [B, D]; the masks are independent."""
        return self.dropout(self.one(latent)), self.dropout(self.other(latent))


class ViewProjection(nn.Module):
    """SimCLR's projection (arXiv 2002.05709): the loss compares what it makes of embeddings, and is not compared itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, width)
        self.contract = nn.Linear(width, width)

    def forward(self, embedding: Tensor) -> Tensor:
        """[B, D] → [B, D]."""
        return self.contract(F.relu(self.expand(embedding)))


def sinusoids(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sine and cosine positions of 'Attention is all you need', interleaved: [length, width]."""
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000.0) / width))
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
