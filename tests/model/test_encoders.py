"""What an embedding may depend on, and what a kept token may know."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForTextEncoding

from cmelt.config.settings import EcgSettings
from cmelt.errors import ConfigError
from cmelt.model.attention import Attention
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.ecg_encoder import EcgEncoder
from cmelt.model.text_encoder import (
    architecture_of,
    build_text_encoder,
    longest_text,
    pretrained_text_encoder,
    put_published,
    text_config,
)
from tiny_runs import tiny_recipe

STEMS = {
    "strided": EcgSettings(stem="strided", stem_kernel=2, samples=320, stem_channels=(8, 8, 8, 8), width=16, layers=2, heads=2,
                           feed_forward=16, position_kernel=16, position_groups=4),
    "residual": EcgSettings(stem="residual", stem_kernel=7, samples=320, stem_channels=(8, 8, 8, 8), width=16, layers=2, heads=2,
                            feed_forward=16, position_kernel=16, position_groups=4, masking="signal"),
    "resnet1d": EcgSettings(stem="resnet1d", stem_kernel=7, samples=320, stem_channels=(8, 8, 8, 8, 8), width=16, layers=2,
                            heads=2, feed_forward=16, position_kernel=16, position_groups=4, masking="signal"),
}  # fmt: skip
TEXTS = {
    "t5": {"model_type": "t5", "vocab_size": 60, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2},
    "bert": {"model_type": "bert", "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 16, "max_position_embeddings": 64},
    "distilbert": {"model_type": "distilbert", "vocab_size": 60, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16},
    "deberta": {"model_type": "deberta-v2", "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2,
                "num_attention_heads": 2, "intermediate_size": 16},
}  # fmt: skip


def encoder(stem: str, **changes) -> EcgEncoder:
    torch.manual_seed(0)
    settings = replace(tiny_recipe().model, ecg=replace(STEMS[stem], **changes))
    return CMeltModel(CMeltConfig.of(settings)).ecg_encoder.eval()


def model(text: str = "t5", *assignments: str) -> CMeltModel:
    torch.manual_seed(0)
    recipe = tiny_recipe(f"model.text.architecture={json.dumps(TEXTS[text])}", *assignments)
    built = CMeltModel(CMeltConfig.of(recipe.model)).eval()
    with torch.no_grad():  # at the start everything is close to 0, and differences would be too
        for part in (built.text_projection, built.text_pooler.dense, built.ecg_projection, built.fusion):
            for linear in part.modules():
                if isinstance(linear, torch.nn.Linear):
                    linear.weight.mul_(12)
    return built


@pytest.fixture
def pieces():
    source = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, 60, (3, 12), generator=source)
    mask = torch.arange(12) < torch.tensor([[12], [7], [4]])
    return torch.where(mask, tokens, 0), mask


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["first", "mean"])
@pytest.mark.parametrize("text", list(TEXTS))
def test_fault_3_a_report_s_embedding_does_not_depend_on_padding_or_neighbours(text, pooling, pieces):
    tokens, mask = pieces
    full = model(text, f"model.text.pooling={pooling}")
    together = full.embed_text(tokens, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = full.embed_text(tokens[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)
    scribbled = torch.where(mask, tokens, 33)
    torch.testing.assert_close(full.embed_text(scribbled, mask), together, atol=1e-5, rtol=0)
    unmasked = full.embed_text(scribbled, torch.ones_like(mask))
    assert (unmasked - together)[1:].abs().max() > 1e-3  # the release's way


@torch.no_grad()
def test_fault_3_fusion_does_not_look_at_padding(pieces):
    tokens, mask = pieces
    full, ecg = model(), torch.randn(3, 12, 1000)
    together = full.fusion(full.encode_text(tokens, mask), mask, full.encode_ecg(ecg))
    alone = full.fusion(full.encode_text(tokens[2:, :4], mask[2:, :4]), mask[2:, :4], full.encode_ecg(ecg[2:]))
    torch.testing.assert_close(alone.pair[0], together.pair[2], atol=1e-5, rtol=0)
    seen = full.fusion(full.encode_text(tokens, mask), torch.ones_like(mask), full.encode_ecg(ecg))
    assert (seen.pair - together.pair)[2].abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("stem", list(STEMS))
def test_an_ecg_s_embedding_does_not_depend_on_the_neighbours_in_the_batch(stem):
    tower, ecg = encoder(stem), torch.randn(4, 12, 320)
    for row in range(4):
        torch.testing.assert_close(tower(ecg[row : row + 1])[0], tower(ecg)[row], atol=1e-5, rtol=0)


def changed_where_masked(ecg: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    hidden = torch.ones(ecg.shape[2], dtype=torch.bool)
    for token in kept[0].tolist():
        hidden[token * 16 : token * 16 + 16] = False
    return torch.where(hidden, torch.randn_like(ecg), ecg)


@torch.no_grad()
@pytest.mark.parametrize("stem", list(STEMS))
def test_fault_9_masked_in_the_signal_kept_tokens_know_nothing_of_masked_samples(stem):
    tower, ecg, kept = encoder(stem, masking="signal"), torch.randn(1, 12, 320), torch.tensor([[1, 5, 6, 13, 19]])
    assert torch.equal(tower(ecg, kept), tower(changed_where_masked(ecg, kept), kept))


@torch.no_grad()
def test_fault_9_masked_before_positions_kept_tokens_know_masked_samples_only_as_the_record_s_spread():
    """The strided front end's one norm runs along the record; samples moved among the masked tokens leave it as it is."""
    ecg, kept = torch.randn(1, 12, 320), torch.tensor([[1, 5, 6, 13, 19]])
    masked = [token for token in range(20) if token not in kept[0].tolist()]
    moved = ecg.unflatten(2, (20, 16)).clone()
    moved[:, :, masked] = moved[:, :, masked[::-1]]
    moved = moved.flatten(2)
    assert not torch.equal(moved, ecg)
    before, after = encoder("strided", masking="before_position"), encoder("strided", masking="after_position")
    torch.testing.assert_close(before(ecg, kept), before(moved, kept), atol=1e-5, rtol=0)
    assert (after(ecg, kept) - after(moved, kept)).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("stem", list(STEMS))
