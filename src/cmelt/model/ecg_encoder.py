"""The ECG encoder: front end, positions, class token, masking, post-norm transformer (method page, 'ECG encoder')."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.config.settings import EcgSettings
from cmelt.model.attention import Attention
from cmelt.model.dropout import Dropout
from cmelt.model.front_end import FRONT_ENDS, StridedFrontEnd
from cmelt.model.linear import Linear
from cmelt.model.positions import PositionalConvolution
from cmelt.model.recompute import frugally


class Amplitude(nn.Module):
    """How large each lead is, as an addition to every token.

    The norms of a front end take the record's gain away (the strided one's all of it, the residual one's but for its shortcuts),
    and with it voltage criteria: hypertrophy, low voltage.
    """

    def __init__(self, leads: int, width: int) -> None:
        super().__init__()
        self.project = Linear(3 * leads, width)

    def forward(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] millivolts → [B, 1, D], from each lead's deviation, highest and lowest value."""
        sizes = torch.cat([ecg.std(2), ecg.amax(2), -ecg.amin(2)], dim=1).clamp(min=0)  # [B, 3L]
        return self.project(torch.log1p(sizes))[:, None]


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, each followed by addition and LayerNorm (post-norm)."""

    def __init__(self, settings: EcgSettings) -> None:
        super().__init__()
        self.attention = Attention(settings.width, settings.heads, settings.attention_dropout)
        self.attention_norm = nn.LayerNorm(settings.width)
        self.expand = Linear(settings.width, settings.feed_forward)
        self.contract = Linear(settings.feed_forward, settings.width)
        self.feed_forward_norm = nn.LayerNorm(settings.width)
        self.dropout = Dropout(settings.dropout)

    def forward(self, states: Tensor, wanted: int | None = None) -> Tensor:
        """[B, N, D] → [B, N, D], or of the first `wanted` states alone, which look at all of them."""
        own = states[:, :wanted]
        states = self.attention_norm(own + self.dropout(self.attention(own, states)))
        inner = self.contract(F.gelu(self.expand(states)))
        return self.feed_forward_norm(states + self.dropout(inner))


class EcgEncoder(nn.Module):
    """ECG → class token and P tokens; in pre-training only the kept tokens go through the transformer."""

    def __init__(self, settings: EcgSettings) -> None:
        super().__init__()
        self.settings = settings
        build = FRONT_ENDS[settings.stem]
        self.front_end = build(settings.leads, settings.stem_channels, settings.stem_kernel, settings.stem_windows)
        self.front_end_norm = nn.LayerNorm(settings.stem_channels[-1])
        self.project = Linear(settings.stem_channels[-1], settings.width)
        self.project_dropout = Dropout(settings.dropout)
        self.amplitude = Amplitude(settings.leads, settings.width) if settings.amplitude else None
        self.positions = PositionalConvolution(settings.width, settings.position_kernel, settings.position_groups)
        self.class_token = nn.Parameter(torch.empty(settings.width))
        self.norm = nn.LayerNorm(settings.width)
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(TransformerLayer(settings) for _ in range(settings.layers))
        self.gradient_checkpointing = False

    def reset_parameters(self) -> None:
        """The class token starts uniform in [0, 1)."""
        with torch.no_grad():
            nn.init.uniform_(self.class_token)

    def forward(self, ecg: Tensor, kept: Tensor | None = None, *, class_alone: bool = False) -> Tensor:
        """Encode ecg [B, L, T] (millivolts).

        kept: [B, K] indices of the tokens that are not masked, or None to keep all P.
        class_alone: the last layer computes nothing but the class token, and [B, 1, D] is returned.
        Returns [B, 1 + K, D], the class token first.
        """
        tokens = self.tokenise(ecg, kept)  # [B, K, D]
        first = self.class_token.expand(tokens.shape[0], 1, -1)
        states = self.dropout(self.norm(torch.cat([first, tokens], dim=1)))
        for number, layer in enumerate(self.layers, start=1):
            if class_alone and number == len(self.layers):
                return layer(states, 1)
            states = frugally(layer, states, everything=self.gradient_checkpointing)
        return states[:, :1] if class_alone else states

    def tokenise(self, ecg: Tensor, kept: Tensor | None = None) -> Tensor:
        """ecg [B, L, T] → the kept tokens with positions [B, K, D], masked ones blotted out where the settings say."""
        length = self.settings.tokens_in(ecg.shape[2])
        if kept is None or self.settings.masking == "after_position":
            tokens = self._with_positions(self._tokens(ecg, None), None, length)
            return tokens if kept is None else _chosen(tokens, kept)
        if self.settings.masking == "signal":
            ecg = ecg * _per_sample(_visible(kept, length), self.settings.samples_per_token, ecg.shape[2])
        # Masked tokens must not reach their neighbours through the positional convolution's 128 taps.
        return self._with_positions(self._tokens(ecg, kept), kept, length)

    def _tokens(self, ecg: Tensor, kept: Tensor | None) -> Tensor:
        """ecg [B, L, T] → tokens without positions: the kept ones [B, K, D], or all of them."""
        alone = kept is not None and isinstance(self.front_end, StridedFrontEnd) and self.front_end.separate
        tokens = self.front_end(ecg, kept) if alone else self.front_end(ecg)
        if kept is not None and not alone:
            tokens = _chosen(tokens, kept)
        tokens = self.project(self.front_end_norm(tokens))
        if self.amplitude is not None:
            tokens = tokens + self.amplitude(ecg)
        return self.project_dropout(tokens)

    def _with_positions(self, tokens: Tensor, places: Tensor | None, length: int) -> Tensor:
        return tokens + self.positions(tokens, places, length)


def _chosen(tokens: Tensor, places: Tensor) -> Tensor:
    """tokens [B, P, D] at places [B, K] → [B, K, D]."""
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))


def _visible(kept: Tensor, tokens: int) -> Tensor:
    """Indices of kept tokens [B, K] → True where a token is kept [B, P]."""
    mask = torch.zeros(kept.shape[0], tokens, dtype=torch.bool, device=kept.device)
    return mask.scatter(1, kept, True)


def _per_sample(visible: Tensor, samples_per_token: int, samples: int) -> Tensor:
    """Token visibility [B, P] → sample visibility [B, 1, T]; the uncovered rest at the end stays hidden."""
    mask = visible.repeat_interleave(samples_per_token, dim=1)
    return F.pad(mask, (0, samples - mask.shape[1]))[:, None]
