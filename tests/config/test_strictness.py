"""A recipe says what it means or is refused: no key unknown, no value of another type, no word outside its list."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmelt.config import Recipe, from_mapping, load_recipe, override, read_yaml, to_mapping
from cmelt.config.parsing import differing_keys
from cmelt.config.settings import OptimiserSettings
from cmelt.errors import ConfigError
from tiny_runs import TINY, tiny_recipe, tiny_recipe_file


def refused(assignment: str, *said: str) -> None:
    with pytest.raises(ConfigError) as error:
        tiny_recipe(assignment)
    for words in said:
        assert words in str(error.value), str(error.value)


def test_an_unknown_key_is_named_with_the_known_ones():
    refused("optimiser.learning_rate=1", "unknown key optimiser.learning_rate", "rate", "warm_up")
    refused("model.ecg.widht=3", "model.ecg.widht", "width")
    refused("optimizer.rate=1", "unknown key optimizer", "optimiser")


@pytest.mark.parametrize(
    ("assignment", "kind"),
    [
        ("training.batch=4.5", "int"),
        ("training.batch=true", "int"),
        ("training.batch='4'", "int"),
        ("optimiser.rate=fast", "float"),
        ("optimiser.rate=true", "float"),
        ("training.compile=1", "bool"),
        ("name=3", "str"),
        ("model.ecg=3", "mapping"),
        ("model.ecg.stem_channels=8", "list"),
        ("model.ecg.stem_channels=[8, x]", "stem_channels[1]"),
        ("optimiser.betas=[0.9]", "2 are needed"),
        ("model.text.architecture=t5", "mapping"),
    ],
)
def test_a_value_of_another_type_is_refused(assignment, kind):
    refused(assignment, assignment.partition("=")[0], kind)


def test_a_word_outside_its_list_is_refused_with_the_list():
    refused("model.ecg.masking=afterwards", "model.ecg.masking", "signal, before_position, after_position")
    refused("negatives.strategy=nearest", "farthest, band, random")


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("model.ecg.heads=3", "ecg.heads 3"),
        ("model.fusion.heads=3", "fusion.heads"),
        ("model.decoder.heads=3", "decoder.heads"),
        ("model.ecg.position_groups=3", "position_groups"),
        ("model.decoder.fusion_layer=2", "fusion_layer 2"),
        ("model.ecg.samples=20", "fewer than two tokens"),
        ("training.batch=1", "batch"),
        ("training.epochs=2", "exactly one"),
        ("training.steps=null", "exactly one"),
    ],
)
def test_a_contradiction_is_refused(assignment, said):
    refused(assignment, "tiny", said)


def test_objectives_all_off_are_refused():
    with pytest.raises(ConfigError, match="switched off"):
        tiny_recipe(*(f"objectives.{name}=0" for name in ("mlm", "mem", "etm", "ets", "info_nce")))


def test_numbers_as_people_write_them():
    assert tiny_recipe("optimiser.rate=1e-4").optimiser.rate == 1e-4  # YAML 1.1 reads this as a word
    assert tiny_recipe("model.ecg.rate=100").model.ecg.rate == 100.0
    assert tiny_recipe("optimiser.betas=[0, 1]").optimiser.betas == (0.0, 1.0)


def test_overrides_reach_any_depth_and_leave_the_original_alone():
    content = {"model": {"ecg": {"layers": 2}}, "seed": 1}
    changed = override(content, ["model.ecg.layers=5", "model.text.vocabulary=9", "seed=2"])
    assert changed == {"model": {"ecg": {"layers": 5}, "text": {"vocabulary": 9}}, "seed": 2}
    assert content == {"model": {"ecg": {"layers": 2}}, "seed": 1}
    for wrong in ("seed", "=3", "seed.x=3"):
        with pytest.raises(ConfigError):
            override(content, [wrong])


def test_an_override_that_is_not_yaml_is_an_error_of_ours():
    with pytest.raises(ConfigError, match="--set"):
        override({}, ["a=[1"])


def test_a_recipe_goes_through_yaml_and_back_unchanged(tmp_path):
    recipe = tiny_recipe("model.text.weights=some/where")
    assert from_mapping(Recipe, to_mapping(recipe), "again") == recipe
    assert load_recipe(tiny_recipe_file(tmp_path)) == from_mapping(Recipe, TINY, "tiny")


def test_files_that_are_no_recipes_are_named(tmp_path):
    for content, said in ((b"a: [1", "not readable"), (b"- 1", "holds a list"), (b"\xff\xfe", "not readable"), (b"", "NoneType")):
        (tmp_path / "r.yaml").write_bytes(content)
        with pytest.raises(ConfigError, match=said) as error:
            read_yaml(tmp_path / "r.yaml")
        assert "r.yaml" in str(error.value)
    with pytest.raises(ConfigError, match="no such file"):
        load_recipe(Path("nowhere.yaml"))
    with pytest.raises(ConfigError, match=r"bundled: .*small"):
        load_recipe("smal")


def test_yaml_that_would_build_objects_is_refused(tmp_path):
    (tmp_path / "r.yaml").write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="not readable"):
        read_yaml(tmp_path / "r.yaml")


def test_a_missing_key_without_default_is_named():
    with pytest.raises(ConfigError, match="key name is missing"):
        from_mapping(Recipe, {}, "r.yaml")


def test_shares_outside_their_range_are_refused():
    assert OptimiserSettings().warm_up == 0.1
    for assignment in ("masking.ecg_keep=0", "masking.ecg_keep=1.5", "masking.lead_drop=1", "masking.text_share=-0.1",
                       "negatives.share=2", "optimiser.warm_up=-1", "training.average=1", "training.checkpoint_every=0",
                       "training.log_every=0", "training.keep_checkpoints=0", "objectives.mlm=-1", "optimiser.rate=0",
                       "objectives.contrast.scale=0", "objectives.contrast.temperature=0"):  # fmt: skip
        refused(assignment, assignment.partition("=")[0].rpartition(".")[2])


def test_two_mappings_are_told_apart_by_their_dotted_keys():
    one = {"a": 1, "b": {"c": [1, 2], "d": None}, "e": 3}
    assert differing_keys(one, dict(one)) == []
    assert differing_keys(one, {"a": 2, "b": {"c": [1, 3]}, "e": 3, "f": 0}) == ["a", "b.c", "b.d", "f"]
    assert differing_keys("one", "other") == [""]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: &a [1, 2]\nname: [*a, *a]\n", r"another part of itself \(\*a, line 2\)"),
        ("name: " + "[" * 200 + "]" * 200, "nested more than 50 deep"),
        ("name: " + "[" * 100_000, "nested more than 50 deep"),
        ("# " + "x" * (5 << 20), "larger than 4 MiB"),
        ("name: \x00", "not readable"),
    ],
)
def test_yaml_that_stands_for_more_than_it_says_is_refused(tmp_path, content, reason):
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(ConfigError, match=reason):
        read_yaml(tmp_path / "r.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)
