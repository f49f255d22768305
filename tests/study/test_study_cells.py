"""A cell's folder is named after everything that determines what lies in it, and after nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cmelt.config import from_mapping, to_mapping
from cmelt.errors import ConfigError, StoreError
from cmelt.study.cells import Cell, Item, Plan, StorePart, differences, plan_study, said_by
from cmelt.study.settings import load_study
from tiny_runs import tiny_recipe
from tiny_studies import study_file, tiny_plan

PART = StorePart("store", "/somewhere/store", "a" * 64)
CELL = Cell("ours", "all", 0, "pretrained", ((PART,),), (tiny_recipe(),))
ITEM = Item("probe", PART, "ptbxl-super", "ptbxl-super", "0123", ("validation", "test"), fraction=0.01, draws=5)


def of_name(plan: Plan, start: str) -> Cell:
    return next(cell for cell in plan.cells if cell.name.startswith(start))


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, seed=1),
        replace(CELL, recipes=(tiny_recipe("objectives.mem=0.5"),)),
        replace(CELL, recipes=(tiny_recipe("training.steps=8"),)),
        replace(CELL, stages=((replace(PART, sha256="b" * 64),),)),
        replace(CELL, stages=((replace(PART, pairs=20),),)),
        replace(CELL, stages=((replace(PART, weight=2.0),),)),
        replace(CELL, stages=((PART,), (PART,)), recipes=(tiny_recipe(), tiny_recipe())),
        replace(CELL, kind="random"),
    ],
)
def test_what_would_train_other_weights_has_another_folder(other: Cell) -> None:
    assert other.name != CELL.name


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, recipes=(tiny_recipe("description=in other words"),)),
        replace(CELL, recipes=(tiny_recipe("training.log_every=5", "training.checkpoint_every=2"),)),
        replace(CELL, recipes=(tiny_recipe("augmentation.gain=0.0"),)),
        replace(CELL, stages=((replace(PART, path="/elsewhere/store"),),)),
    ],
)
def test_what_changes_no_weight_changes_no_folder(other: Cell) -> None:
    assert other.name == CELL.name


def test_a_recipe_s_keys_at_their_default_say_nothing() -> None:
    said = said_by(tiny_recipe())
    assert said["training"]["batch"] == 4
    assert "augmentation" not in said
    assert "log_every" not in said["training"]
    assert "seed" not in said


def test_fresh_weights_depend_on_the_model_alone_and_not_on_how_it_would_be_trained() -> None:
    fresh = replace(CELL, kind="random", data="")
    assert replace(fresh, recipes=(tiny_recipe("training.steps=8", "objectives.mem=0"),)).name == fresh.name
    assert replace(fresh, recipes=(tiny_recipe("model.ecg.layers=2"),)).name != fresh.name
    # The one exception: objectives say how much of the negative prompts zero-shot scoring takes off.
    assert replace(fresh, recipes=(tiny_recipe("objectives.phrases=1"),)).name != fresh.name


@pytest.mark.parametrize(
    "other",
    [
        replace(ITEM, fraction=0.1),
        replace(ITEM, draws=3),
        replace(ITEM, splits=("test",)),
        replace(ITEM, task_identity="4567"),
        replace(ITEM, store=replace(PART, sha256="b" * 64)),
        replace(ITEM, records=100),
    ],
)
def test_another_measurement_has_another_folder(other: Item) -> None:
    assert other.name != ITEM.name


def test_where_a_store_lies_and_what_is_shown_first_is_no_part_of_a_measurement() -> None:
    moved = replace(ITEM, store=replace(PART, path="/elsewhere/store"), headline=False, task_source="/tmp/ptbxl-super.yaml")
    assert moved.name == ITEM.name


def test_cells_and_items_go_through_json_unchanged() -> None:
    assert from_mapping(Cell, to_mapping(CELL), "json") == CELL
    assert from_mapping(Item, to_mapping(ITEM), "json") == ITEM


def test_prompts_count_for_zero_shot_alone(tmp_path: Path, tiny_store: Path) -> None:
    task = tmp_path / "mine.yaml"
    evaluate = [
        {"kind": "zero-shot", "store": "store", "tasks": ["mine.yaml"]},
        {"kind": "probe", "store": "store", "tasks": ["mine.yaml"], "fractions": [1.0]},
    ]

    def names(prompt: str) -> list[str]:
        task.write_text(f"classes: {{fast: {{labels: [a], prompts: [{prompt}]}}}}")
        plan = tiny_plan(tmp_path, tiny_store, evaluate=evaluate)
        return [item.name for item in plan.items_of(plan.cells[0])]

    before, after = names("sinus tachycardia"), names("rapid sinus rhythm")
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_all_models_meet_all_data_unless_cells_are_named_and_controls_come_once_a_seed(tmp_path: Path, tiny_store: Path) -> None:
    plan = tiny_plan(tmp_path, tiny_store, cells=[], seeds=[0, 1])
    made = [(cell.model, cell.data, cell.seed) for cell in plan.cells]
    assert len(made) == len(set(made)) == 2 * (2 * 2 + 1)
    assert [m for m in made if m[0] == "random"] == [("random", "", 0), ("random", "", 1)]


def test_data_may_change_the_recipe_and_a_second_stage_has_its_own(tmp_path: Path, tiny_store: Path) -> None:
    data = {
        "long": {"stores": {"store": {}}, "set": ["training.steps=20"], "then": "short"},
        "short": {"stores": {"store": {}}, "set": ["training.steps=3"]},
    }
    plan = tiny_plan(tmp_path, tiny_store, data=data, cells=[])
    steps = {name: [r.training.steps for r in of_name(plan, name).recipes] for name in ("ours-long", "ours-short")}
    assert steps == {"ours-long": [20, 3], "ours-short": [3]}


def test_named_cells_are_made_once_though_two_groups_name_them(tmp_path: Path, tiny_store: Path) -> None:
    groups = [{"models": ["ours"], "data": ["all", "few"]}, {"models": ["ours", "less"], "data": ["few"]}]
    plan = tiny_plan(tmp_path, tiny_store, cells=groups)
    trained = [(cell.model, cell.data) for cell in plan.cells if cell.kind == "pretrained"]
    assert trained == [("ours", "all"), ("ours", "few"), ("less", "few")]


def test_measurements_can_be_kept_to_some_models_and_data(tmp_path: Path, tiny_store: Path) -> None:
    zero_shot = {"kind": "zero-shot", "store": "store", "tasks": ["simulated"]}
    evaluate = [
        zero_shot,
        {"kind": "retrieval", "store": "store", "without": ["less", "random"]},
        {"kind": "identification", "store": "store", "data": ["few"], "models": ["ours", "less"]},
    ]
    plan = tiny_plan(tmp_path, tiny_store, evaluate=evaluate, cells=[])
    kinds = {name: [item.kind for item in plan.items_of(of_name(plan, name))] for name in ("ours-all", "less-few", "random")}
    assert kinds == {
        "ours-all": ["zero-shot", "retrieval"],
        "less-few": ["zero-shot", "identification"],
        "random": ["zero-shot"],
    }


def test_a_supervised_network_is_asked_nothing_but_its_classes(tmp_path: Path, tiny_store: Path) -> None:
    models = {"ours": {"recipe": "tiny.yaml"}, "supervised": {"kind": "supervised"}}
    evaluate = [
        {"kind": "zero-shot", "store": "store", "tasks": ["simulated"]},
        {"kind": "supervised", "store": "store", "tasks": ["simulated"]},
    ]
    plan = tiny_plan(tmp_path, tiny_store, models=models, evaluate=evaluate, cells=[])
    assert [item.kind for item in plan.items_of(of_name(plan, "supervised"))] == ["supervised"]
    assert [item.kind for item in plan.items_of(of_name(plan, "ours-all"))] == ["zero-shot"]


def test_models_that_never_learned_to_compare_ecgs_with_texts_are_not_asked_to(tmp_path: Path, tiny_store: Path) -> None:
    masked = ["objectives.info_nce=0", "objectives.ets=0", "objectives.mlm=0", "objectives.etm=0"]
    models = {
        "ours": {"recipe": "tiny.yaml"},
        "masked": {"recipe": "tiny.yaml", "set": masked},
        "fresh": {"kind": "random", "recipe": "tiny.yaml", "set": [*masked]},
    }
    asked = [{"kind": "probe", "store": "store", "tasks": ["simulated"], "fractions": [1.0]}]
    asked += [{"kind": "zero-shot", "store": "store", "tasks": ["simulated"]}, {"kind": "retrieval", "store": "store"}]
    plan = tiny_plan(tmp_path, tiny_store, models=models, evaluate=asked, cells=[])
    kinds = {cell.model: [item.kind for item in plan.items_of(cell)] for cell in plan.cells}
    assert kinds == {"ours": ["probe", "zero-shot", "retrieval"], "masked": ["probe"], "fresh": ["probe"]}


def test_a_store_or_recipe_that_is_not_there_is_named(tmp_path: Path, tiny_store: Path) -> None:
    path = study_file(tmp_path)
    with pytest.raises(StoreError, match="store"):
        plan_study(load_study(path), tmp_path / "nowhere", tmp_path)
    (tmp_path / "tiny.yaml").unlink()
    with pytest.raises(ConfigError, match=r"tiny\.yaml"):
        plan_study(load_study(path), tiny_store.parent, tmp_path)


def test_what_two_recipes_say_differently_is_told_key_by_key() -> None:
    one, other = said_by(tiny_recipe("objectives.mem=0")), said_by(tiny_recipe("training.batch=8"))
    assert differences(one, other) == {"objectives.mem": (0, None), "training.batch": (4, 8)}
