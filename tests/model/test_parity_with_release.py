"""The model computes what the authors' release computes, given its weights and its inputs (numbers only, no code of theirs)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cmelt.config.parsing import from_mapping
from cmelt.config.settings import ModelSettings
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.heads import hidden_of
from cmelt.objectives.etm import etm_loss
from cmelt.objectives.ets import ets_loss
from cmelt.objectives.mem import mem_loss, mem_target
from cmelt.objectives.mlm import mlm_loss
from cmelt.objectives.pairs import Pairs

TOLERANCE = 2e-5

RENAMED = [
    (r"^class_embedding$", "ecg_encoder.class_token"),
    (r"^ecg_encoder\.encoder\.layers\.(\d+)\.self_attn\.(q|k|v|out)_proj\.", r"ecg_encoder.layers.\1.attention.<\2>."),
    (r"^ecg_encoder\.encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"ecg_encoder.layers.\1.attention_norm."),
    (r"^ecg_encoder\.encoder\.layers\.(\d+)\.fc1\.", r"ecg_encoder.layers.\1.expand."),
    (r"^ecg_encoder\.encoder\.layers\.(\d+)\.fc2\.", r"ecg_encoder.layers.\1.contract."),
    (r"^ecg_encoder\.encoder\.layers\.(\d+)\.final_layer_norm\.", r"ecg_encoder.layers.\1.feed_forward_norm."),
    (r"^ecg_encoder\.encoder\.layer_norm\.", "ecg_encoder.norm."),
    (r"^ecg_encoder\.feature_extractor\.conv_layers\.0\.2\.", "ecg_encoder.front_end.norm."),
    (r"^ecg_encoder\.feature_extractor\.conv_layers\.(\d)\.0\.", r"ecg_encoder.front_end.stages.\1."),
    (r"^ecg_encoder\.post_extract_proj\.", "ecg_encoder.project."),
    (r"^ecg_encoder\.conv_pos\.pos_conv\.0\.bias$", "ecg_encoder.positions.bias"),
    (r"^ecg_encoder\.conv_pos\.pos_conv\.0\.weight_g$", "ecg_encoder.positions.magnitude"),
    (r"^ecg_encoder\.conv_pos\.pos_conv\.0\.weight_v$", "ecg_encoder.positions.direction"),
    (r"^ecg_encoder\.layer_norm\.", "ecg_encoder.front_end_norm."),
    (r"^language_encoder\.", "text_encoder."),
    (r"^multi_modal_language_proj\.", "text_projection."),
    (r"^multi_modal_ecg_proj\.", "ecg_projection."),
    (r"^modality_type_embeddings\.", "fusion.modality."),
    (r"^multi_modal_(ecg|language)_layers\.(\d+)\.", r"fusion.\1_layers.\2."),
    (r"^multi_modal_(ecg|language)_pooler\.", r"fusion.\1_pooler."),
    (r"^unimodal_(ecg|language)_pooler\.", r"\1_pooler."),
    (r"^mlm_head\.bias$", "word_head.decoder.bias"),
    (r"^mlm_head\.transform\.dense\.", "word_head.dense."),
    (r"^mlm_head\.transform\.LayerNorm\.", "word_head.norm."),
    (r"^mlm_head\.decoder\.", "word_head.decoder."),
    (r"^mim_head\.decoder_embed\.", "ecg_decoder.embed."),
    (r"^mim_head\.decoder_norm\.", "ecg_decoder.norm."),
    (r"^mim_head\.decoder_pred\.", "ecg_decoder.predict."),
    (r"^mim_head\.mask_token$", "ecg_decoder.mask_token"),
    (r"^mim_head\.decoder\.resblocks\.(\d+)\.", r"ecg_decoder.layers.\1."),
    (r"^itm_head\.fc\.", "match_head."),
    (r"\.crossattention\.output\.LayerNorm\.", ".cross_attention_norm."),
    (r"\.attention\.output\.LayerNorm\.", ".attention_norm."),
    (r"\.crossattention\.self\.(query|key|value)\.", r".cross_attention.\1."),
    (r"\.crossattention\.output\.dense\.", ".cross_attention.output."),
    (r"\.attention\.self\.(query|key|value)\.", r".attention.\1."),
    (r"\.attention\.output\.dense\.", ".attention.output."),
    (r"\.intermediate\.dense\.", ".expand."),
    (r"^(fusion\..*)\.output\.dense\.", r"\1.contract."),
    (r"^(fusion\..*)\.output\.LayerNorm\.", r"\1.feed_forward_norm."),
    (r"^(ecg_decoder\..*)\.attn\.out_proj\.", r"\1.attention.output."),
    (r"^(ecg_decoder\..*)\.ln_1\.", r"\1.attention_norm."),
    (r"^(ecg_decoder\..*)\.ln_2\.", r"\1.feed_forward_norm."),
    (r"^(ecg_decoder\..*)\.mlp\.c_fc\.", r"\1.expand."),
    (r"^(ecg_decoder\..*)\.mlp\.c_proj\.", r"\1.contract."),
    (r"<q>", "query"),
    (r"<k>", "key"),
    (r"<v>", "value"),
    (r"<out>", "output"),
    (r"^(fusion\.)language_", r"\1text_"),
    (r"^language_pooler", "text_pooler"),
]


def ours(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The release's tensors under our names."""
    result = {}
    for name, tensor in state.items():
        if name.endswith(("decoder_pos_embed.pe", "encoder.embed_tokens.weight")):
            continue  # computed; the word embeddings' second name
        if ".attn.in_proj_" in name:
            layer = re.search(r"resblocks\.(\d+)", name).group(1)
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                result[f"ecg_decoder.layers.{layer}.attention.{part}.{name.rsplit('_', 1)[1]}"] = piece
            continue
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        result[name] = tensor.flatten() if name.endswith(("mask_token", "class_token")) else tensor
    return result


