"""AutoModel, AutoProcessor, save_pretrained, push_to_hub: the numbers of `cmelt`, and folders that `cmelt` reads and trusts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoProcessor

import cmelt
from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.seen import read_seen
from cmelt.errors import CheckpointError, ConfigError, RecordError
from cmelt.publishing import MANIFEST, verify
from cmelt.serving.transformers_api import CMeltDualEncoder, CMeltEcgTextProcessor, CMeltFeatureExtractor
from ecg_files import heart, record, write_wfdb
from trained_towers import BERT, DETAILS, saved_model, tiny_model

SOURCE = Path(cmelt.__file__).resolve().parents[1]
TEXTS = ["Sinus rhythm, normal ECG.", "vorhofflimmern"]
TOLD = {"sampling_rate": 100, "unit": "mV", "leads": cmelt.LEADS}


@pytest.fixture(scope="module")
def theirs(model_folder):
    return AutoModel.from_pretrained(model_folder)


@pytest.fixture(scope="module")
def their_processor(model_folder):
    return AutoProcessor.from_pretrained(model_folder)


@pytest.fixture
def saved(theirs, their_processor, tmp_path):
    theirs.save_pretrained(tmp_path / "saved")
    their_processor.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def in_a_new_process(code: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


LOADED = "print(type(AutoModel.from_pretrained({0!r})).__name__, type(AutoProcessor.from_pretrained({0!r})).__name__)"
AUTO = "from transformers import AutoModel, AutoProcessor"


@pytest.mark.parametrize(
    "imports",
    [
        f"import cmelt, sys; assert not {{'torch', 'transformers'}} & sys.modules.keys(); {AUTO}",
        pytest.param(f"{AUTO}; import cmelt", marks=pytest.mark.slow),
        pytest.param(
            "import cmelt; from transformers import AutoProcessor; from transformers import AutoModel", marks=pytest.mark.slow
        ),
        pytest.param(f"import cmelt.model.text_encoder; {AUTO}", marks=pytest.mark.slow),
        pytest.param(f"import cmelt.model.cmelt; {AUTO}", marks=pytest.mark.slow),
        pytest.param(f"import cmelt.serving.transformers_api; {AUTO}", marks=pytest.mark.slow),
        pytest.param(f"import cmelt.model.configuration; {AUTO}", marks=pytest.mark.slow),
    ],
)
def test_auto_classes_know_our_models_in_whatever_order_things_are_imported(model_folder, imports):
    found = in_a_new_process(f"{imports}\n{LOADED.format(str(model_folder))}")
    assert found.splitlines()[-1] == "CMeltDualEncoder CMeltEcgTextProcessor"


def test_one_import_hook_is_enough_however_often_it_is_asked_for():
    from cmelt.serving import auto_classes

    for _ in range(3):
        auto_classes.make_known()
    assert sum(type(finder).__name__ == "_AutoClassFinder" for finder in sys.meta_path) == 1


def test_vectors_and_cosines_are_those_of_cmelt(theirs, their_processor, model, processor):
    assert isinstance(theirs, CMeltDualEncoder) and not theirs.training and theirs.dtype == torch.float32
    given = [record(1), record(2, seconds=25.0), record(3, leads=("I", "II", "V2"))]
    with torch.no_grad():
        out = theirs(**their_processor(ecg=given, text=TEXTS, return_tensors="pt"))
    ecgs, texts = cmelt.embed(model, processor, given), cmelt.embed_texts(model, processor, TEXTS)
    np.testing.assert_allclose(out.ecg_embeds, ecgs, atol=1e-6)
    np.testing.assert_allclose(out.text_embeds, texts, atol=1e-6)
    np.testing.assert_allclose(out.similarity, ecgs @ texts.T, atol=1e-6)


def test_ecgs_alone_texts_alone_and_tuples_are_given_when_asked(theirs, their_processor):
    ecg = their_processor(ecg=record(1), return_tensors="pt")
    assert set(ecg) == {"ecg", "owner"} and theirs(**ecg).keys() == {"ecg_embeds"}
    text = their_processor(text="normal ecg", return_tensors="pt")
    assert set(text) == {"input_ids", "attention_mask"} and theirs(**text).keys() == {"text_embeds"}
    both = theirs(**ecg, **text, return_dict=False)
    assert [tuple(one.shape) for one in both] == [(1, 16), (1, 16), (1, 1)]
    for empty in (theirs, their_processor):
        with pytest.raises(ConfigError, match="neither"):
            empty()


def test_gradients_reach_both_towers(model_folder, their_processor):
    model = AutoModel.from_pretrained(model_folder)
    model(**their_processor(ecg=record(1), text="normal ecg", return_tensors="pt")).similarity.sum().backward()
    assert model.ecg_projection.weight.grad.abs().sum() > 0 and model.text_projection.weight.grad.abs().sum() > 0


def test_paths_records_arrays_and_tensors_are_one_ecg_to_the_processor(their_processor, tmp_path):
    expected = their_processor(ecg=record(3))["ecg"]
    arrays = (heart(3), heart(3).T, heart(3)[None], [heart(3)], torch.from_numpy(heart(3)))
    for array in arrays:
        np.testing.assert_array_equal(their_processor(ecg=array, **TOLD)["ecg"], expected)
    path = write_wfdb(tmp_path / "r", heart(3), gain=1e4)
    for given in (path, str(path), [path]):
        np.testing.assert_allclose(their_processor(ecg=given)["ecg"], expected, atol=1e-4)
    with pytest.raises(RecordError, match="nothing of its rate, unit, leads"):
        their_processor(ecg=heart(3))
    with pytest.raises(RecordError, match="nothing of its leads"):
        their_processor(ecg=heart(3), sampling_rate=100, unit="mV")


@pytest.mark.parametrize("text", [None, BERT], ids=["t5", "bert"])
def test_a_saved_model_is_the_same_to_transformers_to_cmelt_and_to_evaluation(tmp_path, text):
    first = saved_model(tmp_path / "first", tiny_model(text))
    AutoModel.from_pretrained(first).save_pretrained(tmp_path / "again")
    AutoProcessor.from_pretrained(first).save_pretrained(tmp_path / "again")
    model, processor = cmelt.load(first, device="cpu")
    ecg, texts = cmelt.embed(model, processor, record(1)), cmelt.embed_texts(model, processor, TEXTS)
    again, their_processor = (auto.from_pretrained(tmp_path / "again") for auto in (AutoModel, AutoProcessor))
    with torch.no_grad():
        out = again(**their_processor(ecg=record(1), text=TEXTS, return_tensors="pt"))
    np.testing.assert_allclose(out.ecg_embeds, ecg, atol=1e-6)
    np.testing.assert_allclose(out.text_embeds, texts, atol=1e-6)
    ours, our_processor = cmelt.load(tmp_path / "again", device="cpu")
    np.testing.assert_allclose(cmelt.embed(ours, our_processor, record(1)), ecg, atol=1e-6)
    np.testing.assert_allclose(cmelt.embed_texts(ours, our_processor, TEXTS), texts, atol=1e-6)
    np.testing.assert_allclose(load_embedder(tmp_path / "again", device="cpu").embed_texts(TEXTS), texts, atol=1e-6)


def test_what_the_model_has_seen_and_its_card_go_with_it(saved, model_folder, tmp_path):
    assert read_seen(saved) == read_seen(model_folder) == ("ab" * 32,)
    origin = json.loads((saved / MANIFEST).read_text())["origin"]
    assert {key: origin[key] for key in DETAILS} == DETAILS
    card = (saved / "README.md").read_text()
    assert card.startswith("# A card") and "weights that this model was loaded with" in card
    AutoModel.from_pretrained(saved).save_pretrained(tmp_path / "twice")
    assert json.loads((tmp_path / "twice" / MANIFEST).read_text())["origin"] == origin
    assert (tmp_path / "twice/README.md").read_text() == card


def test_a_saved_folder_is_sealed_and_an_altered_one_refused(saved):
    assert {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json"} <= verify(saved)["files"].keys()
    weights = bytearray((saved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (saved / "model.safetensors").write_bytes(weights)
    for load in (AutoModel.from_pretrained, lambda place: cmelt.load(place, device="cpu")):
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            load(saved)


def test_a_processor_is_loaded_from_where_it_alone_was_saved(their_processor, tmp_path):
    their_processor.save_pretrained(tmp_path / "alone")
    again = AutoProcessor.from_pretrained(tmp_path / "alone")
    assert isinstance(again, CMeltEcgTextProcessor)
    given = {"ecg": record(1, seconds=25.0), "text": TEXTS}
    for name, array in their_processor(**given).items():
        np.testing.assert_array_equal(again(**given)[name], array)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path / "alone")
    assert isinstance(extractor, CMeltFeatureExtractor) and extractor.settings == again.feature_extractor.settings
    assert not (tmp_path / "alone" / MANIFEST).exists()


def test_a_model_is_made_from_a_configuration_with_fresh_weights(model_folder):
    config = AutoConfig.from_pretrained(model_folder)
    assert config.model_type == "cmelt" and isinstance(AutoModel.from_config(config), CMeltDualEncoder)


class FakeHub:
    """Takes what is pushed, as the hub would have it afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create_repo(self, repo_id: str, **_: object) -> SimpleNamespace:
        return SimpleNamespace(repo_id=repo_id)

    def create_commit(self, *, operations: list, **_: object) -> SimpleNamespace:
        for one in operations:
            place = self.folder / one.path_in_repo
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.path_or_fileobj, place)
        return SimpleNamespace(oid="0" * 40)


