"""What the rivals need of the model: poolings, an encoder without transformer, two views of an ECG, a frozen text encoder."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cmelt.errors import ConfigError
from cmelt.model.cmelt import CMeltModel, Views
from cmelt.model.configuration import CMeltConfig
from cmelt.model.fusion import Pooler
from cmelt.model.heads import DropoutViews, ViewProjection
from tiny_runs import tiny_recipe

SAMPLES, TOKENS, BATCH = 160, 10, 3


def model(*assignments: str) -> CMeltModel:
    torch.manual_seed(0)
    recipe = tiny_recipe("model.text.architecture.vocab_size=50", f"model.ecg.samples={SAMPLES}", *assignments)
    return CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives))


def views(second: bool = False) -> Views:
    source = torch.Generator().manual_seed(2)
    ecg, other = torch.randn(2, BATCH, 12, SAMPLES, generator=source)
    kept = torch.rand(BATCH, TOKENS, generator=source).argsort(1)[:, :4].sort(1).values
    tokens = torch.randint(5, 50, (BATCH, 6), generator=source)
    mask = torch.ones(BATCH, 6, dtype=torch.bool)
    return Views(ecg, kept, tokens, mask, tokens, second_ecg=other if second else None)


def test_attention_pooling_is_the_class_token_s_question_to_all_tokens():
    """Written out head by head."""
    torch.manual_seed(0)
    pooler, states = Pooler(8, "attention", heads=2), torch.randn(2, 5, 8)
    attention = pooler.attention
    with torch.no_grad():
        pooled = []
        for record in states:
            query, keys, values = attention.query(record[0]), attention.key(record), attention.value(record)
            heads = []
            for part in (slice(0, 4), slice(4, 8)):
                weight = torch.softmax(torch.stack([query[part] @ key[part] for key in keys]) / 2, dim=0)
                heads.append(sum(w * value[part] for w, value in zip(weight, values, strict=True)))
            pooled.append(torch.tanh(pooler.dense(attention.output(torch.cat(heads)))))
        torch.testing.assert_close(pooler(states), torch.stack(pooled))


def test_a_pooler_without_matrix_hands_the_mean_token_on():
    states = torch.randn(2, 5, 8)
    assert torch.equal(Pooler(8, "mean", dense=False)(states), states.mean(1))
    built = model("model.ecg.pooler=none", "model.ecg.pooling=mean").eval()
    with torch.no_grad():
        ecg = views().ecg
        torch.testing.assert_close(built.embed_ecg(ecg), built.encode_ecg(ecg).mean(1))
    assert not list(built.ecg_pooler.parameters())


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_without_transformer_layers_the_embedding_still_sees_the_ecg(pooling):
    built = model("model.ecg.layers=0", f"model.ecg.pooling={pooling}").eval()
    with torch.no_grad():
        embedded = built.embed_ecg(views().ecg)
    assert (embedded[0] - embedded[1]).abs().max() > 1e-5
    assert not [name for name, _ in built.named_parameters() if name.startswith("ecg_encoder.layers")]


def test_without_transformer_layers_the_class_token_alone_is_refused():
    with pytest.raises(ConfigError, match="pooling mean or attention"):
        tiny_recipe("model.ecg.layers=0")
    with pytest.raises(ConfigError, match="layers -1"):
        tiny_recipe("model.ecg.layers=-1")


def test_only_a_model_of_that_objective_has_weights_for_it():
    """The models of other recipes, and the weights they start from, do not depend on ECG alignment's being known."""
    assert model().view_head is None
    assert isinstance(model("objectives.ecg_alignment=1").view_head, DropoutViews)
    augmented = model("objectives.ecg_alignment=1", "objectives.alignment.view=augmented")
    assert isinstance(augmented.view_head, ViewProjection)
    extra = augmented.state_dict().keys() - model().state_dict().keys()
    assert {name.split(".")[0] for name in extra} == {"view_head"}


def test_dropout_views_differ_by_their_masks_alone_where_their_maps_are_equal():
    torch.manual_seed(0)
    head = DropoutViews(400, 0.1)
    head.other.load_state_dict(head.one.state_dict())
    latent = torch.randn(2, 400)
    one, other = head(latent)
    expected = head.one(latent) / 0.9
    for view in (one, other):
        kept = view != 0
        assert (~kept).float().mean() == pytest.approx(0.1, abs=0.04)
        torch.testing.assert_close(view[kept], expected[kept], atol=1e-5, rtol=2e-5)  # the chance is one of 65,536
    assert not torch.equal(one != 0, other != 0)
    assert torch.equal(*head.eval()(latent))