@pytest.fixture(scope="module")
def parity(data_dir: Path) -> Path:
    folder = data_dir.parent / "parity"
    if not folder.exists():
        pytest.skip(f"no reference numbers of the release at {folder}")
    return folder


@pytest.fixture(scope="module")
def model(parity: Path) -> CMeltModel:
    sizes = json.loads((parity / "expected.json").read_text())
    theirs, text = sizes["model"], sizes["t5"]
    settings = from_mapping(
        ModelSettings,
        {
            "width": theirs["hidden_dim"],
            "ecg": {
                "stem_channels": [32] * 4,
                "width": theirs["encoder_embed_dim"],
                "layers": theirs["encoder_layers"],
                "heads": theirs["encoder_attention_heads"],
                "feed_forward": theirs["encoder_ffn_embed_dim"],
                "position_kernel": theirs["conv_pos"],
                "position_groups": theirs["conv_pos_groups"],
                "masking": "after_position",
            },
            "text": {"architecture": {"model_type": "t5", "feed_forward_proj": "gated-gelu", **text}},
            "fusion": {
                "layers": theirs["num_top_layer"],
                "heads": theirs["num_heads"],
                "feed_forward": 4 * theirs["hidden_dim"],
            },
            "decoder": {
                "fusion_layer": theirs["mem_layer"],
                "width": theirs["mem_decoder_hidden_dim"],
                "layers": theirs["mem_decoder_num_layers"],
                "heads": theirs["mem_decoder_num_heads"],
            },
        },
        "expected.json",
    )
    model = CMeltModel(CMeltConfig.of(settings)).eval()
    state = torch.load(parity / "checkpoint.pt", weights_only=True)["model"]
    report = model.load_state_dict(ours(state), strict=False)
    assert report.unexpected_keys == []
    assert all(name.startswith("contrast.") for name in report.missing_keys)
    return model