def test_fault_9_is_there_where_the_release_masks(stem):
    tower, ecg, kept = encoder(stem, masking="after_position"), torch.randn(1, 12, 320), torch.tensor([[1, 5, 6, 13, 19]])
    assert (tower(ecg, kept) - tower(changed_where_masked(ecg, kept), kept)).abs().max() > 1e-3


@pytest.mark.parametrize("stem", ["residual", "resnet1d"])
def test_a_stem_that_reaches_over_its_tokens_must_mask_in_the_signal(stem):
    with pytest.raises(ConfigError, match="masking"):
        tiny_recipe(f"model.ecg.stem={stem}", "model.ecg.stem_kernel=7", "model.ecg.masking=before_position")


@torch.no_grad()
@pytest.mark.parametrize("samples", [320, 327, 160])
def test_a_resnet1d_s_first_stage_keeps_the_rate_and_every_other_halves_it(samples):
    assert STEMS["resnet1d"].samples_per_token == 16
    tower = encoder("resnet1d")
    assert tower(torch.randn(2, 12, samples)).shape == (2, 1 + samples // 16, 16)
    assert STEMS["resnet1d"].tokens_in(samples) == samples // 16


@torch.no_grad()
def test_a_common_gain_or_offset_cancels_out_in_the_strided_stem_a_lead_s_own_does_not():
    tower, ecg = encoder("strided"), torch.randn(1, 12, 320)
    torch.testing.assert_close(tower(3 * ecg + 2), tower(ecg), atol=1e-3, rtol=0)
    one_lead = ecg.clone()
    one_lead[:, 3] *= 3
    assert (tower(one_lead) - tower(ecg)).abs().max() > 1e-2


@torch.no_grad()
def test_attention_is_not_causal():
    """transformers' cross layers turn causal where no mask is given: in ours, the first token sees the last."""
    full, ecg, tokens, mask = model(), torch.randn(1, 12, 1000), torch.randint(5, 60, (1, 9)), torch.ones(1, 9, dtype=torch.bool)
    other = tokens.clone()
    other[0, -1] = tokens[0, -1] % 50 + 6
    assert (full.encode_text(tokens, mask)[0, 0] - full.encode_text(other, mask)[0, 0]).abs().max() > 1e-6
    text, states = full.encode_text(tokens, mask), full.encode_ecg(ecg)
    last_text, last_ecg = text.clone(), states.clone()
    last_text[0, -1] += 1
    last_ecg[0, -1] += 1
    plain = full.fusion(text, mask, states)
    for changed in (full.fusion(last_text, mask, states), full.fusion(text, mask, last_ecg)):
        assert (changed.text[0, 0] - plain.text[0, 0]).abs().max() > 1e-5
        assert (changed.ecg[0, 0] - plain.ecg[0, 0]).abs().max() > 1e-5
    layer = full.ecg_encoder.layers[0]
    assert (layer(last_ecg)[0, 0] - layer(states)[0, 0]).abs().max() > 1e-6


@torch.no_grad()
def test_attention_equals_its_formula():
    torch.manual_seed(0)
    attention = Attention(8, 2).double().eval()
    states, context = torch.randn(1, 3, 8).double(), torch.randn(1, 4, 8).double()
    mask = torch.tensor([[True, True, False, True]])
    query, key, value = attention.query(states)[0], attention.key(context)[0], attention.value(context)[0]
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = query[:, head] @ key[:, head].T / 2.0
        scores[:, 2] = -torch.inf
        heads.append(scores.softmax(1) @ value[:, head])
    torch.testing.assert_close(attention(states, context, mask)[0], attention.output(torch.cat(heads, 1)))


def test_an_unknown_architecture_key_or_type_is_an_error():
    for architecture, said in (
        ({"model_type": "t5", "d_modle": 16}, "d_modle"),
        ({"model_type": "t7"}, "t7"),
        ({"d_model": 16}, "model_type is missing"),
    ):
        with pytest.raises(ConfigError, match=said):
            text_config(architecture)


def test_published_weights_come_with_keys_of_older_versions_and_other_uses(tmp_path):
    """Flan-T5's config.json says n_positions, output_past, task_specific_params: none of them is a fault of the user's."""
    torch.manual_seed(0)
    saved = AutoModelForTextEncoding.from_config(text_config(TEXTS["t5"]))
    saved.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "n_positions": 512,
        "output_past": True,
        "task_specific_params": {"a": {"prefix": "b"}},
        "is_encoder_decoder": True,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = pretrained_text_encoder(str(tmp_path))
    sizes = architecture_of(loaded.config)
    assert sizes["d_model"] == 16
    again = build_text_encoder(text_config(json.loads(json.dumps(sizes))))
    put_published(loaded, again)
    for name, tensor in again.state_dict().items():
        assert torch.equal(saved.state_dict()[name], tensor), name
    assert set(saved.state_dict()) - set(again.state_dict()) <= {"encoder.embed_tokens.weight"}  # a second name of the first
    with pytest.raises(ConfigError, match="no text encoder"):
        pretrained_text_encoder(str(tmp_path / "none"))


def test_how_long_a_text_may_be():
    assert longest_text(text_config(TEXTS["t5"])) is None
    assert longest_text(text_config(TEXTS["bert"])) == 64
    roberta = {"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1}
    assert longest_text(text_config(roberta)) == 64


def test_the_text_encoder_keeps_its_own_initialisation():
    """T5 draws its matrices at 1/sqrt(d); our 0.02 would flatten its unscaled attention."""
    torch.manual_seed(0)
    wide = {"model_type": "t5", "vocab_size": 60, "d_model": 64, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 8}
    built = CMeltModel(CMeltConfig.of(tiny_recipe(f"model.text.architecture={json.dumps(wide)}").model))
    attention = built.text_encoder.encoder.block[0].layer[0].SelfAttention
    assert attention.q.weight.std().item() == pytest.approx((64 * 8) ** -0.5, rel=0.05)
    assert attention.k.weight.std().item() == pytest.approx(64**-0.5, rel=0.05)
    assert built.fusion.text_layers[0].attention.query.weight.std().item() == pytest.approx(0.02, rel=0.15)
    assert built.text_encoder.shared.weight.std().item() == pytest.approx(1, rel=0.05)


@torch.no_grad()
def test_the_positional_convolution_starts_at_its_direction():
    tower = encoder("strided")
    direction = tower.positions.direction
    torch.testing.assert_close(tower.positions.magnitude, direction.norm(dim=(0, 1), keepdim=True))
    assert tower.class_token.min() >= 0 and tower.class_token.max() < 1
