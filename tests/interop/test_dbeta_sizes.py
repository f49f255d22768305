"""Sizes: the published ones by default, others from a configuration, nothing contradictory, nothing run."""

from __future__ import annotations

import json

import pytest

from cmelt.config.settings import ModelSettings
from cmelt.errors import ConfigError
from cmelt.interop.dbeta_sizes import MIMIC_LEADS, DbetaSizes, config_of, read_sizes, settings_of, sizes_of
from cmelt.interop.dbeta_stages import stages_of, stages_text
from cmelt.model.t5_encoder import T5Sizes
from cmelt.records.record import LEADS
from dbeta_release import VARIANTS


def test_the_published_sizes_are_the_paper_s():
    settings, paper = settings_of(read_sizes(None)), ModelSettings()
    assert (settings.width, settings.fusion, settings.text.max_tokens) == (paper.width, paper.fusion, paper.text.max_tokens)
    assert T5Sizes.of(settings.text.architecture) == T5Sizes.of(paper.text.architecture)
    for name in ("rate", "samples", "stem", "stem_channels", "stem_kernel", "stem_windows", "width", "layers", "heads",
                 "feed_forward", "position_kernel", "position_groups", "pooling", "tokens"):  # fmt: skip
        assert getattr(settings.ecg, name) == getattr(paper.ecg, name), name
    assert (settings.decoder.fusion_layer, settings.decoder.width, settings.decoder.layers) == (3, 384, 4)


def test_the_imported_model_s_leads_are_in_the_order_of_mimic_s_files():
    assert settings_of(DbetaSizes()).ecg.lead_order == MIMIC_LEADS
    assert [lead for lead, ours in zip(MIMIC_LEADS, LEADS, strict=True) if lead != ours] == ["aVF", "aVL"]
    assert sorted(MIMIC_LEADS) == sorted(LEADS)


@pytest.mark.parametrize("name", VARIANTS)
def test_sizes_survive_the_way_to_our_settings_and_to_a_configuration(name):
    sizes = read_sizes(VARIANTS[name])
    assert sizes_of(settings_of(sizes)) == sizes
    assert read_sizes(json.loads(json.dumps(config_of(sizes)))) == sizes


def test_a_part_of_a_configuration_leaves_the_rest_as_published():
    assert read_sizes({"model": {"encoder_layers": 3}}) == DbetaSizes(encoder_layers=3)
    text = read_sizes({"t5": {"num_layers": 2}}).t5
    assert (text.num_layers, text.d_model, text.feed_forward_proj) == (2, 768, "gated-gelu")


def test_keys_of_training_and_of_other_uses_are_passed_over(tmp_path):
    file = tmp_path / "config.json"
    model = {
        "_name": "D-BETA",
        "mem_prob": 0.75,
        "lead_masking": 0.5,
        "layer_norm_first": False,
        "num_layers": 9,
        "hidden_dim": 768,
    }
    text = {"model_type": "t5", "n_positions": 512, "use_cache": True, "d_ff": 2048}
    file.write_text(json.dumps({"model": model, "t5": text, "losses": {}}))
    assert read_sizes(file) == read_sizes(str(file)) == DbetaSizes()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model": {"encoder_layer": 3}}, "encoder_layer"),
        ({"model": {"encoder_layers": "3"}}, "encoder_layers is '3'"),
        ({"model": {"encoder_layers": 0}}, "encoder_layers 0"),
        ({"model": {"num_heads": 5}}, "num_heads 5"),
        ({"model": {"conv_pos_groups": 5}}, "conv_pos_groups 5"),
        ({"model": {"mem_decoder_num_heads": 5}}, "mem_decoder_num_heads 5"),
        ({"model": {"mem_layer": 6}}, "mem_layer 6"),
        ({"model": {"in_d": 8}}, "in_d is 8"),
        ({"model": {"encoder_embed_dim": 384}}, "encoder_embed_dim 384 is not t5.d_model 768"),
        ({"t5": {"vocab_size": 100}}, "vocab_size 32128 is not t5.vocab_size 100"),
        ({"model": {"conv_feature_layers": "[(256, 2, 2)] * 3"}}, "625 tokens"),
        ({"model": {"conv_feature_layers": "[(256, 2, 2)] * 14"}}, "0 tokens"),
        ({"model": {"layer_norm_first": True}}, "layer_norm_first"),
        ({"model": {"extractor_mode": "layer_norm"}}, "extractor_mode"),
        ({"model": {"conv_bias": True}}, "conv_bias"),
        ({"model": {"t5": {}}}, "out of place"),
        ({"t5": {"d_models": 3}}, "d_models"),
        ({"t5": {"d_ff": "3"}}, "d_ff is '3'"),
        ({"t5": {"model_type": "bert"}}, "bert"),
        ({"t5": {"feed_forward_proj": "gated-selu"}}, "gated-selu"),
        ({"sizes": {}}, 'neither "model" nor "t5"'),
        ({"model": 3}, "model is a int"),
    ],
)
def test_what_the_release_could_not_build_is_refused_by_its_own_names(config, said):
    with pytest.raises(ConfigError, match=said):
        read_sizes(config)


@pytest.mark.parametrize(("content", "said"), [("[1]", "holds a list"), ("{", "is no json"), (None, "cannot be read")])
def test_a_file_that_is_no_configuration_is_said_to_be_none(tmp_path, content, said):
    if content is not None:
        (tmp_path / "c.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        read_sizes(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("notation", "stages"),
    [
        ("[(256, 2, 2)] * 4", [(256, 2, 2)] * 4),
        ("2 * [(8,2,2)] + [(16, 3, 1), (4, 1, 1)]", [(8, 2, 2), (8, 2, 2), (16, 3, 1), (4, 1, 1)]),
        ("[(8, 2, 2), [8, 2, 2]]", [(8, 2, 2)] * 2),
        (" ((8, 2, 2),) ", [(8, 2, 2)]),
        ([[8, 2, 2], (9, 1, 1)], [(8, 2, 2), (9, 1, 1)]),
    ],
)
def test_the_front_end_s_notation_is_read_as_python_would(notation, stages):
    assert stages_of(notation, "c") == tuple(stages)
    if isinstance(notation, str):
        assert [tuple(stage) for stage in eval(notation)] == stages  # noqa: S307  what the release does with it
        assert stages_of(stages_text(tuple(stages)), "c") == tuple(stages)


@pytest.mark.parametrize(
    "notation",
    [
        "__import__('os').system('touch here')",
        "[(8, 2, 2)] * 10**9",
        "[(8, 2, 2)] * 1000000000",
        "[(8, 2, 2)] * -1",
        "[(8, 2)]",
        "[(8, 2, 0)]",
        "[(True, 2, 2)]",
        "[(8, 2, 2.0)]",
        "[x for x in [(8, 2, 2)]]",
        "",
        "[]",
        "(" * 500,
        4,
        None,
        {"a": 1},
        [[8, 2, "2"]],
    ],
)
def test_anything_else_in_its_place_is_refused_and_not_run(notation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="conv_feature_layers"):
        stages_of(notation, "c")
    assert not list(tmp_path.iterdir())
