"""A recipe that begins with `base:` says what differs, and is whole once it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cmelt.config import Recipe, from_mapping, load_recipe, override, to_mapping
from cmelt.errors import ConfigError
from tiny_runs import TINY, tiny_recipe_file


def written(folder: Path, name: str, content: dict) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_what_is_not_said_is_the_base_s(tmp_path):
    tiny_recipe_file(tmp_path)
    above = {"base": "tiny.yaml", "name": "other", "model": {"ecg": {"layers": 3}}, "objectives": {"mlm": 0.5}}
    expected = override(TINY, ["name=other", "model.ecg.layers=3", "objectives.mlm=0.5"])
    assert load_recipe(written(tmp_path, "other", above)) == from_mapping(Recipe, expected, "expected")


def test_a_base_may_have_a_base_and_overrides_come_last(tmp_path):
    tiny_recipe_file(tmp_path)
    written(tmp_path, "middle", {"base": "tiny.yaml", "name": "middle", "seed": 8, "optimiser": {"clip": 2.0}})
    top = written(tmp_path, "top", {"base": "middle.yaml", "name": "top", "seed": 9})
    recipe = load_recipe(top, ["optimiser.clip=3"])
    assert (recipe.name, recipe.seed, recipe.optimiser.clip) == ("top", 9, 3.0)
    assert load_recipe(top).optimiser.clip == 2.0


def test_lists_and_another_library_s_keys_are_replaced_as_a_whole(tmp_path):
    """A BERT must not inherit T5's keys."""
    tiny_recipe_file(tmp_path)
    bert = {"model_type": "bert", "hidden_size": 16}
    above = {"base": "tiny.yaml", "name": "bert", "model": {"text": {"architecture": bert}, "ecg": {"stem_channels": [8, 16]}}}
    recipe = load_recipe(written(tmp_path, "bert", above))
    assert recipe.model.text.architecture == bert
    assert recipe.model.text.vocabulary == TINY["model"]["text"]["vocabulary"]
    assert recipe.model.ecg.stem_channels == (8, 16)


def test_a_bundled_recipe_is_a_base_by_name_and_null_takes_a_value_away(tmp_path):
    above = {"base": "small", "name": "short", "training": {"epochs": None, "steps": 5}}
    recipe = load_recipe(written(tmp_path, "short", above))
    small = load_recipe("small")
    assert (recipe.model, recipe.training.steps, recipe.training.batch) == (small.model, 5, small.training.batch)


def test_the_resolved_recipe_says_everything_and_needs_no_base():
    recipe = load_recipe("merl-resnet")
    content = to_mapping(recipe)
    assert "base" not in content
    assert from_mapping(Recipe, content, "run.json") == recipe


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"base": "smal", "name": "x"}, "no such recipe"),
        ({"base": "nowhere.yaml", "name": "x"}, "no such file"),
        ({"base": 3, "name": "x"}, "base is 3"),
        ({"base": "small"}, "name is missing"),
        ({"base": "x.yaml", "name": "x"}, "builds on this recipe itself"),
        ({"base": "small", "name": "x", "model": {"ecg": {"widht": 3}}}, "unknown key model.ecg.widht"),
        ({"base": "small", "name": "x", "modell": {}}, "unknown key modell"),
        ({"base": "small", "name": "x", "model": 3}, "model is a int"),
        ({"base": "small", "name": "x", "training": {"steps": 5}}, "exactly one"),
    ],
)
def test_a_fault_is_named(tmp_path, content, said):
    with pytest.raises(ConfigError, match=said):
        load_recipe(written(tmp_path, "x", content))


def test_a_fault_of_the_base_is_said_of_the_base(tmp_path):
    written(tmp_path, "below", {**TINY, "sede": 1})
    above = written(tmp_path, "above", {"base": "below.yaml", "name": "above"})
    with pytest.raises(ConfigError, match=r"below\.yaml") as error:
        load_recipe(above)
    assert "sede" in str(error.value)


def test_two_recipes_that_build_on_each_other_are_refused(tmp_path):
    written(tmp_path, "a", {"base": "b.yaml", "name": "a"})
    path = written(tmp_path, "b", {"base": "a.yaml", "name": "b"})
    with pytest.raises(ConfigError, match="builds on this recipe itself"):
        load_recipe(path)