def test_dropout_views_are_of_the_mean_token_that_the_contrast_sees():
    built = model("objectives.ecg_alignment=1", "objectives.alignment.dropout=0").eval()
    seen = views()
    with torch.no_grad():
        alone = built(seen, frozenset({"ecg_alignment"})).ecg_views
        whole, masked = (built.encode_ecg(seen.ecg, kept).mean(1) for kept in (None, seen.kept))
        with_masked_contrast = built(seen, frozenset({"ecg_alignment", "ets"})).ecg_views
    torch.testing.assert_close(alone[0], built.view_head.one(whole))
    torch.testing.assert_close(alone[1], built.view_head.other(whole))
    torch.testing.assert_close(with_masked_contrast[0], built.view_head.one(masked))


def test_augmented_views_are_projected_embeddings_of_two_ecgs():
    built = model("objectives.ecg_alignment=1", "objectives.alignment.view=augmented").eval()
    seen = views(second=True)
    with torch.no_grad():
        one, other = built(seen, frozenset({"ecg_alignment"})).ecg_views
        for found, ecg in ((one, seen.ecg), (other, seen.second_ecg)):
            embedded = built.embed_ecg(ecg)
            torch.testing.assert_close(found, built.view_head.contract(F.relu(built.view_head.expand(embedded))))
    with pytest.raises(ValueError, match="no second view"):
        built(views(), frozenset({"ecg_alignment"}))


def test_masked_modelling_before_fusion_reads_no_report():
    built = model("model.decoder.fusion_layer=0")
    for part in (built.text_encoder, built.fusion):
        part.register_forward_hook(lambda *_: pytest.fail("the report was read"))
    hidden = TOKENS - views().kept.shape[1]
    assert built(views(), frozenset({"mem"})).samples.shape == (BATCH, hidden, 12 * 16)


def test_samples_before_fusion_are_the_same_whether_or_not_the_report_is_read():
    built = model("model.decoder.fusion_layer=0").eval()
    with torch.no_grad():
        alone = built(views(), frozenset({"mem"})).samples
        torch.testing.assert_close(built(views(), frozenset({"mem", "etm"})).samples, alone)


def test_a_frozen_text_encoder_has_no_dropout_while_the_rest_trains():
    built = model("model.text.frozen=true", "model.text.architecture.dropout_rate=0.5").train()
    seen = views()
    encoded = [built.encode_text(seen.tokens, seen.text_mask) for _ in range(2)]
    assert torch.equal(*encoded)
    assert built.fusion.training and built.ecg_encoder.training
    thawed = model("model.text.architecture.dropout_rate=0.5").train()
    assert not torch.equal(*[thawed.encode_text(seen.tokens, seen.text_mask) for _ in range(2)])


@pytest.mark.parametrize(
    ("on", "aligned"),
    [
        (("mem",), False),
        (("ecg_alignment", "mem"), False),
        (("ets",), True),
        (("info_nce", "ecg_alignment"), True),
        (("etm",), False),
    ],
)  # fmt: skip
def test_a_model_knows_whether_its_two_embeddings_were_ever_compared(on, aligned):
    weights = {name: float(name in on) for name in ("mlm", "mem", "etm", "ets", "info_nce", "ecg_alignment")}
    recipe = tiny_recipe(*(f"objectives.{name}={weight}" for name, weight in weights.items()))
    config = CMeltConfig.of(recipe.model, recipe.objectives)
    assert CMeltConfig.from_dict(config.to_dict()).aligned is aligned
    assert CMeltConfig.from_dict(config.to_dict()).objective_settings == recipe.objectives


def test_a_configuration_that_does_not_say_what_trained_the_model_is_taken_for_the_paper_s():
    config = CMeltConfig.of(tiny_recipe().model)
    assert config.objectives is None and config.aligned
    assert CMeltModel(CMeltConfig.from_dict(config.to_dict() | {"contrast": {"scale": 3.0}})).view_head is None
