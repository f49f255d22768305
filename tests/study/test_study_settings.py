"""A study's file is refused, with its key and the remedy, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cmelt.errors import ConfigError
from cmelt.study.settings import Selection, load_study, selection_of
from tiny_studies import tiny_study

STUDIES = Path(__file__).resolve().parents[2] / "studies"
PROBE = {"kind": "probe", "store": "store", "tasks": ["simulated"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modles": {}}, "modles"),
        ({"reference": {"model": "nobody"}}, "nobody"),
        ({"reference": {"model": "ours", "data": "nothing"}}, "nothing"),
        ({"models": {"ours": {"set": ["seed=1"]}}}, "recipe is missing"),
        ({"models": {"ours": {"kind": "supervised", "recipe": "small"}}}, "supervised"),
        ({"models": {"a/b": {"recipe": "tiny.yaml"}}, "reference": {"model": "a/b"}, "cells": []}, "a/b"),
        ({"evaluate": [{"kind": "probe", "store": "store"}]}, "needs tasks"),
        ({"evaluate": [{"kind": "retrieval", "store": "store", "tasks": ["simulated"]}]}, "no tasks"),
        ({"evaluate": [PROBE | {"splits": ["train", "test"]}]}, "learns from the training records"),
        ({"evaluate": [PROBE | {"fractions": [2.0]}]}, "fractions"),
        ({"evaluate": [PROBE | {"models": ["ours", "thiers"]}]}, "thiers"),
        ({"evaluate": [PROBE | {"kind": "shift"}]}, "target"),
        ({"evaluate": [PROBE | {"kind": "fine-tune", "leads": [12, 5]}]}, "leads"),
        ({"data": {"all": {"stores": {"store": {"pairs": 1}}}}, "cells": []}, "pairs"),
        ({"data": {"all": {"stores": {"store": {}}, "then": "later"}}, "cells": []}, "later"),
        ({"cells": [{"models": ["random"], "data": ["all"]}]}, "random"),
        ({"seeds": []}, "seeds"),
        ({"workers": 0}, "workers"),
    ],
)
def test_a_study_that_cannot_be_meant_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=r"study\.yaml") as refusal:
        tiny_study(tmp_path, **changes)
    assert words in str(refusal.value)


def test_the_file_as_it_stands_is_understood(tmp_path: Path) -> None:
    study = tiny_study(tmp_path)
    assert list(study.trained) == ["ours", "less"]
    assert study.data["few"].stores["store"].pairs == 20


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_come_with_the_repository_are_understood(path: Path) -> None:
    study = load_study(path)
    assert study.name == path.stem
    assert study.description


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_and_override_of_these_studies_exists(path: Path) -> None:
    from cmelt.config import load_recipe
    from cmelt.evaluation.tasks import load_task

    study = load_study(path)
    for model in study.models.values():
        if model.recipe is not None:
            load_recipe(model.recipe, list(model.set))
    assert all(load_task(task).classes for asked in study.evaluate for task in asked.tasks)


def test_the_main_study_measures_folds_9_and_10_and_has_every_control() -> None:
    study = load_study(STUDIES / "ptbxl.yaml")
    kinds = {model.kind for model in study.models.values()}
    assert kinds == {"pretrained", "random", "supervised"}
    asked = [item for item in study.evaluate if item.store == "ptbxl100"]
    assert asked
    assert all(set(item.splits) <= {"validation", "test"} for item in asked)
    assert not any(item.models for item in asked if item.kind in ("zero-shot", "probe") and item.headline)


def test_a_selection_takes_several_values_of_one_key(tmp_path: Path) -> None:
    chosen = selection_of("model=ours,model=less,seed=0", tiny_study(tmp_path))
    assert chosen == Selection(("ours", "less"), (), (0,))
    assert chosen.holds("less", "all", 0)
    assert not chosen.holds("less", "all", 1)
    assert not chosen.holds("random", "", 0)


@pytest.mark.parametrize("text", ["model=nobody", "data=nothing", "seed=first", "colour=red", "model"])
def test_a_selection_of_what_is_not_there_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="--only"):
        selection_of(text, tiny_study(tmp_path))
