"""The authors' release as the method page describes it, in float64 and plain steps, on tensors under the release's own names.

It is the slow truth that imported models are held against at any size; that it is the release's is held by the numbers in
`../shared/parity`. Checkpoints of such tensors, drawn at random, are made here too.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cmelt.interop.dbeta_sizes import DbetaSizes, read_sizes
from cmelt.interop.dbeta_tensors import layout

#: Small, and each unlike the example's in another way.
VARIANTS: dict[str, dict[str, Any]] = {
    "deeper, odd kernel, every width another": {
        "model": {
            "encoder_layers": 3, "encoder_embed_dim": 24, "encoder_ffn_embed_dim": 20, "encoder_attention_heads": 6,
            "hidden_dim": 20, "num_layers": 3, "num_top_layer": 3, "num_heads": 5, "mem_layer": 2,
            "mem_decoder_hidden_dim": 12, "mem_decoder_num_layers": 3, "mem_decoder_num_heads": 2,
            "conv_feature_layers": "[(8, 2, 2)] * 2 + [(12, 2, 2)] * 2", "conv_pos": 7, "conv_pos_groups": 3, "vocab_size": 70,
        },
        "t5": {"d_model": 24, "d_kv": 5, "d_ff": 30, "num_layers": 3, "num_heads": 3, "vocab_size": 70},
    },
    "no projection, 32 samples a token, a plain T5 with few buckets": {
        "model": {
            "encoder_layers": 1, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 40, "encoder_attention_heads": 2,
            "hidden_dim": 24, "num_layers": 1, "num_top_layer": 1, "num_heads": 2, "mem_layer": 0,
            "mem_decoder_hidden_dim": 18, "mem_decoder_num_layers": 1, "mem_decoder_num_heads": 3,
            "conv_feature_layers": [[8, 2, 2]] * 4 + [[16, 2, 2]], "conv_pos": 64, "conv_pos_groups": 4, "vocab_size": 400,
        },
        "t5": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 5, "vocab_size": 400,
               "feed_forward_proj": "relu", "relative_attention_num_buckets": 16, "relative_attention_max_distance": 20},
    },
    "other kernels and strides, the decoder behind the last layer": {
        "model": {
            "encoder_layers": 2, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2,
            "hidden_dim": 16, "num_layers": 2, "num_top_layer": 2, "num_heads": 4, "mem_layer": -1,
            "mem_decoder_hidden_dim": 8, "mem_decoder_num_layers": 2, "mem_decoder_num_heads": 2,
            "conv_feature_layers": "[(8, 10, 5)] + [(8, 3, 2)] * 2", "conv_pos": 16, "conv_pos_groups": 4, "vocab_size": 60,
        },
        "t5": {"d_model": 16, "d_kv": 4, "d_ff": 20, "num_layers": 2, "num_heads": 2, "vocab_size": 60},
    },
}  # fmt: skip


def random_state(sizes: DbetaSizes, seed: int = 0) -> dict[str, Tensor]:
    """Tensors of a checkpoint of these sizes, none of them as in a fresh model; the two word embeddings are one."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for entry in layout(sizes):
        drawn = torch.randn(entry.shape, generator=generator)
        scale = 1.0 / math.sqrt(entry.shape[-1]) if len(entry.shape) == 2 else 0.3
        state[entry.name] = scale * drawn + float(_is_norm(entry.name))
    state["language_encoder.encoder.embed_tokens.weight"] = state["language_encoder.shared.weight"]
    return state


#: The variant that has room for a tokenizer of ours.
WITH_WORDS = VARIANTS["no projection, 32 samples a token, a plain T5 with few buckets"]


