"""A head in another hospital: planted classes that the two name differently, and what must not be on both sides."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.evaluation.linear_probe import fit_probe
from cmelt.evaluation.metrics import auroc
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.results import plain
from cmelt.evaluation.shift import FEWEST, evaluate_shift
from cmelt.evaluation.tasks import Task, TaskClass

from .conftest import CLASSES, NORMAL, PlantedEmbedder, planted_store

FAST = Protocol((), bootstrap=60)
MODEL, RANDOM = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")


def shared_task(**changes):
    """The planted classes, "t:…" at home and "u:…" abroad."""
    classes = {name: TaskClass((f"t:{name}", f"u:{name}"), (f"it is {name}",), NORMAL) for name in CLASSES}
    return Task(**({"classes": classes, "name": "shift", "description": "Planted"} | changes))


def source_store(count=400, seed=0):
    store = planted_store(count, seed)
    store.index["source"] = "ptb-xl"
    store.index["origin"] = [f"records/{row}" for row in range(count)]
    store.index["samples"] = store.samples
    return store


def target_store(count=300, seed=1, noise=0.9):
    """Another hospital: its own codes, noisier, two parts of the Challenge."""
    store = planted_store(count, seed, noise)
    index = store.index
    index["labels"] = [[label.replace("t:", "u:") for label in labels] for labels in index["labels"]]
    index["source"] = "cinc2021"
    index["record"] = [f"A{row:04d}" if row % 2 else f"E{row:05d}" for row in range(count)]
    index["origin"] = [f"{'cpsc' if row % 2 else 'georgia'}/{row}" for row in range(count)]
    index["patient"] = [f"q{row}" for row in range(count)]
    index["fingerprint"] = [f"g{row}" for row in range(count)]
    index["samples"] = store.samples
    store.sha256 = "6" * 64
    return store


def test_the_head_learns_at_home_and_is_asked_abroad():
    source, target, task = source_store(), target_store(), shared_task()
    found = evaluate_shift(MODEL, RANDOM, source, target, task, FAST)
    train, names = source.rows("train"), source.index["patient"].to_numpy()
    head = fit_probe(
        MODEL.embed_ecgs(source.signal[train]),
        task.truth(source.index["labels"].iloc[train].tolist()),
        np.unique(names[train], return_inverse=True)[1],
        np.random.default_rng([0, 15, 0]),
    )
    scores = head.scores(MODEL.embed_ecgs(target.signal))
    truth = task.truth(target.index["labels"].tolist())
    for c, name in enumerate(CLASSES):
        assert found.head.model.classes[name].auroc.value == pytest.approx(auroc(scores[:, c], truth[:, c]))
        assert found.counts[name].positives == truth[:, c].sum()
        assert found.counts[name].train_positives == task.truth(source.index["labels"].iloc[train].tolist())[:, c].sum()
    assert found.source.train_records == len(train)
    assert found.target.records == len(target.index)  # of every split: nothing here was learned from
    np.testing.assert_allclose(found.per_record["head"], scores)


def test_the_random_encoder_goes_through_the_same_steps_and_stays_at_chance():
    found = evaluate_shift(MODEL, RANDOM, source_store(), target_store(), shared_task(), FAST)
    assert found.head.gain.low > 0.1
    assert found.head.random.macro_auroc.low < 0.5 < found.head.random.macro_auroc.high
    assert found.zero_shot["contrast"].model.macro_auroc.value > 0.7
    assert found.headline == "contrast"


def test_the_drop_is_that_of_the_same_classes_at_home():
    found = evaluate_shift(MODEL, RANDOM, source_store(), target_store(noise=1.5), shared_task(), FAST)
    home = [found.at_home.model.classes[name].auroc.value for name in found.at_home.model.classes]
    away = [found.head.model.classes[name].auroc.value for name in found.at_home.model.classes]
    assert found.drop.value == pytest.approx(np.mean(home) - np.mean(away))
    assert 0 < found.drop.low < found.drop.value < found.drop.high
    alike = evaluate_shift(MODEL, RANDOM, source_store(), target_store(noise=0.5), shared_task(), FAST).drop
    assert alike.low < 0 < alike.high


def test_two_hospitals_vary_independently_even_where_their_records_are_alike():
    source = source_store()
    home = source.rows("validation", "test")
    target = target_store(len(home))
    target.signal = source.signal[home]
    target.index["labels"] = [[label.replace("t:", "u:") for label in source.index["labels"][row]] for row in home]
    target.index["patient"] = [f"q{source.index['patient'][row]}" for row in home]
    drop = evaluate_shift(MODEL, RANDOM, source, target, shared_task(), FAST).drop
    assert drop.value == 0
    assert drop.low < -0.01 < 0.01 < drop.high


def test_calls_are_made_at_the_thresholds_of_home():
    target = target_store()
    before = evaluate_shift(MODEL, RANDOM, source_store(), target, shared_task(), FAST).head.model.decisions
    target.index["labels"] = target.index["labels"].sample(frac=1, random_state=0).to_numpy()
    after = evaluate_shift(MODEL, RANDOM, source_store(), target, shared_task(), FAST).head.model.decisions
    assert before.chosen_on == "the source's validation and test records"
    for name in CLASSES:
        assert before.classes[name].thresholds == after.classes[name].thresholds
    assert before.macro_f1.value > after.macro_f1.value + 0.1


def test_a_store_without_unseen_records_of_its_own_has_no_figures_at_home():
    source = source_store()
    source.index["split"] = "train"
    found = evaluate_shift(MODEL, RANDOM, source, target_store(), shared_task(), FAST)
    assert (found.at_home, found.drop, found.head.model.decisions) == (None, None, None)
    assert found.source.home_records == 0


def test_classes_too_rare_on_either_side_are_left_out_with_the_side_named():
    source, target = source_store(), target_store()
    fast = [row for row, labels in enumerate(target.index["labels"]) if "u:fast" in labels]
    keep = set(fast[: FEWEST - 1])
    target.index["labels"] = [
        [label for label in labels if label != "u:fast" or row in keep] for row, labels in enumerate(target.index["labels"])
    ]
    train = set(source.rows("train").tolist())
    source.index["labels"] = [
        [label for label in labels if label != "t:wide" or row not in train] for row, labels in enumerate(source.index["labels"])
    ]
    found = evaluate_shift(MODEL, RANDOM, source, target, shared_task(), FAST)
    assert found.classes == ("tall",)
    assert "target's records 4 positive" in found.left_out["fast"]
    assert "source's training records 0 positive" in found.left_out["wide"]
    assert set(found.counts) == set(CLASSES)


def test_copies_and_patients_of_the_head_s_records_are_not_asked():
    source, target = source_store(), target_store()
    train = source.rows("train")
    target.index.loc[3, "fingerprint"] = source.index["fingerprint"][train[0]]
    target.index.loc[5, "patient"] = source.index["patient"][train[1]]
    found = evaluate_shift(MODEL, RANDOM, source, target, shared_task(), FAST)
    assert not {3, 5} & set(found.per_record["rows"])
    assert found.target.records == len(target.index) - 2
    assert list(found.target.left_out.values()) == [2]


def test_ptb_xl_inside_the_challenge_is_not_asked_of_a_head_from_ptb_xl():
    target = target_store()
    target.index.loc[:29, "record"] = [f"HR{row:05d}" for row in range(30)]
    found = evaluate_shift(MODEL, RANDOM, source_store(), target, shared_task(), FAST)
    assert found.per_record["rows"].min() == 30
    assert found.target.left_out == {"of ptb-xl, which is on both sides": 30}
    assert found.source.left_out == {}


def test_ptb_xl_inside_the_challenge_is_not_learned_from_where_ptb_xl_is_asked():
    source, target = target_store(400), source_store(300, seed=4)
    source.index.loc[:99, "record"] = [f"HR{row:05d}" for row in range(100)]
    target.index["patient"] = [f"r{row}" for row in range(300)]
    target.index["fingerprint"] = [f"h{row}" for row in range(300)]
    found = evaluate_shift(MODEL, RANDOM, source, target, shared_task(), FAST)
    learned = source.rows("train")
    assert found.source.train_records == (learned >= 100).sum()
    assert found.source.left_out == {"of ptb-xl, which is on both sides": (learned < 100).sum()}
    assert found.source.home_records == (source.rows("validation", "test") >= 100).sum()
    assert found.target.records == 300


@pytest.mark.parametrize("part", ["georgia", "cpsc_2018", "cpsc/"])
def test_a_part_is_named_by_collection_or_beginning_of_origin(part):
    target = target_store()
    found = evaluate_shift(MODEL, RANDOM, source_store(), target, shared_task(), FAST, part)
    odd = part.startswith("cpsc")
    assert set(found.per_record["rows"] % 2) == {int(odd)}
    assert found.target.part == part


def test_one_part_of_the_challenge_is_asked_of_a_head_from_the_others():
    store = target_store(400)
    found = evaluate_shift(MODEL, RANDOM, store, store, shared_task(), FAST, "georgia")
    train = store.rows("train")
    assert found.source.train_records == (train % 2 == 1).sum()
    assert set(found.per_record["rows"] % 2) == {0}


def test_a_part_that_is_not_there_is_named():
    with pytest.raises(StoreError, match="ningbo"):
        evaluate_shift(MODEL, RANDOM, source_store(), target_store(), shared_task(), FAST, "ningbo")


def test_what_pre_training_has_seen_is_refused_or_left_out():
    target = target_store()
    known = PlantedEmbedder(seen=tuple(target.index["fingerprint"][:10]))
    with pytest.raises(StoreError, match=r"10 of the 300 .* --leave-out-known"):
        evaluate_shift(known, RANDOM, source_store(), target, shared_task(), FAST)
    found = evaluate_shift(known, RANDOM, source_store(), target, shared_task(), Protocol((), bootstrap=5, leave_out_known=True))
    assert found.target.left_out == {"known from pre-training": 10}
    assert found.per_record["rows"].min() == 10
    assert found.notes == ()
    unlisted = evaluate_shift(MODEL, RANDOM, source_store(), target, shared_task(), Protocol((), bootstrap=5))
    assert "no list" in unlisted.notes[0]


def test_the_source_asked_of_itself_leaves_nothing():
    store = source_store()
    with pytest.raises(StoreError, match="no record is left to ask: 400 of ptb-xl"):
        evaluate_shift(MODEL, RANDOM, store, store, shared_task(), FAST)


def test_stores_without_a_common_class_are_refused():
    target = target_store()
    target.index["labels"] = [["v:other"]] * len(target.index)
    with pytest.raises(StoreError, match="no class of task shift has 5 positives"):
        evaluate_shift(MODEL, RANDOM, source_store(), target, shared_task(), FAST)


def test_json_holds_figures_and_no_record():
    content = plain(evaluate_shift(MODEL, RANDOM, source_store(), target_store(), shared_task(), FAST))
    text = json.dumps(content, allow_nan=False)
    assert "per_record" not in text
    assert "A0001" not in text
    assert content["target"]["store"] == "6" * 64