def close(mine: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(mine, theirs, atol=TOLERANCE, rtol=TOLERANCE)


def test_embeddings_match(parity: Path, model: CMeltModel) -> None:
    inputs, outputs = load_file(parity / "inputs.safetensors"), load_file(parity / "outputs.safetensors")
    with torch.no_grad():
        embedded = model.embed_ecg(inputs["ecg"])
        texts = [
            model.embed_text(row[mask.bool()][None], torch.ones(1, int(mask.sum()), dtype=torch.bool))
            for row, mask in zip(inputs["text"], inputs["text_attention_mask"], strict=True)
        ]
    close(embedded, outputs["get_ecg_feats"])
    close(torch.cat(texts), outputs["text_feats_one_at_a_time"])


def of_hidden(samples: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Of every token's samples those that the loss counts, which is what ours computes."""
    return samples.gather(1, hidden_of(kept, 312)[..., None].expand(-1, -1, samples.shape[2]))


@pytest.mark.parametrize("pass_", ["masked", "unmasked"])
def test_every_part_matches(parity: Path, model: CMeltModel, pass_: str) -> None:
    inputs, outputs = load_file(parity / "inputs.safetensors"), load_file(parity / "outputs.safetensors")
    theirs = {name.removeprefix(f"{pass_}."): tensor for name, tensor in outputs.items() if name.startswith(f"{pass_}.")}
    kept = inputs["ids_shuffle"][:, :78] if pass_ == "masked" else torch.arange(312).expand(2, 312)
    mask = inputs["text_attention_mask"].bool()
    with torch.no_grad():
        ecg = model.encode_ecg(inputs["ecg"], kept)
        # The release lets its text encoder see the padding; to compare, so must ours.
        text = model.encode_text(inputs["text"], torch.ones_like(mask))
        fused = model.fusion(text, mask, ecg)
    close(model.ecg_pooler(ecg), theirs["uni_modal_ecg_feats"])
    close(model.text_pooler(text), theirs["uni_modal_text_feats"])
    close(fused.text, theirs["multi_modal_text_feats"])
    close(fused.ecg, theirs["multi_modal_ecg_feats"])
    close(fused.pair, theirs["multi_modal_cls_feats"])
    close(model.match_head(fused.pair), theirs["etm_logits"])
    if pass_ == "masked":
        close(fused.ecg_midway, theirs["multi_modal_ecg_feats_1"])
        close(model.word_head(fused.text), theirs["mlm_logits"])
        close(model.ecg_decoder(fused.ecg_midway, kept, 312), of_hidden(theirs["mem_logits"].flatten(2), kept))


def test_losses_match(parity: Path) -> None:
    expected = json.loads((parity / "expected.json").read_text())["losses"]
    inputs, outputs = load_file(parity / "inputs.safetensors"), load_file(parity / "outputs.safetensors")
    words, kept = inputs["mlm_labels"], inputs["ids_shuffle"][:, :78]
    aligned = inputs["is_aligned"].bool()
    mlm = mlm_loss(outputs["masked.mlm_logits"][words >= 0], words)
    target = mem_target(inputs["ecg"], 312, 16)
    mem = mem_loss(of_hidden(outputs["masked.mem_logits"].flatten(2), kept), target, kept, torch.ones(2, 12, dtype=torch.bool))
    etm = etm_loss(outputs["masked.etm_logits"], aligned)
    truth = Pairs(torch.diag(aligned), torch.ones(2, 2))
    ets = ets_loss(
        outputs["masked.uni_modal_ecg_feats"], outputs["masked.uni_modal_text_feats"], truth, torch.tensor(1.0), torch.tensor(0.0)
    )
    # Its sigmoid loss is divided by B twice, ours once, as in the paper.
    for mine, theirs in ((mlm, expected["mlm"]), (mem, expected["mem"]), (etm, expected["etm"]), (ets / 2, expected["ets"])):
        assert mine.item() == pytest.approx(theirs, abs=TOLERANCE, rel=TOLERANCE)
