"""The tensors of the authors' checkpoint, in its order: name, shape, and where each belongs in a model of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cmelt.errors import CheckpointError
from cmelt.interop.dbeta_sizes import LEAD_COUNT, POSITION_ROWS, DbetaSizes
from cmelt.model.t5_encoder import T5Sizes

#: A vector of a way of masking that the release does not use; checkpoints may have it, and its own loading drops it.
UNUSED = "ecg_encoder.mask_emb"
#: Ours where the release has no layer between front end and transformer (`DbetaSizes.projected`): it is the identity then.
PROJECTION = "ecg_encoder.project"
WORDS = "text_encoder.shared.weight"


@dataclass(frozen=True)
class Entry:
    """One tensor of theirs.

    Attributes:
        ours: the tensor of a model of ours with the same values, in whatever shape; several where theirs holds ours one below the
            other.
    """

    name: str
    shape: tuple[int, ...]
    ours: tuple[str, ...]


def layout(sizes: DbetaSizes) -> list[Entry]:
    """Every tensor of a checkpoint of these sizes. Two of its names, T5's word embeddings, mean one tensor."""
    return [
        Entry("class_embedding", (sizes.encoder_embed_dim,), ("ecg_encoder.class_token",)),
        *_ecg_transformer(sizes),
        *_ecg_front(sizes),
        *_text_encoder(sizes.t5),
        *_fusion(sizes),
        *_word_head(sizes),
        *_ecg_decoder(sizes),
        *_linear("itm_head.fc", "match_head", 2, 2 * sizes.hidden_dim),
    ]