def write_random(folder: Path, config: dict[str, Any], seed: int = 0) -> tuple[Path, dict[str, Tensor]]:
    """A checkpoint file of such tensors, and the tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    state = random_state(read_sizes(config), seed)
    torch.save({"model": state}, folder / "sample.pt")
    return folder / "sample.pt", state


def _is_norm(name: str) -> bool:
    parts = ("norm.weight", "LayerNorm.weight", "ln_1.weight", "ln_2.weight", "conv_layers.0.2.weight", "weight_g")
    return name.endswith(parts)


class Release:
    """The release's computations; every method is a paragraph of the method page."""

    def __init__(self, state: dict[str, Tensor], sizes: DbetaSizes) -> None:
        self.state = {name: tensor.double() for name, tensor in state.items()}
        self.sizes = sizes

    def embed_ecg(self, ecg: Tensor) -> Tensor:
        """[B, 12, 5000] → [B, D]."""
        return self.pooled("unimodal_ecg_pooler", self.encode_ecg(ecg))

    def embed_text(self, tokens: Tensor) -> Tensor:
        """One text [1, S], or several without a mask between their pieces and their padding → [B, D]."""
        return self.pooled("unimodal_language_pooler", self.encode_text(tokens))

    def __call__(self, ecg: Tensor, tokens: Tensor, mask: Tensor, kept: Tensor | None) -> dict[str, Tensor]:
        """Its outputs by name. kept: [B, K] tokens that are not masked; None for all."""
        sizes = self.sizes
        y, x = self.encode_ecg(ecg, kept), self.encode_text(tokens)
        out = {
            "uni_modal_ecg_feats": self.pooled("unimodal_ecg_pooler", y),
            "uni_modal_text_feats": self.pooled("unimodal_language_pooler", x),
        }
        kinds = self.state["modality_type_embeddings.weight"]
        x, y = x + kinds[0], y + kinds[1]
        midway = None
        for i in range(sizes.num_top_layer):
            if i == sizes.mem_layer:
                midway = x, y
            x, y = (
                self.fusion_layer(f"multi_modal_language_layers.{i}", x, mask, y, None),
                self.fusion_layer(f"multi_modal_ecg_layers.{i}", y, None, x, mask),
            )
        pair = torch.cat([self.pooled("multi_modal_language_pooler", x), self.pooled("multi_modal_ecg_pooler", y)], dim=1)
        out |= {"multi_modal_text_feats": x, "multi_modal_ecg_feats": y, "multi_modal_cls_feats": pair}
        out["etm_logits"] = self.linear("itm_head.fc", pair)
        if kept is None:
            return out
        if midway is not None:
            out[f"multi_modal_text_feats_{sizes.mem_layer}"], out[f"multi_modal_ecg_feats_{sizes.mem_layer}"] = midway
        out["mlm_logits"] = self.words(x)
        out["mem_logits"] = self.samples(y if midway is None else midway[1], kept)
        return out

    def encode_ecg(self, ecg: Tensor, kept: Tensor | None = None) -> Tensor:
        """Front end, projection, positions over all tokens, class token, masking, post-norm transformer, projection."""
        sizes, x = self.sizes, ecg.double()
        for i, (channels, _, stride) in enumerate(sizes.conv_feature_layers):
            name = f"ecg_encoder.feature_extractor.conv_layers.{i}"
            x = F.conv1d(x, self.state[f"{name}.0.weight"], stride=stride)
            if i == 0:
                x = F.group_norm(x, channels, self.state[f"{name}.2.weight"], self.state[f"{name}.2.bias"])
            x = F.gelu(x)
        x = self.norm("ecg_encoder.layer_norm", x.transpose(1, 2))
        if "ecg_encoder.post_extract_proj.weight" in self.state:
            x = self.linear("ecg_encoder.post_extract_proj", x)
        x = x + self.positions(x)
        if kept is not None:
            x = torch.stack([row[places] for row, places in zip(x, kept, strict=True)])
        x = torch.cat([self.state["class_embedding"].expand(len(x), 1, -1), x], dim=1)
        x = self.norm("ecg_encoder.encoder.layer_norm", x)
        for i in range(sizes.encoder_layers):
            name = f"ecg_encoder.encoder.layers.{i}"
            query, key, value = (self.linear(f"{name}.self_attn.{part}_proj", x) for part in "qkv")
            mixed = attended(query, key, value, sizes.encoder_attention_heads)
            x = self.norm(f"{name}.self_attn_layer_norm", x + self.linear(f"{name}.self_attn.out_proj", mixed))
            inner = self.linear(f"{name}.fc2", F.gelu(self.linear(f"{name}.fc1", x)))
            x = self.norm(f"{name}.final_layer_norm", x + inner)
        return self.linear("multi_modal_ecg_proj", x)

    def positions(self, x: Tensor) -> Tensor:
        """A grouped convolution, its weight normalised over all but the kernel axis; an even kernel's last output is dropped."""
        name, kernel = "ecg_encoder.conv_pos.pos_conv.0", self.sizes.conv_pos
        direction = self.state[f"{name}.weight_v"]
        length = direction.square().sum((0, 1), keepdim=True).sqrt()
        weight = self.state[f"{name}.weight_g"] * direction / length
        groups, bias = self.sizes.conv_pos_groups, self.state[f"{name}.bias"]
        mixed = F.conv1d(x.transpose(1, 2), weight, bias, padding=kernel // 2, groups=groups)
        return F.gelu(mixed[..., : x.shape[1]]).transpose(1, 2)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """T5's encoder, without any attention mask, and the projection."""
        text, name = self.sizes.t5, "language_encoder.encoder"
        x = self.state["language_encoder.shared.weight"][tokens]
        table = self.state[f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        rows = [[bucket(j - i, text.relative_attention_num_buckets, text.relative_attention_max_distance)
                 for j in range(tokens.shape[1])] for i in range(tokens.shape[1])]  # fmt: skip
        bias = table[torch.tensor(rows)].permute(2, 0, 1)  # [heads, S, S]
        for i in range(text.num_layers):
            block = f"{name}.block.{i}.layer"
            normal = self.root_norm(f"{block}.0.layer_norm", x)
            query, key, value = (self.linear(f"{block}.0.SelfAttention.{part}", normal) for part in "qkv")
            x = x + self.linear(f"{block}.0.SelfAttention.o", attended(query, key, value, text.num_heads, bias, scale=1.0))
            normal, dense = self.root_norm(f"{block}.1.layer_norm", x), f"{block}.1.DenseReluDense"
            if text.feed_forward_proj == "gated-gelu":
                gate = F.gelu(self.linear(f"{dense}.wi_0", normal), approximate="tanh")
                inner = gate * self.linear(f"{dense}.wi_1", normal)
            else:
                inner = F.relu(self.linear(f"{dense}.wi", normal))
            x = x + self.linear(f"{dense}.wo", inner)
        return self.linear("multi_modal_language_proj", self.root_norm(f"{name}.final_layer_norm", x))

    def fusion_layer(self, name: str, x: Tensor, mask: Tensor | None, other: Tensor, other_mask: Tensor | None) -> Tensor:
        """Self-attention, cross-attention, feed-forward, each followed by addition and LayerNorm; padding is not looked at."""
        for block, context, seen in (("attention", x, mask), ("crossattention", other, other_mask)):
            query = self.linear(f"{name}.{block}.self.query", x)
            key, value = (self.linear(f"{name}.{block}.self.{part}", context) for part in ("key", "value"))
            bias = None if seen is None else torch.where(seen.bool(), 0.0, -math.inf)[:, None, None, :].double()
            mixed = self.linear(f"{name}.{block}.output.dense", attended(query, key, value, self.sizes.num_heads, bias))
            x = self.norm(f"{name}.{block}.output.LayerNorm", x + mixed, 1e-12)
        inner = self.linear(f"{name}.output.dense", F.gelu(self.linear(f"{name}.intermediate.dense", x)))
        return self.norm(f"{name}.output.LayerNorm", x + inner, 1e-12)

    def words(self, x: Tensor) -> Tensor:
        """dense → GELU → LayerNorm → linear to the vocabulary."""
        inner = self.norm("mlm_head.transform.LayerNorm", F.gelu(self.linear("mlm_head.transform.dense", x)), 1e-12)
        return inner @ self.state["mlm_head.decoder.weight"].T + self.state["mlm_head.bias"]

    def samples(self, y: Tensor, kept: Tensor) -> Tensor:
        """Mask tokens fill the gaps, positions are added, pre-norm layers with quick-GELU, a linear map; the class token goes."""
        head, heads = "mim_head", self.sizes.mem_decoder_num_heads
        y = self.linear(f"{head}.decoder_embed", y)
        filled = self.state[f"{head}.mask_token"][0].expand(len(y), self.sizes.tokens, -1).clone()
        for row, places, states in zip(filled, kept, y[:, 1:], strict=True):
            row[places] = states
        y = torch.cat([y[:, :1], filled], dim=1)
        y = y + self.state[f"{head}.decoder_pos_embed.pe"][:, : y.shape[1]]
        for i in range(self.sizes.mem_decoder_num_layers):
            name = f"{head}.decoder.resblocks.{i}"
            normal = self.norm(f"{name}.ln_1", y)
            stacked = normal @ self.state[f"{name}.attn.in_proj_weight"].T + self.state[f"{name}.attn.in_proj_bias"]
            y = y + self.linear(f"{name}.attn.out_proj", attended(*stacked.chunk(3, dim=2), heads))
            inner = self.linear(f"{name}.mlp.c_fc", self.norm(f"{name}.ln_2", y))
            y = y + self.linear(f"{name}.mlp.c_proj", inner * torch.sigmoid(1.702 * inner))
        return self.linear(f"{head}.decoder_pred", self.norm(f"{head}.decoder_norm", y))[:, 1:]

    def pooled(self, name: str, x: Tensor) -> Tensor:
        """tanh(W · first state + b)."""
        return torch.tanh(self.linear(f"{name}.dense", x[:, 0]))

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def norm(self, name: str, x: Tensor, epsilon: float = 1e-5) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], epsilon)

    def root_norm(self, name: str, x: Tensor) -> Tensor:
        return self.state[f"{name}.weight"] * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def attended(
    query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(scale · Q Kᵀ + bias) V, head by head; [B, N, D], [B, M, D] → [B, N, D]."""
    query, key, value = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return (weights @ value).transpose(1, 2).flatten(2)


def bucket(distance: int, buckets: int, furthest: int) -> int:
    """T5's row of relative positions: half of them ahead; in each half single distances, then ever wider ranges."""
    half = buckets // 2
    single, away = half // 2, abs(distance)
    if away >= single:
        away = min(half - 1, single + int(math.log(away / single) / math.log(furthest / single) * (half - single)))
    return away + (half if distance > 0 else 0)
