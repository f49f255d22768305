"""The ECG encoder: front end, positions, class token, masking, post-norm transformer (method page, 'ECG encoder')."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cmelt.config.settings import EcgSettings
from cmelt.model.attention import Attention
from cmelt.model.front_end import FRONT_ENDS


class PositionalConvolution(nn.Module):
    """Positions as a wide grouped convolution over the tokens, weight-normalised over the kernel axis (wav2vec 2.0)."""

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        self.magnitude = nn.Parameter(torch.empty(1, 1, kernel))
        self.direction = nn.Parameter(torch.empty(width, width // groups, kernel))
        self.bias = nn.Parameter(torch.empty(width))

    def reset_parameters(self) -> None:
        """Draw the direction as wav2vec 2.0 does, and the magnitude such that the product equals the draw."""
        with torch.no_grad():
            nn.init.normal_(self.direction, std=math.sqrt(4 / (self.kernel * self.direction.shape[0])))
            self.magnitude.copy_(self._norm())
            nn.init.zeros_(self.bias)

    def _norm(self) -> Tensor:
        return self.direction.norm(dim=(0, 1), keepdim=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [B, P, D] → what to add to them, [B, P, D]."""
        weight = self.direction * (self.magnitude / self._norm())
        mixed = F.conv1d(tokens.transpose(1, 2), weight, self.bias, padding=self.kernel // 2, groups=self.groups)
        # An even kernel gives one output too many.
        return F.gelu(mixed[..., : tokens.shape[1]]).transpose(1, 2)


class Amplitude(nn.Module):
    """How large each lead is, as an addition to every token.

    The norms of a front end take the record's gain away (the strided one's all of it, the residual one's but for its shortcuts),
    and with it voltage criteria: hypertrophy, low voltage.
    """

    def __init__(self, leads: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(3 * leads, width)

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
        self.expand = nn.Linear(settings.width, settings.feed_forward)
        self.contract = nn.Linear(settings.feed_forward, settings.width)
        self.feed_forward_norm = nn.LayerNorm(settings.width)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, states: Tensor) -> Tensor:
        """[B, N, D] → [B, N, D]."""
        states = self.attention_norm(states + self.dropout(self.attention(states)))
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
        self.project = nn.Linear(settings.stem_channels[-1], settings.width)
        self.project_dropout = nn.Dropout(settings.dropout)
        self.amplitude = Amplitude(settings.leads, settings.width) if settings.amplitude else None
        self.positions = PositionalConvolution(settings.width, settings.position_kernel, settings.position_groups)
        self.class_token = nn.Parameter(torch.empty(settings.width))
        self.norm = nn.LayerNorm(settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = nn.ModuleList(TransformerLayer(settings) for _ in range(settings.layers))
        self.gradient_checkpointing = False

    def reset_parameters(self) -> None:
        """The class token starts uniform in [0, 1)."""
        with torch.no_grad():
            nn.init.uniform_(self.class_token)

    def forward(self, ecg: Tensor, kept: Tensor | None = None) -> Tensor:
        """Encode ecg [B, L, T] (millivolts).

        kept: [B, K] indices of the tokens that are not masked, or None to keep all P.
        Returns [B, 1 + K, D], the class token first.
        """
        tokens = self.tokenise(ecg, kept)  # [B, P, D]
        if kept is not None:
            tokens = tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[2]))  # [B, K, D]
        first = self.class_token.expand(tokens.shape[0], 1, -1)
        states = self.dropout(self.norm(torch.cat([first, tokens], dim=1)))
        for layer in self.layers:
            if self.gradient_checkpointing and self.training:
                states = checkpoint(layer, states, use_reentrant=False)
            else:
                states = layer(states)
        return states

    def tokenise(self, ecg: Tensor, kept: Tensor | None = None) -> Tensor:
        """ecg [B, L, T] → tokens with positions [B, P, D], blotting out masked ones where the settings say."""
        visible = None if kept is None else _visible(kept, self.settings.tokens_in(ecg.shape[2]))  # [B, P]
        if visible is not None and self.settings.masking == "signal":
            ecg = ecg * _per_sample(visible, self.settings.samples_per_token, ecg.shape[2])
        tokens = self.project(self.front_end_norm(self.front_end(ecg)))
        if self.amplitude is not None:
            tokens = tokens + self.amplitude(ecg)
        tokens = self.project_dropout(tokens)
        if visible is None or self.settings.masking == "after_position":
            return tokens + self.positions(tokens)
        # Masked tokens must not reach their neighbours through the positional convolution's 128 taps.
        tokens = tokens * visible[..., None]
        return tokens + self.positions(tokens)


def _visible(kept: Tensor, tokens: int) -> Tensor:
    """Indices of kept tokens [B, K] → True where a token is kept [B, P]."""
    mask = torch.zeros(kept.shape[0], tokens, dtype=torch.bool, device=kept.device)
    return mask.scatter(1, kept, True)


def _per_sample(visible: Tensor, samples_per_token: int, samples: int) -> Tensor:
    """Token visibility [B, P] → sample visibility [B, 1, T]; the uncovered rest at the end stays hidden."""
    mask = visible.repeat_interleave(samples_per_token, dim=1)
    return F.pad(mask, (0, samples - mask.shape[1]))[:, None]
