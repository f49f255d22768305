"""Fine-tuning on simulated ECGs with a tiny model: controls beside it, leads hidden, nothing chosen on measured labels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cmelt.baselines.supervised import SUPERVISED
from cmelt.checkpoints.model_embedder import ModelEmbedder
from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation import fine_tune as tuning
from cmelt.evaluation.fine_tune import FINE_TUNING, FineTuneSettings, fine_tune
from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.protocol import Protocol
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.records.record import LEAD_SETS, LEADS
from tiny_runs import tiny_recipe

from .conftest import planted_store, planted_task

QUICK = FineTuneSettings(leads=(12, 1), epochs=2)
PROTOCOL = Protocol(bootstrap=40, draws=2)


def tiny_embedder(samples: int = 50) -> ModelEmbedder:
    """A model for the planted store: 100 Hz, 50 samples, weights from a seed."""
    sizes = ("stem_channels=[8,8]", "position_kernel=4", "amplitude=true", f"samples={samples}")
    recipe = tiny_recipe(*(f"model.ecg.{size}" for size in sizes))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CMeltModel(CMeltConfig.of(recipe.model)).eval()
    return ModelEmbedder(model, None, "tiny", torch.device("cpu"), ())


def loud_store(count=300):
    """The planted store with its classes' strengths as the size of a wave in their leads."""
    store = planted_store(count, noise=0.3)
    wave = np.sin(2 * np.pi * 6 * np.arange(50) / 100).astype(np.float32)
    store.signal[:, :3] += 2 * np.abs(store.signal[:, :3, :1]) * wave
    return store


@pytest.fixture(scope="module")
def results():
    return fine_tune(tiny_embedder(), loud_store(), planted_task(), QUICK, PROTOCOL)


def test_each_lead_set_has_the_model_and_both_controls(results):
    assert [line.leads for line in results.lines] == [12, 1]
    assert results.line(1).lead_names == ("I",)
    assert results.line(12).comparison.supervised.macro_auroc.low > 0.55  # two epochs, but it has begun to learn
    for line in results.lines:
        comparison = line.comparison
        assert set(line.draw_auroc) == {"model", "random", "supervised"}
        for side in ("model", "random", "supervised"):
            performance = getattr(comparison, side)
            assert performance.macro_auroc.value == pytest.approx(line.draw_auroc[side][0])
            assert performance.decisions.chosen_on == "validation"
        assert comparison.gain.value == pytest.approx(line.draw_auroc["model"][0] - line.draw_auroc["random"][0])
        assert comparison.supervised_gain.value == pytest.approx(
            comparison.model.macro_auroc.value - comparison.supervised.macro_auroc.value
        )
    assert results.line(12).cost is None
    expected = results.line(12).comparison.model.macro_auroc.value - results.line(1).comparison.model.macro_auroc.value
    assert results.line(1).cost.value == pytest.approx(expected)
    assert results.line(1).cost.low <= expected <= results.line(1).cost.high


def test_scores_of_every_record_and_training_are_kept(results):
    store = loud_store()
    assert set(results.scores) == {f"{n} leads, 1, {side}" for n in (12, 1) for side in ("model", "random", "supervised")}
    assert results.scores["12 leads, 1, model"].shape == (1, results.records, 3)
    np.testing.assert_array_equal(results.rows, store.rows("validation", "test"))
    np.testing.assert_array_equal(results.truth[:, 0], ["t:fast" in store.index.labels[row] for row in results.rows])


def test_json_holds_figures_and_settings_and_neither_scores_nor_weights(results):
    content = json.loads(json.dumps(results.to_json(), allow_nan=False))
    assert (content["format"], content["format_version"]) == ("cmelt-fine-tuning", 1)
    assert not {"scores", "rows", "truth", "classifier"} & content.keys()
    assert content["settings"]["epochs"] == 2
    assert content["settings"]["training"]["optimiser"]["rate"] == FINE_TUNING.optimiser.rate
    assert content["lines"][1]["comparison"]["supervised"]["macro_auroc"]["value"] > 0
    assert content["lines"][0]["cost"] is None
    assert content["counts"]["fast"]["train_positives"] > 0


def test_a_single_lead_knows_nothing_of_the_others(results):
    """Other signals in every lead but I, of training and evaluated records alike, change no score of any 1-lead network."""
    store = loud_store()
    store.signal[:, 1:] = np.random.default_rng(1).normal(size=store.signal[:, 1:].shape)
    found = fine_tune(tiny_embedder(), store, planted_task(), QUICK, PROTOCOL)
    for side in ("model", "random", "supervised"):
        np.testing.assert_array_equal(found.scores[f"1 leads, 1, {side}"], results.scores[f"1 leads, 1, {side}"])
        assert not np.array_equal(found.scores[f"12 leads, 1, {side}"], results.scores[f"12 leads, 1, {side}"])


