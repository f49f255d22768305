"""A fine-tuned classifier on disk: it comes back to the bit, looks at its own leads only, and damage is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from cmelt.checkpoints.classifier_folder import DESCRIPTION, WEIGHTS, ClassifierFacts, load_classifier, write_classifier
from cmelt.errors import CheckpointError, RecordError
from cmelt.model.ecg_classifier import EcgClassifier
from cmelt.publishing import seal
from tiny_runs import SAMPLES, tiny_recipe

SEEN = ("ab" * 32, "cd" * 32)


def facts(**changes) -> ClassifierFacts:
    known = {
        "settings": tiny_recipe().model,
        "task": "my-task",
        "classes": ("AF", "LBBB"),
        "thresholds": (0.25, None),
        "leads": ("I", "II"),
        "window": 0,
        "origin": "f" * 64,
    }
    return ClassifierFacts(**(known | changes))


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = EcgClassifier(tiny_recipe().model, 2)
        for weight in made.parameters():
            torch.nn.init.normal_(weight, std=0.2)
        return made.eval()


@pytest.fixture
def folder(tmp_path, network):
    write_classifier(network, facts(), tmp_path / "classifier", "# Card\n", SEEN)
    return tmp_path / "classifier"


def ecgs(count=3):
    return np.random.default_rng(0).normal(size=(count, 12, SAMPLES)).astype(np.float32)


def test_what_was_written_comes_back_to_the_bit(folder, network):
    found = load_classifier(folder, "cpu")
    assert found.facts == facts()
    assert found.seen == SEEN
    assert (found.rate, found.samples) == (100.0, SAMPLES)
    shown = ecgs() * np.isin(np.arange(12), (0, 1))[:, None].astype(np.float32)
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(shown)).double()).numpy()
    np.testing.assert_array_equal(found.probabilities(ecgs()), expected)
    assert not found.network.training


def test_the_folder_above_will_do(folder):
    assert load_classifier(folder.parent).identity == load_classifier(folder).identity


def test_leads_that_it_was_not_trained_with_change_nothing(folder):
    found, signal = load_classifier(folder, "cpu"), ecgs()
    before = found.probabilities(signal)
    signal[:, 2:] = np.nan
    np.testing.assert_array_equal(found.probabilities(signal), before)
    signal[:, 0] += 1.0
    assert not np.array_equal(found.probabilities(signal), before)


def test_an_ecg_of_another_form_is_refused_saying_which_is_wanted(folder):
    found = load_classifier(folder, "cpu")
    with pytest.raises(RecordError, match=r"shape \[3, 12, 500\].*\[n, 12, 1000\] at 100 Hz"):
        found.probabilities(ecgs()[..., :500])
    broken = ecgs()
    broken[0, 0, 0] = np.inf
    with pytest.raises(RecordError, match="not finite"):
        found.probabilities(broken)
    assert found.probabilities(ecgs(0)).shape == (0, 2)


def test_a_flipped_byte_and_a_changed_word_are_noticed(folder):
    path = folder / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_classifier(folder)
    content[-1] ^= 1
    path.write_bytes(content)
    (folder / DESCRIPTION).write_text((folder / DESCRIPTION).read_text().replace("AF", "ST"))
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_classifier(folder)


def test_weights_of_another_description_and_another_format_are_refused(folder):
    said = json.loads((folder / DESCRIPTION).read_text())
    for changed, words in (({"classes": ["a", "b", "c"]}, "head"), ({"version": 99}, "fine-tune again")):
        (folder / DESCRIPTION).write_text(json.dumps(said | changed))
        (folder / "manifest.json").unlink()
        seal(folder, {})
        with pytest.raises(CheckpointError, match=words):
            load_classifier(folder)


def test_a_folder_without_a_classifier_says_what_is_wanted(tmp_path):
    with pytest.raises(CheckpointError, match="cmelt finetune"):
        load_classifier(tmp_path)


def test_windows_are_averaged_in_use_as_in_training(tmp_path, network):
    write_classifier(network, facts(window=250), tmp_path / "windowed", "", ())
    found = load_classifier(tmp_path / "windowed", "cpu")
    shown = ecgs(1) * np.isin(np.arange(12), (0, 1))[:, None].astype(np.float32)
    with torch.no_grad():
        parts = [torch.sigmoid(network(torch.from_numpy(shown[..., s : s + 250])).double()) for s in range(0, 751, 125)]
    np.testing.assert_allclose(found.probabilities(ecgs(1)), torch.stack(parts).mean(0).numpy(), rtol=1e-5)