AUTOMATIC = "# Model Card\nThis model card has been automatically generated.\n"


@pytest.mark.parametrize("card_there", [AUTOMATIC, "# A card that someone wrote\n"])
def test_what_is_pushed_to_a_hub_is_whole_when_it_comes_back(theirs, their_processor, tmp_path, monkeypatch, card_there):
    from transformers.utils import hub

    monkeypatch.setattr(hub, "hf_api", lambda: FakeHub(tmp_path / "hub"))
    pushed_card = tmp_path / "hub/README.md"

    def save_card(path):
        """What transformers does: the card of the repository, written anew, or its own."""
        Path(path).write_text(pushed_card.read_text() + "\n" if pushed_card.exists() else card_there)

    card = SimpleNamespace(save=save_card)
    monkeypatch.setattr(hub, "create_and_tag_model_card", lambda *_, **__: card)
    theirs.push_to_hub("someone/heart")
    their_processor.push_to_hub("someone/heart")
    verify(tmp_path / "hub")
    pushed = pushed_card.read_text()
    assert pushed.startswith("# A card") and ("automatically" not in pushed)
    assert ("someone wrote" in pushed) is (card_there != AUTOMATIC)
    assert read_seen(tmp_path / "hub") == ("ab" * 32,)
    model, processor = cmelt.load(tmp_path / "hub", device="cpu")
    vectors = theirs(**their_processor(ecg=record(1), return_tensors="pt")).ecg_embeds.detach()
    np.testing.assert_allclose(cmelt.embed(model, processor, record(1)), vectors, atol=1e-6)


def test_a_bundled_model_s_folder_is_found_by_name():
    assert (cmelt.find_model("small") / "config.json").is_file()
