"""`cmelt finetune` from a run's folder to a classifier that can be used."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from cmelt.checkpoints.classifier_folder import load_classifier
from cmelt.evaluation.report.fine_tuning import OURS
from cmelt.publishing import verify
from cmelt.store import open_store
from running import cmelt
from tiny_runs import Notes, tiny_recipe


@pytest.fixture(scope="module")
def world(tiny_store, tmp_path_factory):
    """A run of one step, a task of the store's commonest labels, and what the command made of them."""
    from cmelt.training.loop import pretrain

    folder = tmp_path_factory.mktemp("finetune")
    store = open_store(tiny_store)
    pretrain(tiny_recipe("training.steps=1"), store, folder / "run", Notes())
    (folder / "mine.yaml").write_text(_task(store))
    arguments = ["--data", tiny_store, "--task", folder / "mine.yaml", "--epochs", "1", "--bootstrap", "20"]
    done = cmelt("finetune", folder / "run", *arguments, "--leads", "12,1", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder, arguments, done


def _task(store) -> str:
    """One class, of a label that some but not all of the training and of the test records carry."""

    def partial(split: str) -> set[str]:
        carried = [set(store.index["labels"].iloc[row]) for row in store.rows(split)]
        return set.union(*carried) - set.intersection(*carried)

    label = min(partial("train") & partial("test"))
    return json.dumps({"description": "Simulated & <own>", "classes": {"a": {"labels": [label], "prompts": ["a"]}}})


def test_every_lead_set_is_printed_with_its_controls(world):
    _, _, done = world
    lines = done.stdout.splitlines()
    assert "random weights" in lines[0] and "ResNet1d" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["12", "1"]
    assert all(len(re.findall(r"\[\d\.\d{3}, \d\.\d{3}\]", line)) == 3 for line in lines[1:])
    assert "report.html" in done.stderr


def test_the_folder_holds_page_figures_picture_scores_and_classifier_under_seal(world):
    folder, *_ = world
    out = folder / "out"
    assert {p.name for p in out.iterdir()} == {*OURS, "manifest.json"}
    verify(out)
    results = json.loads((out / "results.json").read_text())
    assert [line["leads"] for line in results["lines"]] == [12, 1]
    html = (out / "report.html").read_text()
    assert "Simulated &amp; &lt;own&gt;" in html and "not a medical device" in html
    for line in results["lines"]:
        for side in ("model", "random", "supervised"):
            f = line["comparison"][side]["macro_auroc"]
            assert f"{f['value']:.3f} <small>[{f['low']:.3f}, {f['high']:.3f}]" in html
    with np.load(out / "scores.npz") as scores:
        assert {"rows", "truth", "12 leads, 1, model", "1 leads, 1, supervised"} <= set(scores.files)
        assert scores["12 leads, 1, random"].shape == (1, results["records"], 1)


def test_the_picture_shows_three_networks(world):
    from PIL import Image

    with Image.open(world[0] / "out" / "leads.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in ((0x1F, 0x63, 0xD6), (0x8A, 0x94, 0x9E), (0xC2, 0x57, 0x1A)):
        assert (pixels == colour).all(axis=1).sum() > 30


def test_the_classifier_gives_the_scores_that_were_measured(world, tiny_store):
    folder, *_ = world
    classifier = load_classifier(folder / "out", "cpu")
    with np.load(folder / "out" / "scores.npz") as scores:
        rows, logits = scores["rows"], scores["12 leads, 1, model"][0]
    found = classifier.probabilities(open_store(tiny_store).millivolts(rows))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), atol=1e-5)
    card = (folder / "out" / "classifier" / "README.md").read_text()
    assert "not a medical device" in card and "| a |" in card
    assert set(open_store(tiny_store).index["fingerprint"].iloc[open_store(tiny_store).rows("train")]) <= set(classifier.seen)


def test_json_without_the_supervised_network_and_again_into_the_same_folder(world):
    folder, arguments, _ = world
    options = ["--leads", "2", "--no-supervised", "--json", "--splits", "test"]
    done = cmelt("finetune", folder / "run", *arguments, *options, "--out", folder / "again")
    told = json.loads(done.stdout)
    assert told["lines"][0]["comparison"]["supervised"] is None
    assert told["splits"] == ["test"]
    assert told["lines"][0]["comparison"]["model"]["decisions"] is None
    assert load_classifier(folder / "again").facts.leads == ("I", "II")


def test_a_folder_with_other_files_and_nonsense_are_refused(world):
    folder, arguments, _ = world
    taken = cmelt("finetune", folder / "run", *arguments, "--out", folder)
    assert (taken.returncode, "holds other files" in taken.stderr) == (1, True)
    assert cmelt("finetune", folder / "run", *arguments, "--leads", "twelve", "--out", folder / "x").returncode == 2
    wrong = cmelt("finetune", folder / "run", *arguments, "--leads", "5", "--out", folder / "x")
    assert (wrong.returncode, "lead sets" in wrong.stderr) == (1, True)
