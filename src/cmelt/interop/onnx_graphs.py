"""The two towers as modules whose graphs hold plain operators alone: what PyTorch computes cleverly is said simply here.

Weights are those of the towers themselves, not copies; the towers stay as they are.
"""

from __future__ import annotations

import copy
import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.model.packing import Packing
from cmelt.model.positions import PositionalConvolution
from cmelt.model.t5_encoder import T5Encoder, T5Sizes, position_buckets
from cmelt.model.towers import Towers

_Module = TypeVar("_Module", bound=nn.Module)


class EcgGraph(nn.Module):
    """ecg [B, L, T] millivolts → unit embeddings [B, D]."""

    def __init__(self, towers: Towers) -> None:
        super().__init__()
        encoder = towers.ecg_encoder
        self.encoder = _with(encoder, positions=PlainPositions(encoder.positions))
        self.projection, self.pooler = towers.ecg_projection, towers.ecg_pooler

    def forward(self, ecg: Tensor) -> Tensor:
        states = self.encoder(ecg, class_alone=self.pooler.pooling == "first")
        return F.normalize(self.pooler(self.projection(states)), dim=1)


class TextGraph(nn.Module):
    """input_ids, attention_mask [B, S] int64, 1 at real pieces → unit embeddings [B, D]."""

    def __init__(self, towers: Towers) -> None:
        super().__init__()
        encoder = towers.text_encoder
        if isinstance(encoder, T5Encoder):
            encoder = _with(encoder, encoder=PlainT5Stack(encoder.encoder))
        self.encoder, self.projection, self.pooler = encoder, towers.text_projection, towers.text_pooler

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return F.normalize(self.pooler(self.projection(states), attention_mask.bool()), dim=1)


class PlainPositions(nn.Module):
    """`PositionalConvolution` of all tokens as the convolution that it is, whatever their number: no spectra, no cases."""

    def __init__(self, spectral: PositionalConvolution) -> None:
        super().__init__()
        self.groups, self.before, self.behind = spectral.groups, spectral.kernel // 2, (spectral.kernel - 1) // 2
        with torch.no_grad():
            length = spectral.direction.norm(dim=(0, 1), keepdim=True)
            self.register_buffer("weight", spectral.direction * (spectral.magnitude / length))  # [D, D / groups, kernel]
        self.weight: Tensor
        self.bias = spectral.bias

    def forward(self, tokens: Tensor, places: None, length: int) -> Tensor:  # noqa: ARG002 - the signature of what it replaces
        """What to add to tokens [B, P, D]."""
        padded = F.pad(tokens.transpose(1, 2), (self.before, self.behind))
        return F.gelu(F.conv1d(padded, self.weight, self.bias, groups=self.groups)).transpose(1, 2)


class PlainT5Stack(nn.Module):
    """T5's layers with the bias of every relative position in a table.

    The buckets of positions come from logarithms rounded down, and fall between two whole numbers at some distances: another
    library's logarithm, a last digit away, would look up another row.
    """

    def __init__(self, stack: nn.Module) -> None:
        super().__init__()
        self.block, self.final_layer_norm = stack.get_submodule("block"), stack.get_submodule("final_layer_norm")
        bias = stack.get_submodule("block.0.layer.0.SelfAttention.relative_attention_bias")
        table, self.furthest = _bias_by_distance(bias.get_parameter("weight"), stack.sizes)  # type: ignore[arg-type]
        self.register_buffer("table", table)  # [2 · furthest + 1, heads]
        self.table: Tensor

    def forward(self, states: Tensor, packing: Packing, recompute_everything: bool) -> Tensor:  # noqa: ARG002 - as in T5's own
        """states [T or B, S, D] → [B, S, D]."""
        place = torch.arange(packing.mask.shape[1], device=states.device)
        distance = (place[None, :] - place[:, None]).clamp(-self.furthest, self.furthest)
        bias = self.table[distance + self.furthest].permute(2, 0, 1)[None]  # [1, heads, S, S]
        bias = bias.masked_fill(~packing.mask[:, None, None, :], -math.inf)
        for block in self.get_submodule("block").children():
            states = block(states, bias, packing)
        return packing.spread(self.get_submodule("final_layer_norm")(states))


def _bias_by_distance(table: Tensor, sizes: T5Sizes) -> tuple[Tensor, int]:
    """T5's table [buckets, heads] by distance from −furthest to furthest [2 · furthest + 1, heads], and the furthest.

    From the greatest distance on all share one bucket.
    """
    furthest = sizes.relative_attention_max_distance
    buckets = position_buckets(furthest + 1, sizes, table.device)  # of places i (row) and j (column)
    return table.detach()[torch.cat([buckets[:, 0].flip(0), buckets[0, 1:]])], furthest


def _with(module: _Module, **parts: nn.Module) -> _Module:
    """The same module, weights shared, with other parts in these places."""
    other = copy.copy(module)
    other.__dict__["_modules"] = {**module._modules, **parts}
    return other
