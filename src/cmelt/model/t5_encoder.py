"""T5's encoder in plain PyTorch, for training and inference: faster than transformers', and without its two seconds of import.

Tensors carry transformers' names, so that one file of weights serves both; tests hold the two together.
Source: Raffel et al., "Exploring the limits of transfer learning …" (JMLR 2020); the gated form is T5 v1.1's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.errors import ConfigError
from cmelt.model.attention import attend, heads_of
from cmelt.model.dropout import Dropout
from cmelt.model.linear import Linear
from cmelt.model.packing import Packing
from cmelt.model.recompute import frugally

#: Keys of a T5 configuration that change nothing in an encoder, or only say `feed_forward_proj` in other words.
_IDLE = {"model_type", "tie_word_embeddings", "num_decoder_layers", "use_cache", "classifier_dropout", "dense_act_fn",
         "is_gated_act", "pad_token_id", "eos_token_id", "decoder_start_token_id", "scale_decoder_outputs"}  # fmt: skip


@dataclass(frozen=True)
class T5Sizes:
    """Sizes of a T5 encoder, its dropout and the scale of its first weights, with transformers' defaults."""

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_heads: int = 8
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6
    feed_forward_proj: str = "relu"
    dropout_rate: float = 0.1
    initializer_factor: float = 1.0

    @classmethod
    def of(cls, architecture: dict[str, Any]) -> T5Sizes:
        """The sizes that a recipe's `model.text.architecture` states.

        Raises ConfigError for another model type and for keys that this encoder does not know.
        """
        sizes = {key: value for key, value in architecture.items() if key not in _IDLE}
        unknown = sizes.keys() - cls.__dataclass_fields__.keys()
        if architecture.get("model_type") != "t5" or unknown or sizes.get("feed_forward_proj", "relu") not in _ACTIVATIONS:
            raise ConfigError("model.text.architecture", "is not a plain T5's", "transformers' own encoder computes it")
        return cls(**sizes)


class States(NamedTuple):
    """What the encoder returns, named as transformers names it; [B, S, D]."""

    last_hidden_state: Tensor


class T5Encoder(nn.Module):
    """Word pieces → states: pre-norm layers that share one table of relative positions."""

    def __init__(self, sizes: T5Sizes) -> None:
        super().__init__()
        self.shared = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.encoder = _Stack(sizes)
        self.gradient_checkpointing = False

    def reset_parameters(self) -> None:
        """Draw the weights as T5 does: the scores are not scaled, the queries' weights are."""
        sizes = self.encoder.sizes
        nn.init.normal_(self.shared.weight, std=sizes.initializer_factor)
        inner = sizes.num_heads * sizes.d_kv
        spread = {"q": (sizes.d_model * sizes.d_kv) ** -0.5, "o": inner**-0.5, "wo": sizes.d_ff**-0.5}
        for name, parameter in self.encoder.named_parameters():
            if name.endswith("norm.weight"):
                nn.init.constant_(parameter, sizes.initializer_factor)
            else:
                of = name.split(".")[-2]
                nn.init.normal_(parameter, std=sizes.initializer_factor * spread.get(of, sizes.d_model**-0.5))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> States:
        """input_ids [B, S]; attention_mask [B, S], 1 at real pieces."""
        packing = Packing.of(attention_mask.bool())
        return States(self.encoder(self.shared(packing.pack(input_ids)), packing, self.gradient_checkpointing))


