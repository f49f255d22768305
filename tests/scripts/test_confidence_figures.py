"""What the script prints of probabilities are the figures of those that the calibration gives, counted another way."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cmelt.errors import StoreError
from cmelt.evaluation import zero_shot
from cmelt.records.record import LEADS
from cmelt.serving.calibrating import Draws, calibrate
from cmelt.simulation import simulate
from evaluation.conftest import PlantedEmbedder, planted_store, planted_task
from serving.test_confidence import FAR, NEAR, calibration

from .conftest import script

figures = script("confidence_figures")
PAGE = (Path(__file__).resolve().parents[2] / "docs/confidence.md").read_text(encoding="utf-8")
SCALE = 20.0


@pytest.fixture(scope="module")
def world():
    """A store, a model that reads its classes, and their calibration on its validation records."""
    store, embedder = planted_store(2400, noise=1.0), PlantedEmbedder()
    return store, embedder, calibrate(embedder, store, [planted_task()], Draws(20))


@pytest.fixture
def told(world, monkeypatch):
    """What the script says of it."""
    store, embedder, known = world
    monkeypatch.setattr(figures, "open_store", lambda _: store)
    monkeypatch.setattr(figures, "load_embedder", lambda _: embedder)
    monkeypatch.setattr(figures, "find_model", lambda model: Path(model))
    monkeypatch.setattr(figures, "read_calibration", lambda _folder, _weights: known)
    model = SimpleNamespace(contrast=lambda: (None, None, torch.tensor(SCALE)))
    monkeypatch.setattr(figures, "load_model", lambda _: model)
    monkeypatch.setattr(figures, "load_task", lambda _: planted_task())
    monkeypatch.setattr(figures, "unlike_shares", lambda *_: {})
    return figures.figures_of("model", "store", ["planted"], 50, 0)


def by_hand(world, way):
    """Mean squared error, and the gap in fifteen groups of rising probability, record by record."""
    store, embedder, known = world
    task, rows = planted_task(), store.rows("test")
    scores = zero_shot.scores(embedder.embed_ecgs(store.millivolts(rows)), zero_shot.embed_prompts(embedder, task))["contrast"]
    brier, ece = [], []
    for place, name in enumerate(task.classes):
        truth = np.array([f"t:{name}" in labels for labels in store.index["labels"].iloc[rows]])
        fitted = known.of(task, name, "contrast")
        if way == "calibrated":
            said = np.interp(scores[:, place], fitted.curve.scores, fitted.curve.probability)
        elif way == "softmax":
            said = 1 / (1 + np.exp(-SCALE * scores[:, place]))
        else:
            said = np.full(len(rows), fitted.positives / fitted.records)
        brier.append(np.mean((said - truth) ** 2))
        if len(set(said)) > 1:
            groups = [[] for _ in range(15)]
            for rank, row in enumerate(np.argsort(said, kind="stable")):
                groups[rank * 15 // len(rows)].append(said[row] - truth[row])
            ece.append(sum(abs(sum(group)) for group in groups) / len(rows))
        else:
            ece.append(abs(said[0] - truth.mean()))
    return float(np.mean(brier)), float(np.mean(ece))


@pytest.mark.parametrize("way", ["softmax", "calibrated", "prevalence"])
def test_errors_are_those_that_counting_record_by_record_gives(world, told, way):
    brier, ece = by_hand(world, way)
    printed = told["planted"][way]
    assert float(printed["brier"].split()[0]) == pytest.approx(brier, abs=6e-4)
    assert float(printed["ece"].split()[0]) == pytest.approx(ece, abs=4e-3)  # equal probabilities share a group
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", printed["brier"])


def test_what_was_calibrated_is_nearer_the_truth_than_what_was_not_and_of_more_use_than_the_prevalence(told):
    found = {way: {key: float(told["planted"][way][key].split()[0]) for key in ("ece", "brier")}
             for way in ("softmax", "calibrated", "prevalence")}  # fmt: skip
    assert found["calibrated"]["ece"] < found["softmax"]["ece"] / 2
    assert found["calibrated"]["brier"] < min(found["softmax"]["brier"], found["prevalence"]["brier"]) - 0.01
    assert found["calibrated"]["ece"] < 2 * told["planted"]["chance"] < 0.2


def test_it_is_measured_on_the_test_split_and_of_the_classes_that_have_a_curve(world, told):
    store = world[0]
    assert told["test_records"] == told["planted"]["records"] == (store.index["split"] == "test").sum()
    assert told["planted"]["classes"] == list(planted_task().classes) and told["temperature_scale"] == SCALE
    truth = [sum(f"t:{name}" in labels for labels in store.index["labels"][store.index["split"] == "test"])
             for name in planted_task().classes]  # fmt: skip
    assert told["planted"]["positives"] == truth


def test_shares_count_what_the_embedding_says_what_the_recording_says_and_either():
    sound = simulate(3, [], rate=100).signal
    swapped = sound[[1, 0, *range(2, 12)]]  # I and II under each other's names
    signals = np.stack([sound, sound, swapped, swapped]).astype(np.float32)
    vectors = np.concatenate([NEAR, FAR, NEAR, FAR])
    found = figures._shares(calibration(), vectors, signals, 100.0)
    assert found == {"unlike": 0.5, "doubtful": 0.5, "no probability": 0.75}
    assert figures._shares(calibration(), NEAR, signals[:1], 100.0)["no probability"] == 0.0


def test_every_kind_of_odd_signal_is_made_of_the_validation_records(monkeypatch):
    store, seen = planted_store(600), {}
    monkeypatch.setattr(figures, "_shares", lambda _known, vectors, signals, _rate: seen.setdefault(len(seen), signals) is None)
    found = figures.unlike_shares(
        SimpleNamespace(embed_ecgs=lambda signals: np.ones((len(signals), 8))), None, store, np.zeros((1, 8), np.float32), 0
    )
    real = store.millivolts(store.rows("validation")[: figures.RECORDS])
    by_name = dict(zip(found, seen.values(), strict=True))
    np.testing.assert_array_equal(by_name["ECG upside down"], -real)
    np.testing.assert_array_equal(by_name["ECG backwards"], real[:, :, ::-1])
    np.testing.assert_array_equal(np.sort(by_name["leads in another order"], axis=1), np.sort(real, axis=1))
    assert len(by_name["test ECGs"]) == len(store.rows("test")) and by_name["white noise"].shape == real.shape == (
        40,
        len(LEADS),
        50,
    )


def test_without_a_calibration_it_ends_with_an_error_and_says_what_to_do(told, monkeypatch, capsys):
    monkeypatch.setattr(figures, "read_calibration", lambda _folder, _weights: None)
    with pytest.raises(StoreError, match="has no calibration"):
        figures.figures_of("model", "store", ["planted"], 5, 0)
    monkeypatch.setattr("sys.argv", ["confidence_figures.py", "model", "store", "--task", "planted"])
    assert figures.main() == 1
    done = capsys.readouterr()
    assert done.out == "" and "cmelt calibrate" in done.err


def test_the_command_prints_json(told, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["confidence_figures.py", "m", "s", "--task", "planted", "--bootstrap", "50"])
    assert figures.main() == 0
    assert json.loads(capsys.readouterr().out) == told


def test_the_page_names_the_command_and_every_kind_of_signal():
    assert "python scripts/confidence_figures.py small ptbxl100 --task ptbxl-super" in PAGE
    for name in ("test ECGs", "white noise", "random walk", "sine", "square wave", "upside down", "backwards", "another order"):
        assert f"{name} |" in PAGE
