"""An imported model is a model folder as any other: found, loaded, asked, with named leads in the channels they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import cmelt
from cmelt.checkpoints import load_embedder, load_model
from cmelt.errors import CheckpointError, ConfigError
from cmelt.interop import dbeta_folder, import_dbeta, load_dbeta
from cmelt.interop.dbeta_sizes import MIMIC_LEADS
from cmelt.model.ecg_classifier import classifier_of
from cmelt.publishing import verify
from cmelt.records.record import LEADS
from cmelt.text import train_tokenizer
from dbeta_release import WITH_WORDS, write_random
from ecg_files import heart, record, write_wfdb
from tiny_runs import RATE, SAMPLES, tiny_recipe

REPORTS = ["sinus rhythm. normal ecg.", "atrial fibrillation with rapid response.", "left bundle branch block."] * 4
AS_FED = [LEADS.index(lead) for lead in MIMIC_LEADS]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("theirs"), WITH_WORDS)[0]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    train_tokenizer(REPORTS, 400).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def imported(checkpoint, words, tmp_path_factory):
    return import_dbeta(checkpoint, tmp_path_factory.mktemp("models") / "dbeta", WITH_WORDS, words)


@pytest.fixture(scope="module")
def wordless(checkpoint, tmp_path_factory):
    return import_dbeta(checkpoint, tmp_path_factory.mktemp("models") / "wordless", WITH_WORDS)


@pytest.fixture(scope="module")
def theirs(checkpoint):
    return load_dbeta(checkpoint, WITH_WORDS)


def unit(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=1).numpy()


def test_the_folder_says_where_its_weights_came_from(imported, checkpoint):
    manifest = verify(imported.folder)
    assert manifest["imported"]["leads"] == list(MIMIC_LEADS)
    assert len(manifest["imported"]["checkpoint_sha256"]) == 64
    card = (imported.folder / "README.md").read_text()
    assert "CC BY-NC" in card and "MIMIC-IV-ECG" in card and "aVR, aVF, aVL" in card
    assert imported.parameters == sum(one.numel() for one in load_dbeta(checkpoint, WITH_WORDS).parameters())


def test_what_is_read_back_is_what_was_imported_leads_included(imported, theirs):
    again = load_model(imported.folder)
    assert again.settings == theirs.settings
    assert again.settings.ecg.lead_order == MIMIC_LEADS
    state = theirs.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    assert json.loads((imported.folder / "config.json").read_text())["settings"]["ecg"]["lead_order"][4] == "aVF"


def test_named_leads_go_to_their_channels_from_files_and_arrays_in_any_order(imported, theirs, tmp_path):
    model, processor = cmelt.load(imported.folder, device="cpu")
    assert processor.leads == MIMIC_LEADS
    signal = heart(3, rate=500.0)
    with torch.no_grad():
        expected = unit(theirs.embed_ecg(torch.from_numpy(signal[None, AS_FED])))
        by_position = unit(theirs.embed_ecg(torch.from_numpy(signal[None])))
    assert np.abs(expected - by_position).max() > 1e-3  # taken by position, the two leads would be exchanged
    shuffled = ("V6", "aVR", "I", "V1", "aVF", "V2", "III", "V5", "aVL", "V3", "II", "V4")
    of_array = cmelt.record_of(signal, rate=500, unit="mV", leads=LEADS)
    for source in (record(3, 500.0), record(3, 500.0, leads=shuffled), record(3, 500.0, leads=MIMIC_LEADS), of_array):
        np.testing.assert_allclose(cmelt.embed(model, processor, source), expected, atol=1e-5)
    file = write_wfdb(tmp_path / "r", signal[AS_FED], rate=500.0, leads=MIMIC_LEADS)
    np.testing.assert_allclose(cmelt.embed(model, processor, file), expected, atol=1e-3)  # rounded to a microvolt
    prepared = processor.record(record(3, 500.0)).ecg
    np.testing.assert_array_equal(prepared[0], signal[AS_FED])
    with torch.no_grad():
        np.testing.assert_allclose(unit(model.embed_ecg(torch.from_numpy(prepared))), expected, atol=1e-5)


def test_a_store_s_records_go_to_their_channels(imported, theirs):
    embedder = load_embedder(imported.folder, device="cpu")
    assert embedder.leads == LEADS  # what a store has, so that it fits
    signal = np.stack([heart(seed, rate=500.0) for seed in range(3)])
    with torch.no_grad():
        expected = unit(theirs.embed_ecg(torch.from_numpy(signal[:, AS_FED])))
    np.testing.assert_allclose(embedder.embed_ecgs(signal), expected, atol=1e-5)
    control = load_embedder(imported.folder, random=True, device="cpu")
    assert control.model.settings == embedder.model.settings
    assert torch.isfinite(control.model.ecg_decoder.positions).all()


def test_fine_tuning_starts_from_what_the_weights_know_of_each_lead(theirs):
    network = classifier_of(theirs, 2, 0.0, seed=0).eval()
    signal = torch.from_numpy(heart(1, rate=500.0)[None])
    with torch.no_grad():
        torch.testing.assert_close(network.ecg_encoder(signal), theirs.embed_ecg(signal[:, AS_FED]))


def test_a_recipe_cannot_ask_for_leads_in_an_order_of_its_own():
    from cmelt.training.setup import check_store

    store = SimpleNamespace(rate=RATE, samples=SAMPLES, leads=LEADS, path="store")
    check_store(store, tiny_recipe())
    with pytest.raises(ConfigError, match="lead_order"):
        check_store(store, tiny_recipe(f"model.ecg.lead_order={json.dumps(MIMIC_LEADS)}"))


def test_it_answers_with_its_tokenizer(imported, theirs):
    model, processor = cmelt.load(imported.folder, device="cpu")
    texts = processor.texts(["sinus rhythm.", "atrial fibrillation with rapid response."])
    with torch.no_grad():
        expected = unit(theirs.embed_text(torch.from_numpy(texts.ids), torch.from_numpy(texts.mask)))
    found = cmelt.embed_texts(model, processor, ["sinus rhythm.", "atrial fibrillation with rapid response."])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    scores = cmelt.classify(model, processor, record(1, 500.0), {"af": ["atrial fibrillation."]}, against=["sinus rhythm."])
    assert np.isfinite(scores.values).all()


def test_without_a_tokenizer_it_embeds_ecgs_and_says_what_it_cannot(wordless, imported):
    assert wordless.tokenizer is None
    assert "400 pieces" in wordless.lacking
    assert not list(wordless.folder.glob("tokenizer*"))
    model, processor = cmelt.load(wordless.folder, device="cpu")
    with_words = cmelt.load(imported.folder, device="cpu")
    np.testing.assert_array_equal(cmelt.embed(model, processor, record(1, 500.0)), cmelt.embed(*with_words, record(1, 500.0)))
    asked = (
        lambda: cmelt.embed_texts(model, processor, ["sinus rhythm."]),
        lambda: cmelt.classify(model, processor, record(1, 500.0), ["atrial-fibrillation"]),
        lambda: load_embedder(wordless.folder, device="cpu").embed_texts(["sinus rhythm."]),
    )
    for ask in asked:
        with pytest.raises(ConfigError, match="has no tokenizer") as caught:
            ask()
        assert "--tokenizer" in str(caught.value)
    assert load_embedder(wordless.folder, device="cpu").embed_ecgs(heart(1, rate=500.0)[None]).shape == (1, 24)


def test_a_tokenizer_that_was_named_is_had_and_fits_or_is_an_error(checkpoint, tmp_path):
    with pytest.raises(ConfigError, match="no tokenizer can be loaded"):
        import_dbeta(checkpoint, tmp_path / "out", WITH_WORDS, tmp_path / "nowhere")
    words = train_tokenizer(REPORTS, 400)
    words.add_tokens([f"word{i}" for i in range(400)])
    words.save_pretrained(tmp_path / "large")
    with pytest.raises(ConfigError, match="the weights know 400"):
        import_dbeta(checkpoint, tmp_path / "out", WITH_WORDS, tmp_path / "large")
    assert not (tmp_path / "out").exists()


def test_flan_t5_s_tokenizer_is_taken_where_the_vocabulary_is_its_and_it_can_be_had(monkeypatch):
    asked = []

    def load(name: str) -> object:
        asked.append(name)
        if len(asked) == 2:
            raise ConfigError(name, "no tokenizer can be loaded from it (OSError)", "be online once")
        return range(32100)

    monkeypatch.setattr(dbeta_folder, "load_tokenizer", load)
    monkeypatch.setattr(dbeta_folder, "_to_be_had", lambda _: True)
    assert dbeta_folder._tokenizer(None, 32128) == (range(32100), "")
    found, lacking = dbeta_folder._tokenizer(None, 32128)
    assert found is None and "no tokenizer can be loaded" in lacking
    monkeypatch.setattr(dbeta_folder, "_to_be_had", lambda _: False)
    found, lacking = dbeta_folder._tokenizer(None, 32128)
    assert found is None and "the hub does not answer" in lacking
    assert asked == ["google/flan-t5-base"] * 2


def test_without_a_network_nothing_waits_for_the_hub():
    assert not dbeta_folder._to_be_had("google/no-such-tokenizer-kept-here")  # tests run offline


def test_a_folder_that_exists_is_left_alone(checkpoint, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="exists already"):
        import_dbeta(checkpoint, tmp_path, WITH_WORDS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_evaluation_measures_it_on_a_store(imported, wordless, tmp_path):
    from cmelt.sources.simulated import Simulated
    from cmelt.store import ShardSettings, prepare_store
    from running import cmelt as run

    store = tmp_path / "store"
    prepare_store(Simulated(60, seed=5, rate=500.0), store, ShardSettings(500.0, 10.0, "first", "a test's key"))
    options = ("--data", store, "--task", "simulated", "--bootstrap", "5", "--no-probe", "--no-examples", "--json")
    done = run("evaluate", imported.folder, *options, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]
    refused = run("evaluate", wordless.folder, *options, "--out", tmp_path / "other")
    assert refused.returncode == 1
    assert "has no tokenizer" in refused.stderr


def test_the_checkpoint_may_be_removed_once_it_is_imported(checkpoint, tmp_path):
    path = Path(tmp_path / "copy.pt")
    path.write_bytes(checkpoint.read_bytes())
    model = load_dbeta(path, WITH_WORDS)
    path.unlink()
    assert torch.isfinite(model.embed_ecg(torch.randn(1, 12, 5000))).all()