class _Stack(nn.Module):
    def __init__(self, sizes: T5Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.block = nn.ModuleList(_Block(sizes, has_positions=i == 0) for i in range(sizes.num_layers))
        self.final_layer_norm = _Norm(sizes)
        self.dropout = Dropout(sizes.dropout_rate)

    def forward(self, states: Tensor, packing: Packing, recompute_everything: bool) -> Tensor:
        """states [T or B, S, D] → [B, S, D]."""
        table = self.get_submodule("block.0.layer.0.SelfAttention.relative_attention_bias")
        buckets = position_buckets(packing.mask.shape[1], self.sizes, states.device)
        # No score reaches padding, so a text's states do not depend on its neighbours in the batch.
        bias = table(buckets).permute(2, 0, 1)[None].masked_fill(~packing.mask[:, None, None, :], -math.inf)  # [B, heads, S, S]
        states = self.dropout(states)
        for block in self.block:
            states = frugally(block, states, bias, packing, everything=recompute_everything)
        return packing.spread(self.dropout(self.final_layer_norm(states)))


class _Block(nn.Module):
    def __init__(self, sizes: T5Sizes, has_positions: bool) -> None:
        super().__init__()
        self.layer = nn.ModuleList([_SelfAttentionLayer(sizes, has_positions), _FeedForwardLayer(sizes)])

    def forward(self, states: Tensor, bias: Tensor, packing: Packing) -> Tensor:
        return self.layer[1](self.layer[0](states, bias, packing))


class _SelfAttentionLayer(nn.Module):
    def __init__(self, sizes: T5Sizes, has_positions: bool) -> None:
        super().__init__()
        self.SelfAttention = _Attention(sizes, has_positions)
        self.layer_norm = _Norm(sizes)
        self.dropout = Dropout(sizes.dropout_rate)

    def forward(self, states: Tensor, bias: Tensor, packing: Packing) -> Tensor:
        return states + self.dropout(self.SelfAttention(self.layer_norm(states), bias, packing))


class _Attention(nn.Module):
    def __init__(self, sizes: T5Sizes, has_positions: bool) -> None:
        super().__init__()
        inner = sizes.num_heads * sizes.d_kv
        self.heads, self.dropout = sizes.num_heads, sizes.dropout_rate
        self.q, self.k, self.v = (Linear(sizes.d_model, inner, bias=False) for _ in range(3))
        self.o = Linear(inner, sizes.d_model, bias=False)
        if has_positions:
            self.relative_attention_bias = nn.Embedding(sizes.relative_attention_num_buckets, sizes.num_heads)

    def forward(self, states: Tensor, bias: Tensor, packing: Packing) -> Tensor:
        query, key, value = (heads_of(packing.spread(part(states)), self.heads) for part in (self.q, self.k, self.v))
        # T5 does not scale its scores: the scale is in how the weights were drawn.
        attended = attend(query, key, value, bias, dropout=self.dropout if self.training else 0.0, scale=1.0)
        return self.o(packing.pack(attended.transpose(1, 2).flatten(2)))


class _FeedForwardLayer(nn.Module):
    def __init__(self, sizes: T5Sizes) -> None:
        super().__init__()
        kind = _Gated if sizes.feed_forward_proj.startswith("gated-") else _Plain
        self.DenseReluDense = kind(sizes)
        self.layer_norm = _Norm(sizes)
        self.dropout = Dropout(sizes.dropout_rate)

    def forward(self, states: Tensor) -> Tensor:
        return states + self.dropout(self.DenseReluDense(self.layer_norm(states)))


class _Gated(nn.Module):
    def __init__(self, sizes: T5Sizes) -> None:
        super().__init__()
        self.wi_0, self.wi_1 = (Linear(sizes.d_model, sizes.d_ff, bias=False) for _ in range(2))
        self.wo = Linear(sizes.d_ff, sizes.d_model, bias=False)
        self.activation = _ACTIVATIONS[sizes.feed_forward_proj]
        self.dropout = Dropout(sizes.dropout_rate)

    def forward(self, states: Tensor) -> Tensor:
        return self.wo(self.dropout(self.activation(self.wi_0(states)) * self.wi_1(states)))


class _Plain(nn.Module):
    def __init__(self, sizes: T5Sizes) -> None:
        super().__init__()
        self.wi = Linear(sizes.d_model, sizes.d_ff, bias=False)
        self.wo = Linear(sizes.d_ff, sizes.d_model, bias=False)
        self.activation = _ACTIVATIONS[sizes.feed_forward_proj]
        self.dropout = Dropout(sizes.dropout_rate)

    def forward(self, states: Tensor) -> Tensor:
        return self.wo(self.dropout(self.activation(self.wi(states))))


class _Norm(nn.Module):
    """Scales by the root mean square alone: no mean taken off, no bias."""

    def __init__(self, sizes: T5Sizes) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(sizes.d_model))
        self.epsilon = sizes.layer_norm_epsilon

    def forward(self, states: Tensor) -> Tensor:
        return self.weight * (states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + self.epsilon))


def position_buckets(length: int, sizes: T5Sizes, device: torch.device | None = None) -> Tensor:
    """Which row of the table of relative positions counts between places i (row) and j (column), [length, length].

    Half of the rows are for what lies before, half for what lies behind; in each, the first half for single distances, the
    rest for ever wider ranges of them up to the greatest distance, which all greater ones share.
    """
    place = torch.arange(length, device=device)
    distance = place[None, :] - place[:, None]
    side = sizes.relative_attention_num_buckets // 2
    single = side // 2
    widening = math.log(sizes.relative_attention_max_distance / single)
    ranged = single + (torch.log(distance.abs().clamp(min=1).float() / single) / widening * (side - single)).long()
    bucket = torch.where(distance.abs() < single, distance.abs(), ranged.clamp(max=side - 1))
    return bucket + side * (distance > 0)


def _tanh_gelu(states: Tensor) -> Tensor:
    return F.gelu(states, approximate="tanh")


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gated-gelu": _tanh_gelu, "gated-silu": F.silu}
