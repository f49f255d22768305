"""The whole evaluation on a planted world: right figures, no leaks, refusals that say what to do."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation import probes as probing
from cmelt.evaluation.embedder import embed_rows, patients_of
from cmelt.evaluation.evaluate import evaluate, evaluate_tasks
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.results import envelope
from cmelt.evaluation.tasks import TaskClass

from .conftest import CLASSES, PlantedEmbedder, planted_store, planted_task

QUICK = Protocol(fractions=(0.1, 1.0), draws=2, bootstrap=100)


@pytest.fixture(scope="module")
def results():
    store, task = planted_store(), planted_task()
    return evaluate_tasks(PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random"), store, [task], QUICK)[0]


def test_the_planted_signal_is_found_and_the_control_finds_none(results):
    shot = results.best_zero_shot
    assert results.headline == "contrast"
    assert shot.model.macro_auroc.low > 0.9
    assert shot.random.macro_auroc.low < 0.5 < shot.random.macro_auroc.high
    assert shot.gain.low > 0.3
    assert shot.text_only == 0.5
    assert shot.shuffled.low < 0.5 < shot.shuffled.high
    assert shot.supervised is None
    for probe in results.probes:
        assert probe.comparison.model.macro_auroc.value > 0.9
        assert probe.comparison.gain.low > 0.2


def test_counts_are_those_of_the_evaluated_and_training_records(results):
    store = planted_store()
    rows = store.rows("validation", "test")
    for name in CLASSES:
        expected = sum(f"t:{name}" in store.index.labels[row] for row in rows)
        assert results.counts[name].positives == expected
        assert results.counts[name].prevalence == pytest.approx(expected / len(rows))
        assert results.counts[name].train_positives == sum(f"t:{name}" in store.index.labels[r] for r in store.rows("train"))
    assert (results.records, results.train_records) == (len(rows), len(store.rows("train")))
    assert results.patients == store.index.patient[rows].nunique()


def test_shares_draws_and_seeds_are_recorded(results):
    tenth, whole = results.probes
    assert (tenth.fraction, tenth.seeds, len(tenth.strengths), len(tenth.draw_auroc)) == (0.1, (0, 1), 2, 2)
    assert (whole.fraction, whole.seeds, whole.records) == (1.0, (0,), results.train_records)
    assert tenth.records == round(0.1 * results.train_records)
    assert np.mean(tenth.draw_auroc) == pytest.approx(tenth.comparison.model.macro_auroc.value)


def test_results_become_json_without_examples(results):
    content = json.loads(json.dumps(envelope([results]), allow_nan=False))
    assert (content["format"], content["version"]) == ("cmelt-evaluation", 2)
    entry = content["results"]["planted"]
    assert "examples" not in entry
    assert entry["store"]["sha256"] == "5" * 64
    assert (entry["model"], entry["control"]) == ("planted", "random")
    assert entry["zero_shot"]["contrast"]["model"]["macro_auroc"]["value"] == results.best_zero_shot.model.macro_auroc.value
    assert entry["zero_shot"]["contrast"]["supervised"] is None
    assert entry["task"]["classes"]["fast"]["prompts"] == ["it is fast", "fast indeed"]
    assert entry["version"]


def test_the_same_seed_gives_the_same_results_and_another_one_others(results):
    store, task = planted_store(), planted_task()
    sides = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
    assert evaluate_tasks(*sides, store, [task], QUICK)[0] == results
    other = evaluate_tasks(*sides, store, [task], replace(QUICK, seed=1))[0]
    assert other.best_zero_shot.model.macro_auroc.value == results.best_zero_shot.model.macro_auroc.value
    assert other.best_zero_shot.model.macro_auroc.low != results.best_zero_shot.model.macro_auroc.low
    assert other.probes[0].draw_auroc != results.probes[0].draw_auroc


def test_probes_cannot_see_evaluated_labels(monkeypatch):
    """Shuffle all evaluated records' labels: the figures fall to chance, the fitted models stay what they were, bit for bit."""
    fitted: list[list] = []
    true_fit = probing.fit_probe

    def recording(*arguments):
        probe = true_fit(*arguments)
        fitted[-1].append((probe.layer.weights, probe.layer.intercepts, probe.strength))
        return probe

    monkeypatch.setattr(probing, "fit_probe", recording)
    aurocs = []
    for shuffled in (False, True):
        store = planted_store()
        if shuffled:
            rows = store.rows("validation", "test")
            labels = store.index["labels"].tolist()
            exchanged = dict(zip(rows, np.random.default_rng(0).permutation(rows), strict=True))
            store.index["labels"] = [labels[exchanged.get(row, row)] for row in range(len(labels))]
        fitted.append([])
        found = evaluate_tasks(PlantedEmbedder(), PlantedEmbedder(blind=True), store, [planted_task()], QUICK)[0]
        aurocs.append(found.probes[-1].comparison.model.macro_auroc.value)
    assert aurocs[0] > 0.9
    assert abs(aurocs[1] - 0.5) < 0.1
    assert len(fitted[0]) == len(fitted[1]) == 2 * (2 + 1)
    for (w, b, c), (other_w, other_b, other_c) in zip(*fitted, strict=True):
        np.testing.assert_array_equal(w, other_w)
        np.testing.assert_array_equal(b, other_b)
        assert c == other_c


