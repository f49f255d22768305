"""The recipes that come with the package: loadable, commented, and the paper's is the paper's."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cmelt.config import RECIPES, Recipe, load_recipe, recipe_names
from cmelt.config.settings import AlignmentSettings, ContrastSettings, ModelSettings, ObjectiveSettings, TextSettings


def keys_without_a_comment(text: str) -> list[str]:
    """Keys that have no comment on their line and stand in no commented block."""
    bare, above = [], False
    blocks: list[tuple[int, bool]] = []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            above = True
            continue
        key = re.match(r"( *)([a-z_]+):", line)
        if key is None:
            above = False
            continue
        indent, commented = len(key[1]), above or " #" in line
        blocks = [block for block in blocks if block[0] < indent]
        opens = line.split(" #")[0].rstrip().endswith(":")
        if not commented and not opens and not any(explained for _, explained in blocks):
            bare.append(key[2])
        blocks.append((indent, commented and opens))
        above = False
    return bare


def test_the_search_for_bare_keys_finds_them():
    assert keys_without_a_comment("a: 1  # why\n# why\nb: 2\nc: 3\nd:\n  e: 4\n") == ["c", "e"]
    assert keys_without_a_comment("d:  # all of it\n  e: 4\n") == []


@pytest.mark.parametrize("name", recipe_names())
def test_every_bundled_recipe_loads_and_its_name_is_its_file_s(name):
    recipe = load_recipe(name)
    assert isinstance(recipe, Recipe)
    assert recipe.name == name
    assert load_recipe(RECIPES / f"{name}.yaml") == recipe


#: Keys that say what they are wherever they stand.
PLAIN = {"description", "width", "layers", "heads", "feed_forward", "dropout", "position_groups", "pooling", "schedule", "batch"}


@pytest.mark.parametrize("name", recipe_names())
def test_every_key_of_a_bundled_recipe_is_explained(name):
    bare = [key for key in keys_without_a_comment((RECIPES / f"{name}.yaml").read_text()) if key not in PLAIN]
    assert not bare, f"{name}.yaml: say in a comment what these are for: {bare}"


def test_the_paper_s_recipe_explains_every_single_key():
    assert keys_without_a_comment((RECIPES / "paper.yaml").read_text()) == []


def test_the_paper_s_recipe_is_the_paper_s():
    paper = load_recipe("paper")
    sizes = ModelSettings(text=TextSettings(weights="google/flan-t5-base"))
    assert paper.model == sizes
    assert (paper.training.batch, paper.training.steps) == (128, 300_000)
    optimiser = paper.optimiser
    assert (optimiser.rate, optimiser.betas, optimiser.epsilon, optimiser.weight_decay) == (5e-5, (0.9, 0.98), 1e-6, 0.01)
    assert (optimiser.schedule, optimiser.warm_up, optimiser.hold) == ("tri_stage", 0.1, 0.4)
    assert (optimiser.first, optimiser.last) == (0.01, 0.05)
    assert paper.objectives.weights == {"mlm": 1, "mem": 1, "etm": 1, "ets": 1}
    contrast = paper.objectives.contrast
    assert (contrast.normalise, contrast.scale, contrast.bias, contrast.learn_scale_and_bias) == (False, 1, 0, False)
    assert (paper.masking.lead_drop, paper.masking.contrast_view) == (0.5, "masked")
    negatives = paper.negatives
    assert (negatives.strategy, negatives.candidates, negatives.share) == ("farthest", 64, 0.5)
    assert negatives.encoder == "google/flan-t5-small"


def test_the_paper_s_recipe_mends_the_faults_that_are_options():
    paper = load_recipe("paper")
    assert paper.model.ecg.masking == "before_position"  # fault 9
    assert paper.objectives.contrast.identical_reports == "ignore"  # fault 7


#: What trains each rival, whole: an objective or option that `small` gains must not reach them unseen.
RIVALS = {
    "clip": ObjectiveSettings(mlm=0, mem=0, etm=0, ets=0, info_nce=1, contrast=ContrastSettings(identical_reports="negative")),
    "siglip": ObjectiveSettings(
        mlm=0, mem=0, etm=0, ets=1,
        contrast=ContrastSettings(
            normalise=True, scale=10, bias=-10, learn_scale_and_bias=True, identical_reports="negative", balance=False
        ),
    ),
    "merl": ObjectiveSettings(
        mlm=0, mem=0, etm=0, ets=0, info_nce=1, ecg_alignment=1,
        contrast=ContrastSettings(identical_reports="negative"),
        alignment=AlignmentSettings("dropout", 0.1, 0.07),
    ),
}  # fmt: skip
RIVALS["merl-resnet"] = RIVALS["merl"]


@pytest.mark.parametrize("name", sorted(RIVALS))
def test_a_rival_is_trained_by_its_own_objectives_on_clean_views_alone(name):
    recipe = load_recipe(name)
    assert recipe.objectives == RIVALS[name]
    assert (recipe.masking.contrast_view, recipe.negatives.share) == ("clean", 0)


@pytest.mark.parametrize(("name", "weights"), [("masked-ecg", {"mem": 1.0}), ("simclr", {"ecg_alignment": 1.0})])
def test_two_rivals_never_read_a_report(name, weights):
    recipe = load_recipe(name)
    assert recipe.objectives.weights == weights
    assert recipe.model.decoder.fusion_layer == 0 or name == "simclr"
    assert recipe.objectives.two_views is (name == "simclr")


SAME_AS_SMALL = sorted({*RIVALS, "masked-ecg", "simclr"})


@pytest.mark.parametrize("name", SAME_AS_SMALL)
def test_a_rival_has_small_s_text_encoder_budget_and_optimiser(name):
    small, rival = load_recipe("small"), load_recipe(name)
    assert (rival.training, rival.optimiser, rival.model.text) == (small.training, small.optimiser, small.model.text)
    assert (rival.model.width, rival.model.ecg.rate, rival.model.ecg.samples) == (
        small.model.width, small.model.ecg.rate, small.model.ecg.samples,
    )  # fmt: skip
    if name != "simclr":  # its views are its method
        assert (rival.augmentation, rival.masking) == (small.augmentation, small.masking)


def test_paper_small_is_the_paper_s_method():
    paper, reduced = load_recipe("paper"), load_recipe("paper-small")
    assert (reduced.objectives, reduced.masking) == (paper.objectives, paper.masking)
    assert replace(reduced.negatives, encoder=paper.negatives.encoder) == paper.negatives
    assert replace(reduced.optimiser, rate=paper.optimiser.rate) == paper.optimiser
    for part, method in (("ecg", ("stem", "stem_kernel", "stem_channels", "amplitude", "masking", "pooling", "pooler", "dropout",
                                  "attention_dropout")), ("text", ("pooling", "frozen"))):  # fmt: skip
        for key in method:
            assert getattr(getattr(reduced.model, part), key) == getattr(getattr(paper.model, part), key), key
    small = load_recipe("small")
    for key in ("batch", "epochs", "average"):
        assert getattr(reduced.training, key) == getattr(small.training, key), key
    assert reduced.augmentation == small.augmentation
