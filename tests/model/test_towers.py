"""The towers alone compute what the whole model computes, and T5 in plain PyTorch what transformers' computes."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForTextEncoding

from cmelt.errors import ConfigError
from cmelt.model.cmelt import CMeltModel, Views
from cmelt.model.configuration import OPTIONAL_PARTS, CMeltConfig
from cmelt.model.t5_encoder import T5Encoder, T5Sizes, position_buckets
from cmelt.model.text_encoder import put_published, text_config
from cmelt.model.towers import TOWERS, PlainTowers
from tiny_runs import tiny_recipe

SMALL = {"model_type": "t5", "vocab_size": 90, "d_model": 24, "d_kv": 8, "d_ff": 40, "num_layers": 3, "num_heads": 4}


@pytest.mark.parametrize("kind", ["gated-gelu", "relu", "gated-silu"])
@pytest.mark.parametrize("positions", [(32, 128), (8, 20)])
def test_t5_is_that_of_transformers(kind, positions):
    buckets, distance = positions
    architecture = {
        **SMALL,
        "feed_forward_proj": kind,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": distance,
        "dropout_rate": 0.3,
    }
    torch.manual_seed(0)
    theirs = AutoModelForTextEncoding.from_config(text_config(architecture)).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.2 * torch.randn_like(weight))  # as initialised, norms are ones and positions nearly nothing
    ours = T5Encoder(T5Sizes.of(architecture)).eval()
    state = {name: tensor for name, tensor in theirs.state_dict().items() if name != "encoder.embed_tokens.weight"}
    ours.load_state_dict(state)
    ids, mask = torch.randint(0, 90, (4, 170)), torch.ones(4, 170, dtype=torch.long)
    mask[0, 1:], mask[1, 60:] = 0, 0
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        found = ours(ids, mask).last_hidden_state
    real = mask.bool()
    torch.testing.assert_close(found[real], expected[real], atol=2e-5, rtol=1e-4)
    assert expected[real].std() > 0.1


@pytest.mark.parametrize("kind", ["gated-gelu", "relu"])
def test_t5_learns_as_that_of_transformers_does_with_dropout_in_the_same_places(kind, monkeypatch):
    """Where dropout halves everything instead of drawing, both must come to the same states and gradients."""
    architecture = {**SMALL, "feed_forward_proj": kind, "dropout_rate": 0.2}
    torch.manual_seed(0)
    theirs = AutoModelForTextEncoding.from_config(text_config(architecture), attn_implementation="eager").double().train()
    ours = T5Encoder(T5Sizes.of(architecture)).double().train()
    put_published(theirs, ours)
    halved = []
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda values, *_, **__: halved.append("theirs") or values / 2)
    for place in ("dropout", "attention"):
        monkeypatch.setattr(f"cmelt.model.{place}.dropped", lambda values, _: halved.append("ours") or values / 2)
    monkeypatch.setattr("cmelt.model.recompute._worth_it", lambda _: False)
    ids, mask = torch.randint(0, 90, (3, 11)), torch.arange(11) < torch.tensor([[11], [2], [6]])
    upstream = torch.randn(3, 11, 24, dtype=torch.float64) * mask[..., None]
    for model in (ours, theirs):
        states = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        (states * upstream).sum().backward()
    assert halved.count("ours") == halved.count("theirs") == 2 + 4 * SMALL["num_layers"]
    expected = {name: weight.grad for name, weight in theirs.named_parameters()}
    for name, weight in ours.named_parameters():
        worst = (weight.grad - expected[name]).abs().max() / expected[name].abs().max()
        assert worst < 1e-5, (name, worst)  # transformers' norm is in single precision always


def test_position_buckets_are_transformers_at_every_distance():
    from transformers.models.t5.modeling_t5 import T5Attention

    place = torch.arange(600)
    relative = place[None, :] - place[:, None]
    for buckets, distance in ((32, 128), (16, 40), (64, 500)):
        sizes = T5Sizes(relative_attention_num_buckets=buckets, relative_attention_max_distance=distance)
        expected = T5Attention._relative_position_bucket(relative, True, buckets, distance)
        assert torch.equal(position_buckets(600, sizes), expected)


@pytest.mark.parametrize("change", [{"model_type": "bert"}, {"feed_forward_proj": "gated-relu"}, {"is_decoder": True}])
def test_what_is_no_plain_t5_is_refused(change):
    with pytest.raises(ConfigError, match="plain T5"):
        T5Sizes.of({**SMALL, **change})


def whole_model(**changes) -> CMeltModel:
    torch.manual_seed(3)
    settings = tiny_recipe("model.text.architecture.vocab_size=90").model
    return CMeltModel(CMeltConfig(**{**CMeltConfig.of(settings).to_dict(), **changes})).eval()


def test_the_towers_alone_embed_as_the_whole_model_does():
    model = whole_model()
    towers = PlainTowers(model.settings).eval()
    state = {name: tensor for name, tensor in model.state_dict().items() if name.split(".")[0] in TOWERS}
    towers.load_state_dict(state, strict=True)
    ecg, tokens = torch.randn(3, 12, 1000), torch.randint(0, 90, (3, 9))
    mask = torch.arange(9) < torch.tensor([[9], [4], [1]])
    with torch.no_grad():
        assert torch.equal(towers.embed_ecg(ecg), model.embed_ecg(ecg))
        torch.testing.assert_close(towers.embed_text(tokens, mask), model.embed_text(tokens, mask), atol=1e-6, rtol=1e-5)


def test_a_model_without_parts_has_none_of_their_weights_and_says_so_when_asked():
    model = whole_model(absent=["word_head", "ecg_decoder", "fusion"])
    names = {name.split(".")[0] for name in model.state_dict()}
    assert not names & {"word_head", "ecg_decoder", "fusion"}
    assert {*TOWERS, "match_head", "contrast"} <= names
    size, kept = 2, torch.tensor([[0, 3], [1, 2]])
    views = Views(torch.randn(size, 12, 1000), kept, torch.ones(size, 4, dtype=torch.long), torch.ones(size, 4).bool(),
                  torch.full((size, 4), -100))  # fmt: skip
    for objective, part in (("mlm", "word_head"), ("mem", "ecg_decoder"), ("etm", "fusion")):
        with pytest.raises(ConfigError, match=part):
            model(views, frozenset({objective, "ets"}))
    assert model(views, frozenset({"ets"})).ecg_embedding.shape == (size, 16)


def test_only_what_inference_can_do_without_can_be_absent():
    assert not set(OPTIONAL_PARTS) & set(TOWERS)
    with pytest.raises(ConfigError, match="text_encoder"):
        whole_model(absent=["text_encoder"])


def test_parts_are_made_in_the_order_in_which_their_randomness_is_drawn():
    """Another order would be another model of the same seed."""
    made = [name for name, _ in whole_model().named_children()]
    assert made == [*TOWERS, "fusion", "word_head", "ecg_decoder", "match_head", "contrast"]
