"""Parameter counts: the method page's, part by part, without a byte allocated for them."""

from __future__ import annotations

import json

import pytest
import torch

from cmelt.config import to_mapping
from cmelt.config.settings import ModelSettings
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.cmelt import CMeltModel, Views
from cmelt.model.configuration import CMeltConfig
from cmelt.model.sizes import parameter_counts, settings_of_model, settings_of_recipe
from tiny_runs import TINY, tiny_recipe

MILLION = 1_000_000


@pytest.fixture(scope="module")
def paper():
    return CMeltConfig.of(ModelSettings())


def test_the_paper_s_model_has_the_paper_s_sizes(paper):
    counts = parameter_counts(paper)
    in_millions = {name: round(count / MILLION, 1) for name, count in counts.items()}
    assert in_millions["ecg_encoder"] == 62.0
    assert in_millions["text_encoder"] == 109.6
    assert in_millions["word_head"] == 25.3
    assert in_millions["ecg_decoder"] == 7.5
    assert round(sum(counts.values()) / MILLION, 1) == 321.4
    with torch.device("meta"):
        fusion = CMeltModel(paper).fusion
    for stream in (fusion.text_layers, fusion.ecg_layers):
        assert round(sum(p.numel() for p in stream.parameters()) / MILLION, 1) == 56.7


def test_counting_allocates_nothing(paper):
    with torch.device("meta"):
        model = CMeltModel(paper)
    assert all(tensor.is_meta for tensor in model.state_dict().values())


def test_shared_word_embeddings_count_once():
    counts = parameter_counts(CMeltConfig.of(tiny_recipe().model))
    embedding = 32128 * 16
    assert embedding < counts["text_encoder"] < 1.1 * embedding


def test_the_paper_s_shapes():
    """312 tokens of a 10 s record at 500 Hz; the transformer sees 79 of 313."""
    settings = tiny_recipe("model.ecg.samples=5000", "model.ecg.rate=500", "model.text.architecture.vocab_size=50").model
    assert settings.ecg.tokens == ModelSettings().ecg.tokens == 312
    model = CMeltModel(CMeltConfig.of(settings))
    ecg, kept = torch.randn(2, 12, 5000), torch.arange(78).expand(2, 78)
    assert model.encode_ecg(ecg).shape == (2, 313, 16)
    assert model.encode_ecg(ecg, kept).shape == (2, 79, 16)
    tokens = torch.ones(2, 5, dtype=torch.long)
    views = Views(ecg, kept, tokens, tokens.bool(), torch.where(tokens.cumsum(1) == 2, 1, -100))
    outputs = model(views, frozenset({"mlm", "mem", "etm", "ets"}))
    assert outputs.samples.shape == (2, 312 - 78, 12 * 16)  # of the hidden tokens
    assert outputs.match_logits.shape == (2, 2)
    assert outputs.word_logits.shape == (2, 50)
    assert outputs.ecg_embedding.shape == outputs.text_embedding.shape == (2, 16)


def test_a_recipe_s_learned_vocabulary_is_counted_at_its_largest(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(json.dumps(TINY))
    config = settings_of_recipe(str(file))
    assert config.model_settings.text.architecture["vocab_size"] == TINY["model"]["text"]["vocabulary"]
    assert settings_of_recipe("paper").model_settings.text.architecture["vocab_size"] == 32128


def test_sizes_of_a_saved_model_come_from_its_configuration(tmp_path):
    config = CMeltConfig.of(tiny_recipe().model)
    config.save_pretrained(tmp_path / "model")
    for folder in (tmp_path, tmp_path / "model"):
        assert parameter_counts(settings_of_model(folder)) == parameter_counts(config)
    with pytest.raises(CheckpointError, match="holds no model"):
        settings_of_model(tmp_path / "elsewhere")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "cmelt", "settings": {"widht": 3}}')
    with pytest.raises(CheckpointError, match=r"config\.json"):
        settings_of_model(tmp_path)


def test_settings_survive_the_way_through_json():
    settings = tiny_recipe("model.ecg.masking=signal", "objectives.contrast.scale=10").model
    config = CMeltConfig.from_dict(json.loads(CMeltConfig.of(settings).to_json_string()))
    assert config.model_settings == settings
    assert to_mapping(config.model_settings) == to_mapping(settings)
    with pytest.raises(ConfigError, match="unknown key"):
        CMeltConfig(settings={"widht": 1})


@pytest.mark.parametrize("name", ["clip", "siglip", "merl", "merl-resnet", "masked-ecg", "simclr"])
def test_a_rival_s_ecg_encoder_is_as_large_as_small_s(name):
    def ecg_side(recipe: str) -> int:
        counts = parameter_counts(settings_of_recipe(recipe))
        return counts["ecg_encoder"] + counts["ecg_projection"] + counts["ecg_pooler"]

    assert ecg_side(name) == pytest.approx(ecg_side("small"), rel=0.05)
    # The paper's three layers of transformer come out a little larger than ours.
    assert 1.0 <= ecg_side("paper-small") / ecg_side("small") <= 1.15
