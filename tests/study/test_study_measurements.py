"""What a study measures of a model is what `cmelt evaluate` says of it, whichever way it is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.model_embedder import ModelEmbedder
from cmelt.evaluation.identification import evaluate_identification
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.retrieval import evaluate_retrieval
from cmelt.evaluation.shift import evaluate_shift
from cmelt.evaluation.tasks import load_task
from cmelt.sources.simulated import Simulated
from cmelt.store import ShardSettings, Store, open_store, prepare_store
from cmelt.study.cells import Item, Plan
from cmelt.study.evaluations import measure
from cmelt.study.outcomes import SPLITS, Hits, Scores, figures_of
from cmelt.study.subject import Subject
from tiny_runs import RATE, SAMPLES
from tiny_studies import folder_of, tiny_plan

QUICK = Protocol((), bootstrap=2)
TASK = """
classes:
  normal: {labels: ["sim:normal"], prompts: [normal ecg], negative_prompts: [abnormal ecg]}
"""


def ours(world: tuple[Plan, Path]) -> tuple[Subject, ModelEmbedder]:
    """The trained model as a study's subject, and as `cmelt evaluate` reads it."""
    plan, out = world
    cell = next(cell for cell in plan.cells if cell.model == "ours")
    return Subject(cell, folder_of(out, cell)), load_embedder(folder_of(out, cell) / "run")


def only_item(world: tuple[Plan, Path], stores: Path, asked: dict) -> Item:
    _, out = world
    own = tiny_plan(out.parent, stores, evaluate=[asked])
    (item,) = own.items_of(next(cell for cell in own.cells if cell.model == "ours"))
    return item


def test_retrieval_keeps_of_each_record_whether_it_was_found(world: tuple[Plan, Path], tiny_store: Path) -> None:
    subject, embedder = ours(world)
    found = measure(only_item(world, tiny_store, {"kind": "retrieval", "store": "store"}), subject)
    truth = evaluate_retrieval(embedder, embedder, open_store(tiny_store), QUICK)
    assert isinstance(found, Hits)
    for way, result in truth.directions.items():
        for k, share in result.model.within.items():
            assert figures_of(found)[f"{way} R@{k}"] == pytest.approx(share.value, abs=1e-6)
    np.testing.assert_array_equal(found.rows, np.sort(truth.per_record["rows"]))


@pytest.mark.parametrize("splits", [(), ("test",)])
def test_patients_are_identified_in_the_splits_that_are_named(world: tuple[Plan, Path], tmp_path: Path, splits: tuple) -> None:
    store = _people_who_come_again(tmp_path / "store")
    subject, embedder = ours(world)
    item = only_item(world, tmp_path / "store", {"kind": "identification", "store": "store", "splits": list(splits)})
    found = measure(item, subject)
    truth = evaluate_identification(embedder, embedder, store, Protocol((), bootstrap=2, splits=splits))
    assert isinstance(found, Hits)
    assert found.rows.tolist() == sorted(truth.per_record["rows"])
    assert set(store.index["split"].iloc[found.rows]) <= set(splits or ("validation", "test"))
    for k, share in truth.accuracy.model.within.items():
        assert figures_of(found)[f"top-{k}"] == pytest.approx(share.value, abs=1e-6)


def _people_who_come_again(folder: Path) -> Store:
    prepare_store(Simulated(60, patients=15, seed=78, rate=RATE), folder, ShardSettings(RATE, SAMPLES / RATE, "first", "a key"))
    return open_store(folder)


def test_a_head_is_asked_of_the_other_store_s_records(
    world: tuple[Plan, Path], tiny_store: Path, elsewhere: Path, tmp_path: Path
) -> None:
    subject, embedder = ours(world)
    for name, place in (("store", tiny_store), ("other", elsewhere)):
        (tmp_path / name).symlink_to(place)
    task = tmp_path / "normal.yaml"
    task.write_text(TASK)
    asked = {"kind": "shift", "store": "store", "target": "other", "tasks": [str(task)]}
    item = only_item(world, tmp_path / "store", asked)
    assert item.what == "shift to other"
    found = measure(item, subject)
    source, target = open_store(tiny_store), open_store(elsewhere)
    truth = evaluate_shift(embedder, embedder, source, target, load_task(task), QUICK)
    assert isinstance(found, Scores)
    np.testing.assert_array_equal(found.rows, truth.per_record["rows"])
    np.testing.assert_allclose(found.scores[0], truth.per_record["head"], atol=1e-4)
    labels = target.index["labels"].iloc[found.rows]
    assert found.truth[:, 0].tolist() == ["sim:normal" in carried for carried in labels]
    assert [SPLITS[place] for place in found.split] == target.index["split"].iloc[found.rows].tolist()
    assert found.log_odds


def test_a_scoring_that_is_named_takes_the_headline_s_place(world: tuple[Plan, Path], tiny_store: Path) -> None:
    subject, _ = ours(world)
    asked = {"kind": "zero-shot", "store": "store", "tasks": ["simulated"]}
    found = {}
    for scoring in ("headline", "contrast", "similarity"):
        one = measure(only_item(world, tiny_store, asked | {"scoring": scoring}), subject)
        assert isinstance(one, Scores)
        found[scoring] = one.scores
    assert load_task("simulated").headline == "similarity"
    np.testing.assert_array_equal(found["headline"], found["similarity"])
    assert not np.allclose(found["headline"], found["contrast"])