def test_labels_of_evaluated_records_change_no_score(results):
    store = loud_store()
    measured = store.rows("validation", "test")
    labels = store.index["labels"].tolist()
    turned = dict(zip(measured, np.random.default_rng(0).permutation(measured), strict=True))
    store.index["labels"] = [labels[turned.get(row, row)] for row in range(len(labels))]
    found = fine_tune(tiny_embedder(), store, planted_task(), replace(QUICK, leads=(12,)), PROTOCOL)
    np.testing.assert_array_equal(found.scores["12 leads, 1, model"], results.scores["12 leads, 1, model"])
    np.testing.assert_array_equal(found.scores["12 leads, 1, supervised"], results.scores["12 leads, 1, supervised"])


def test_shares_are_drawn_as_for_the_probes_and_trained_longer(monkeypatch):
    seen = []
    monkeypatch.setattr(tuning, "train_classifier", lambda network, records, settings, *_: seen.append((records.rows, settings)))
    shares = FineTuneSettings(leads=(12,), fractions=(0.25, 1.0), epochs=3, supervised=None)
    found = fine_tune(tiny_embedder(), loud_store(), planted_task(), shares, PROTOCOL)
    assert [(line.fraction, line.records, line.seeds) for line in found.lines] == [
        (0.25, round(0.25 * found.train_records), (0, 1)),
        (1.0, found.train_records, (0,)),
    ]
    quarters, wholes = seen[:4], seen[4:]
    np.testing.assert_array_equal(quarters[0][0], quarters[1][0])  # model and control learn from the same records
    assert not np.array_equal(quarters[0][0], quarters[2][0])
    assert [s.epochs for _, s in quarters] == [6] * 4
    assert [s.epochs for _, s in wholes] == [3] * 2
    assert [s.seed for _, s in quarters] == [0, 0, 1, 1]


def test_the_control_is_not_held_back_by_a_rate_that_is_made_for_pre_trained_weights():
    wanted = FineTuneSettings()
    assert wanted.of("model", 1.0, 7).optimiser.encoder_share == FINE_TUNING.optimiser.encoder_share < 1
    assert FINE_TUNING.optimiser.encoder_share < wanted.of("random", 1.0, 7).optimiser.encoder_share < 1
    assert replace(wanted.of("random", 1.0, 7), optimiser=FINE_TUNING.optimiser) == replace(FINE_TUNING, seed=7)
    assert wanted.of("supervised", 1.0, 7) == replace(SUPERVISED, seed=7)
    assert replace(wanted, epochs=4).of("supervised", 0.25, 0).epochs == 8


def test_the_classifier_handed_on_is_the_one_that_was_measured(results):
    given, store = results.classifier, loud_store()
    assert (given.leads, given.classes, given.window) == (LEADS, ("fast", "wide", "tall"), 500)  # 5 s
    with torch.no_grad():
        logits = given.network.eval()(torch.from_numpy(store.millivolts(results.rows)))
    np.testing.assert_allclose(logits.numpy(), results.scores["12 leads, 1, model"][0], atol=1e-4)
    thresholds = results.line(12).comparison.model.decisions.classes["fast"].thresholds
    assert given.thresholds[0] == pytest.approx(sigmoid(np.array(thresholds[0])))
    rows = store.rows("train")
    assert set(given.seen) == {*store.index["fingerprint"].iloc[rows], *store.people(rows)}


def test_the_pre_trained_model_stays_as_it_is(results):
    embedder = tiny_embedder()
    before = {name: weight.clone() for name, weight in embedder.model.state_dict().items()}
    fine_tune(embedder, loud_store(80), planted_task(), replace(QUICK, leads=(12,), epochs=1, supervised=None), PROTOCOL)
    assert all(torch.equal(weight, before[name]) for name, weight in embedder.model.state_dict().items())


def test_lead_sets_are_those_of_the_challenge():
    assert LEAD_SETS[6] == ("I", "II", "III", "aVR", "aVL", "aVF")
    assert (LEAD_SETS[4], LEAD_SETS[3], LEAD_SETS[2]) == (("I", "II", "III", "V2"), ("I", "II", "V2"), ("I", "II"))
    assert all(set(names) <= set(LEADS) and len(names) in (0, n) for n, names in LEAD_SETS.items())


@pytest.mark.parametrize("change", [{"leads": (5,)}, {"leads": ()}, {"leads": (1, 1)}, {"fractions": (0.0,)}, {"repeats": 0}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(ConfigError):
        FineTuneSettings(**change)


def test_seen_records_and_stores_of_another_form_are_refused():
    store = loud_store(80)
    with pytest.raises(StoreError, match="50 samples"):
        fine_tune(tiny_embedder(100), store, planted_task(), QUICK, PROTOCOL)
    store.index.loc[store.rows("test")[0], "fingerprint"] = store.index.loc[store.rows("train")[0], "fingerprint"]
    with pytest.raises(StoreError, match="identical signals"):
        fine_tune(tiny_embedder(), store, planted_task(), QUICK, PROTOCOL)


def test_progress_is_told_by_training():
    told = []
    once = replace(QUICK, leads=(1,), epochs=1)
    fine_tune(tiny_embedder(), loud_store(80), planted_task(), once, PROTOCOL, lambda *stage: told.append(stage))
    assert list(dict.fromkeys(stage for stage, *_ in told)) == ["1 leads, model", "1 leads, random", "1 leads, supervised"]
    assert all(done <= total for _, done, total in told)
