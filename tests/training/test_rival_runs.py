"""Every rival trains as its recipe says and hands on a model that can be loaded, embedded with and asked what it is good for."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cmelt.checkpoints import load_embedder
from cmelt.config import load_recipe
from cmelt.store import open_store
from cmelt.training.loop import pretrain
from cmelt.training.setup import model_of, tokenizer_of
from tiny_runs import Notes, losses_of, tiny_recipe

SHORT = ["training.batch=4", "training.epochs=null", "training.steps=2", "training.log_every=1", "training.average=0"]
TRAINED_BY = {
    "clip": {"info_nce"},
    "siglip": {"ets"},
    "merl": {"info_nce", "ecg_alignment"},
    "merl-resnet": {"info_nce", "ecg_alignment"},
    "masked-ecg": {"mem"},
    "simclr": {"ecg_alignment"},
    "paper-small": {"mlm", "mem", "etm", "ets"},
}
QUICK = "merl-resnet"


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in TRAINED_BY])
def test_a_rival_trains_by_its_objectives_alone_and_is_loaded_again(name, tiny_store, tmp_path):
    store = open_store(tiny_store)
    assert pretrain(load_recipe(name, SHORT), store, tmp_path / "run", Notes()) == 0
    for line in losses_of(tmp_path / "run"):
        assert line.keys() - {"step", "loss", "gradient_norm", "learning_rate"} == TRAINED_BY[name]
        assert np.isfinite(line["loss"])
    embedder = load_embedder(tmp_path / "run")
    embedded = embedder.embed_ecgs(store.millivolts(np.arange(3)))
    assert np.isfinite(embedded).all()
    assert np.abs(embedded[0] - embedded[1]).max() > 1e-4
    assert embedder.model.config.objective_settings.weights.keys() == TRAINED_BY[name]
    assert embedder.aligned is (name not in ("masked-ecg", "simclr"))
    told = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert told["name"] == name and "base" not in told and told["optimiser"]["rate"] == load_recipe(name).optimiser.rate


@pytest.mark.slow
@pytest.mark.parametrize("name", ["masked-ecg", "simclr"])
def test_a_rival_that_reads_no_report_leaves_the_text_tower_as_it_was_drawn(name, tiny_store, tmp_path):
    from cmelt.batches.corpus import corpus_of

    store, recipe = open_store(tiny_store), load_recipe(name, SHORT)
    assert pretrain(recipe, store, tmp_path / "run", Notes()) == 0
    drawn = model_of(recipe, tokenizer_of(tmp_path / "run", recipe, corpus_of(store))).state_dict()
    trained = load_file(tmp_path / "run" / "model" / "model.safetensors")
    for part, moved in (("text_encoder.", False), ("text_projection.", False), ("ecg_encoder.", True), ("ecg_projection.", True)):
        names = [key for key in trained if key.startswith(part)]
        assert names
        assert any(not torch.equal(trained[key], drawn[key]) for key in names) is moved, part


def test_negatives_of_the_same_batch_need_no_table_and_their_coverage_is_told(tiny_store, tmp_path):
    recipe = tiny_recipe("negatives.strategy=in_batch", "training.steps=2")
    store, notes = open_store(tiny_store), Notes()
    assert pretrain(recipe, store, tmp_path / "run", notes) == 0
    assert not (tmp_path / "run" / "negatives" / "candidates.npy").exists()
    told = json.loads((tmp_path / "run" / "negatives" / "coverage.json").read_text())
    assert told["text_only"]["accuracy"] < 0.7 and told["coverage"]["reachable"] > 0.9  # any report, as often as it occurs
    assert any("negatives (in_batch)" in said for said in notes.said)
    assert pretrain(recipe, store, tmp_path / "run", Notes()) == 0  # the same again: nothing is missing


@pytest.mark.slow
def test_simclr_s_two_views_come_to_agree(tiny_store, tmp_path):
    """Of 8 ECGs, each searching 15 candidates: chance is log 15; a few dozen steps on 60 records do better."""
    notes = Notes()
    short = [*SHORT, "training.batch=8", "training.steps=40", "optimiser.warm_up=0.1"]
    assert pretrain(load_recipe("simclr", short), open_store(tiny_store), tmp_path / "run", notes) == 0
    last = np.mean([step["ecg_alignment"] for step in notes.steps[-10:]])
    assert last < 0.8 * np.log(15)