def test_model_and_control_learn_from_the_same_records(monkeypatch):
    seen = []
    true_fit = probing.fit_probe
    monkeypatch.setattr(probing, "fit_probe", lambda x, y, p, rng: seen.append((y.copy(), p.copy())) or true_fit(x, y, p, rng))
    evaluate_tasks(PlantedEmbedder(), PlantedEmbedder(blind=True), planted_store(200), [planted_task()], QUICK)
    for (y, p), (other_y, other_p) in zip(seen[::2], seen[1::2], strict=True):
        np.testing.assert_array_equal(y, other_y)
        np.testing.assert_array_equal(p, other_p)


def test_records_are_embedded_once_for_several_tasks():
    model, control = PlantedEmbedder(), PlantedEmbedder(blind=True)
    tasks = [planted_task(), planted_task(name="again", population="labelled")]
    evaluate_tasks(model, control, planted_store(), tasks, QUICK)
    assert sum(model.calls) == sum(control.calls) == 600
    assert max(model.calls) <= 64


def test_without_a_probe_training_records_are_not_even_embedded(store, task):
    model = PlantedEmbedder()
    found = evaluate(model, PlantedEmbedder(blind=True), store, task, probe=False, bootstrap=50)
    assert found.probes == ()
    assert sum(model.calls) == found.records == len(store.rows("validation", "test"))


def test_progress_is_told(store, task):
    told = []
    evaluate_tasks(PlantedEmbedder(), PlantedEmbedder(blind=True), store, [task], QUICK, lambda *stage: told.append(stage))
    assert told[0][0] == "embedding, model"
    assert ("embedding, random control", 600, 600) in told
    assert told[-1] == ("linear probes, planted", 2, 2)


def test_labelled_population_is_evaluated_alone(store, embedder, blind):
    found = evaluate(embedder, blind, store, planted_task(population="labelled"), probe=False, bootstrap=50)
    rows = store.rows("validation", "test")
    assert found.records == sum(store.index.labels[row] != ["t:none"] for row in rows) < len(rows)


def test_classes_without_figures_are_left_out_and_listed(store, embedder, blind):
    classes = {
        **planted_task().classes,
        "absent": TaskClass(("t:absent",), ("absent",)),
        "always": TaskClass(tuple(f"t:{n}" for n in (*CLASSES, "none")), ("always",)),
    }
    train = store.rows("train")
    kept = [[label for label in labels if label != "t:tall"] or ["t:none"] for labels in store.index["labels"]]
    store.index["labels"] = [kept[i] if i in train else labels for i, labels in enumerate(store.index["labels"])]
    found = evaluate_tasks(embedder, blind, store, [planted_task(classes=classes)], QUICK)[0]
    assert found.left_out == {
        "tall": "no training record to learn it from: zero-shot only",
        "absent": "no evaluated record is positive",
        "always": "every evaluated record is positive",
    }
    assert list(found.best_zero_shot.model.classes) == list(CLASSES)
    assert list(found.probes[0].comparison.model.classes) == ["fast", "wide"]
    assert found.counts["absent"].positives == 0