def ours_of(state: Mapping[str, Tensor], entries: list[Entry], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """A checkpoint's tensors under our names, in our `shapes`; its tensors fit the layout (`misfits` has been asked)."""
    found: dict[str, Tensor] = {}
    for entry in entries:
        for name, part in zip(entry.ours, state[entry.name].chunk(len(entry.ours)), strict=True):
            found.setdefault(name, part.reshape(shapes[name]))
    return found


def theirs_of(state: Mapping[str, Tensor], entries: list[Entry]) -> dict[str, Tensor]:
    """Our tensors under the checkpoint's names, in its order and shapes; what is one tensor stays one."""
    shared = {WORDS: state[WORDS].detach()}
    found = {}
    for entry in entries:
        parts = [shared.get(name, state[name].detach()) for name in entry.ours]
        found[entry.name] = (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(entry.shape)
    return found


def check_fit(state: Mapping[str, Tensor], entries: list[Entry], where: str) -> None:
    """Refuse tensors that are not the layout's. Raises CheckpointError that names every one that is missing, unknown, of another
    shape or type, or not finite."""
    faults = list(misfits(state, entries))
    if not faults:
        words = [state[entry.name] for entry in entries if entry.ours == (WORDS,)]
        if not all(torch.equal(words[0], other) for other in words[1:]):
            names = " and ".join(entry.name for entry in entries if entry.ours == (WORDS,))
            faults = [f"{names} differ: they are one tensor"]
    if faults:
        remedy = "give the sizes of this checkpoint as its configuration, or the whole, unaltered checkpoint"
        count = f"{len(faults)} of its tensors do not fit" if len(faults) > 1 else "one of its tensors does not fit"
        raise CheckpointError(where, f"{count}:\n  " + "\n  ".join(faults) + "\n", remedy)


def misfits(state: Mapping[str, Tensor], entries: list[Entry]) -> Iterator[str]:
    """What is wrong, a line a tensor: first the layout's tensors in its order, then those that it does not know."""
    for entry in entries:
        if entry.name not in state:
            yield f"missing: {entry.name} {list(entry.shape)}"
            continue
        tensor = state[entry.name]
        if tuple(tensor.shape) != entry.shape:
            yield f"another shape: {entry.name} is {list(tensor.shape)}, the sizes say {list(entry.shape)}"
        elif tensor.dtype != torch.float32:
            yield f"another type: {entry.name} is {str(tensor.dtype).removeprefix('torch.')}, the release's are float32"
        elif not bool(torch.isfinite(tensor).all()):
            yield f"not finite: {entry.name}"
    known = {entry.name for entry in entries} | {UNUSED}
    yield from (f"unknown: {name} {list(tensor.shape)}" for name, tensor in state.items() if name not in known)


def _linear(theirs: str, ours: str, out: int, into: int) -> Iterator[Entry]:
    yield Entry(f"{theirs}.weight", (out, into), (f"{ours}.weight",))
    yield Entry(f"{theirs}.bias", (out,), (f"{ours}.bias",))


def _norm(theirs: str, ours: str, width: int) -> Iterator[Entry]:
    yield Entry(f"{theirs}.weight", (width,), (f"{ours}.weight",))
    yield Entry(f"{theirs}.bias", (width,), (f"{ours}.bias",))


def _ecg_transformer(sizes: DbetaSizes) -> Iterator[Entry]:
    width, inner = sizes.encoder_embed_dim, sizes.encoder_ffn_embed_dim
    for i in range(sizes.encoder_layers):
        theirs, ours = f"ecg_encoder.encoder.layers.{i}", f"ecg_encoder.layers.{i}"
        for part, name in (("k", "key"), ("v", "value"), ("q", "query"), ("out", "output")):
            yield from _linear(f"{theirs}.self_attn.{part}_proj", f"{ours}.attention.{name}", width, width)
        yield from _norm(f"{theirs}.self_attn_layer_norm", f"{ours}.attention_norm", width)
        yield from _linear(f"{theirs}.fc1", f"{ours}.expand", inner, width)
        yield from _linear(f"{theirs}.fc2", f"{ours}.contract", width, inner)
        yield from _norm(f"{theirs}.final_layer_norm", f"{ours}.feed_forward_norm", width)
    yield from _norm("ecg_encoder.encoder.layer_norm", "ecg_encoder.norm", width)


def _ecg_front(sizes: DbetaSizes) -> Iterator[Entry]:
    width, before = sizes.encoder_embed_dim, LEAD_COUNT
    for i, (channels, kernel, _) in enumerate(sizes.conv_feature_layers):
        theirs, ours = f"ecg_encoder.feature_extractor.conv_layers.{i}", "ecg_encoder.front_end"
        yield Entry(f"{theirs}.0.weight", (channels, before, kernel), (f"{ours}.stages.{i}.weight",))
        if i == 0:
            yield from _norm(f"{theirs}.2", f"{ours}.norm", channels)
        before = channels
    if sizes.projected:
        yield from _linear("ecg_encoder.post_extract_proj", PROJECTION, width, before)
    theirs, ours = "ecg_encoder.conv_pos.pos_conv.0", "ecg_encoder.positions"
    yield Entry(f"{theirs}.bias", (width,), (f"{ours}.bias",))
    yield Entry(f"{theirs}.weight_g", (1, 1, sizes.conv_pos), (f"{ours}.magnitude",))
    yield Entry(f"{theirs}.weight_v", (width, width // sizes.conv_pos_groups, sizes.conv_pos), (f"{ours}.direction",))
    yield from _norm("ecg_encoder.layer_norm", "ecg_encoder.front_end_norm", before)


def _text_encoder(text: T5Sizes) -> Iterator[Entry]:
    width, inner = text.d_model, text.num_heads * text.d_kv

    def same(name: str, *shape: int) -> Entry:
        return Entry(f"language_encoder.{name}", shape, (f"text_encoder.{name}",))

    yield same("shared.weight", text.vocab_size, width)
    yield Entry("language_encoder.encoder.embed_tokens.weight", (text.vocab_size, width), (WORDS,))
    for i in range(text.num_layers):
        attention, dense = (f"encoder.block.{i}.layer.{part}" for part in ("0", "1"))
        for part in "qkv":
            yield same(f"{attention}.SelfAttention.{part}.weight", inner, width)
        yield same(f"{attention}.SelfAttention.o.weight", width, inner)
        if i == 0:
            rows = text.relative_attention_num_buckets
            yield same(f"{attention}.SelfAttention.relative_attention_bias.weight", rows, text.num_heads)
        yield same(f"{attention}.layer_norm.weight", width)
        for part in ("wi_0", "wi_1") if text.feed_forward_proj.startswith("gated-") else ("wi",):
            yield same(f"{dense}.DenseReluDense.{part}.weight", text.d_ff, width)
        yield same(f"{dense}.DenseReluDense.wo.weight", width, text.d_ff)
        yield same(f"{dense}.layer_norm.weight", width)
    yield same("encoder.final_layer_norm.weight", width)


def _fusion(sizes: DbetaSizes) -> Iterator[Entry]:
    width, before = sizes.hidden_dim, sizes.encoder_embed_dim
    yield from _linear("multi_modal_language_proj", "text_projection", width, before)
    yield from _linear("multi_modal_ecg_proj", "ecg_projection", width, before)
    yield Entry("modality_type_embeddings.weight", (2, width), ("fusion.modality.weight",))
    for stream, name in (("ecg", "ecg"), ("language", "text")):
        for i in range(sizes.num_top_layer):
            yield from _fusion_layer(f"multi_modal_{stream}_layers.{i}", f"fusion.{name}_layers.{i}", width)
    for place, prefix in (("multi_modal", "fusion."), ("unimodal", "")):
        for stream, name in (("ecg", "ecg"), ("language", "text")):
            yield from _linear(f"{place}_{stream}_pooler.dense", f"{prefix}{name}_pooler.dense", width, width)


def _fusion_layer(theirs: str, ours: str, width: int) -> Iterator[Entry]:
    for block, name in (("attention", "attention"), ("crossattention", "cross_attention")):
        for part in ("query", "key", "value"):
            yield from _linear(f"{theirs}.{block}.self.{part}", f"{ours}.{name}.{part}", width, width)
        yield from _linear(f"{theirs}.{block}.output.dense", f"{ours}.{name}.output", width, width)
        yield from _norm(f"{theirs}.{block}.output.LayerNorm", f"{ours}.{name}_norm", width)
    yield from _linear(f"{theirs}.intermediate.dense", f"{ours}.expand", 4 * width, width)
    yield from _linear(f"{theirs}.output.dense", f"{ours}.contract", width, 4 * width)
    yield from _norm(f"{theirs}.output.LayerNorm", f"{ours}.feed_forward_norm", width)


def _word_head(sizes: DbetaSizes) -> Iterator[Entry]:
    width, words = sizes.hidden_dim, sizes.vocab_size
    yield Entry("mlm_head.bias", (words,), ("word_head.decoder.bias",))
    yield from _linear("mlm_head.transform.dense", "word_head.dense", width, width)
    yield from _norm("mlm_head.transform.LayerNorm", "word_head.norm", width)
    yield Entry("mlm_head.decoder.weight", (words, width), ("word_head.decoder.weight",))


def _ecg_decoder(sizes: DbetaSizes) -> Iterator[Entry]:
    width = sizes.mem_decoder_hidden_dim
    yield Entry("mim_head.mask_token", (1, 1, width), ("ecg_decoder.mask_token",))
    yield from _linear("mim_head.decoder_embed", "ecg_decoder.embed", width, sizes.hidden_dim)
    yield Entry("mim_head.decoder_pos_embed.pe", (1, POSITION_ROWS, width), ("ecg_decoder.positions",))
    for i in range(sizes.mem_decoder_num_layers):
        theirs, ours = f"mim_head.decoder.resblocks.{i}", f"ecg_decoder.layers.{i}"
        for kind, shape in (("weight", (3 * width, width)), ("bias", (3 * width,))):
            parts = tuple(f"{ours}.attention.{part}.{kind}" for part in ("query", "key", "value"))
            yield Entry(f"{theirs}.attn.in_proj_{kind}", shape, parts)
        yield from _linear(f"{theirs}.attn.out_proj", f"{ours}.attention.output", width, width)
        yield from _norm(f"{theirs}.ln_1", f"{ours}.attention_norm", width)
        yield from _linear(f"{theirs}.mlp.c_fc", f"{ours}.expand", 4 * width, width)
        yield from _linear(f"{theirs}.mlp.c_proj", f"{ours}.contract", width, 4 * width)
        yield from _norm(f"{theirs}.ln_2", f"{ours}.feed_forward_norm", width)
    yield from _norm("mim_head.decoder_norm", "ecg_decoder.norm", width)
    yield from _linear("mim_head.decoder_pred", "ecg_decoder.predict", sizes.samples_per_token * LEAD_COUNT, width)