def test_a_task_chooses_what_is_quoted_first_and_both_are_reported(store, embedder, blind, task):
    result = evaluate(embedder, blind, store, replace(task, headline="similarity"), probe=False, bootstrap=20)
    assert result.headline == "similarity"
    assert set(result.zero_shot) == {"similarity", "contrast"}
    assert result.best_zero_shot is result.zero_shot["similarity"]


def test_splits_can_be_chosen(store, embedder, blind, task):
    found = evaluate_tasks(embedder, blind, store, [task], replace(QUICK, splits=("test",)))[0]
    assert found.splits == ("test",)
    assert found.records == len(store.rows("test"))
    assert not found.notes


def test_training_records_are_evaluated_only_without_a_probe_and_with_a_note(store, embedder, blind, task):
    everything = ("train", "validation", "test")
    with pytest.raises(ConfigError, match="probe"):
        evaluate_tasks(embedder, blind, store, [task], replace(QUICK, splits=everything))
    found = evaluate_tasks(embedder, blind, store, [task], replace(QUICK, splits=everything, fractions=()))[0]
    assert found.records == 600
    assert "training" in found.notes[0]


@pytest.mark.parametrize(("change", "words"), [({"rate": 500.0}, "500 Hz"), ({"samples": 5000}, "5000 samples")])
def test_a_store_in_another_form_is_refused_naming_both(store, blind, task, change, words):
    embedder = PlantedEmbedder(**change)
    with pytest.raises(StoreError, match=words) as caught:
        evaluate(embedder, blind, store, task)
    assert "100 Hz" in str(caught.value) or "50 samples" in str(caught.value)
    assert "prepare" in caught.value.remedy
    assert not embedder.calls


def test_leads_in_another_order_are_refused(store, blind, task):
    with pytest.raises(StoreError, match="leads"):
        evaluate(PlantedEmbedder(leads=store.leads[::-1]), blind, store, task)


def test_seen_records_are_refused_before_anything_is_embedded(store, embedder, blind, task):
    store.index.loc[store.rows("test")[0], "fingerprint"] = store.index.loc[store.rows("train")[0], "fingerprint"]
    with pytest.raises(StoreError, match="identical signals"):
        evaluate(embedder, blind, store, task)
    assert not embedder.calls


def test_a_task_without_its_labels_in_the_store_says_so(store, embedder, blind):
    absent = planted_task(classes={"a": TaskClass(("x",), ("a",))})
    with pytest.raises(StoreError, match="both positives and negatives"):
        evaluate(embedder, blind, store, absent)
    with pytest.raises(StoreError, match="no record of task"):
        evaluate(embedder, blind, store, replace(absent, population="labelled"))


def test_two_tasks_of_one_name_are_refused(store, embedder, blind, task):
    with pytest.raises(ConfigError, match="planted"):
        evaluate_tasks(embedder, blind, store, [task, task], QUICK)


@pytest.mark.parametrize("change", [{"fractions": (0.0,)}, {"fractions": (2.0,)}, {"draws": 0}, {"bootstrap": 0}])
def test_impossible_protocols_are_refused(change):
    with pytest.raises(ConfigError):
        Protocol(**change)


def test_damaged_embeddings_are_refused(store):
    class Damaged(PlantedEmbedder):
        def embed_ecgs(self, millivolts):
            return super().embed_ecgs(millivolts) * np.nan

    with pytest.raises(StoreError, match="not finite"):
        embed_rows(Damaged(), store, np.arange(3))


def test_records_without_a_patient_are_patients_of_their_own(store):
    store.index.loc[:3, "patient"] = ""
    groups = patients_of(store.index, np.arange(8))
    assert len(set(groups[:4])) == 4
    assert groups[4] == groups[5]
    assert groups[6] == groups[7]


def test_examples_are_of_the_best_and_the_worst_class(results):
    areas = {name: figures.auroc.value for name, figures in results.best_zero_shot.model.classes.items()}
    hit, miss, alarm = results.examples
    store = planted_store()
    assert hit.class_name == max(areas, key=areas.get)
    assert miss.class_name == alarm.class_name == min(areas, key=areas.get)
    assert f"t:{hit.class_name}" in store.index.labels[hit.row]
    assert f"t:{miss.class_name}" in store.index.labels[miss.row]
    assert f"t:{alarm.class_name}" not in store.index.labels[alarm.row]
    assert hit.rank < 0.1 * results.records
    assert miss.score < alarm.score
