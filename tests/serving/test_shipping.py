"""What is handed on: small, whole, with what it has seen, and a card whose figures are of these very weights."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.seen import read_seen
from cmelt.errors import CheckpointError
from cmelt.publishing import published, verify
from cmelt.serving.shipping import add_results, ship
from ecg_files import heart
from trained_towers import saved_model, tiny_model

ROOT = Path(__file__).resolve().parents[2]
ALL = {"mlm": 1.0, "mem": 1.0, "etm": 1.0, "ets": 1.0}


@pytest.fixture
def run(tmp_path):
    saved_model(tmp_path / "run" / "model", tiny_model(**ALL))
    return tmp_path / "run"


def figure(value):
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def side(value):
    return {"macro_auroc": figure(value), "classes": {"MI": {"auroc": figure(value), "auprc": figure(value - 0.3)}}}


def evaluation(folder: Path, weights: str) -> Path:
    shot = {"model": side(0.871), "random": side(0.512), "gain": figure(0.359), "subgroups": []}
    task = {
        "name": "ptbxl-super",
        "task": {"description": "Five superclasses"},
        "model": weights,
        "splits": ["validation", "test"],
        "records": 505,
        "patients": 470,
        "headline": "contrast",
        "zero_shot": {"contrast": shot},
        "probes": [],
        "counts": {"MI": {"positives": 107}},
        "left_out": {},
        "notes": [],
    }
    with published(folder) as staging:
        content = {"format": "cmelt-evaluation", "version": 2, "results": {"ptbxl-super": task}}
        (staging / "results.json").write_text(json.dumps(content))
    return folder


def sha(folder: Path) -> str:
    return verify(folder)["files"]["model.safetensors"]["sha256"]


def test_a_shipped_model_embeds_as_the_run_s_does_and_knows_what_it_has_seen(run, tmp_path):
    target = ship(run, tmp_path / "weights" / "tiny", reproduce="make train-tiny")
    before, after = load_embedder(run, device="cpu"), load_embedder(target, device="cpu")
    one, other = (side.embed_ecgs(heart(1)[None])[0].astype(np.float64) for side in (before, after))
    assert 1 - one @ other < 1e-5
    assert read_seen(target) == read_seen(run / "model") != ()
    manifest = verify(target)
    assert (manifest["recipe"], manifest["seed"], manifest["precision"]) == ("tiny", 0, "float16")
    assert manifest["trained_weights"] == sha(run / "model")


@pytest.mark.parametrize(
    ("objectives", "kept"),
    [
        (ALL, {"fusion", "match_head"}),
        ({"mlm": 0.0, "mem": 0.0, "etm": 0.0, "ets": 1.0}, set()),
        (None, {"fusion", "match_head"}),
    ],
)
def test_heads_that_nothing_has_trained_or_only_training_needs_stay_behind(tmp_path, objectives, kept):
    saved_model(tmp_path / "run", tiny_model(**objectives) if objectives else tiny_model())
    target = ship(tmp_path / "run", tmp_path / "shipped", reproduce="x")
    parts = {name.split(".")[0] for name in load_file(target / "model.safetensors")}
    assert parts & {"word_head", "ecg_decoder", "fusion", "match_head"} == kept


def test_the_card_has_the_figures_of_the_evaluation_and_no_others(run, tmp_path):
    target = ship(run, tmp_path / "tiny", reproduce="make train-tiny")
    assert "Not measured yet" in (target / "README.md").read_text()
    weights = (target / "model.safetensors").read_bytes()
    card = add_results(target, [evaluation(tmp_path / "evaluation", sha(target))]).read_text()
    assert "0.871 [0.821, 0.921]" in card and "+0.359" in card and "| MI | 107 |" in card
    assert "make train-tiny" in card and "Not measured yet" not in card
    assert (target / "model.safetensors").read_bytes() == weights
    assert load_embedder(target, device="cpu").embed_texts(["sinus rhythm"]).shape == (1, 16)  # hashes fit again
    again = (target / "README.md").read_text()
    add_results(target, [tmp_path / "evaluation"])
    assert (target / "README.md").read_text() == again


def test_figures_of_other_weights_are_refused_and_the_card_stays(run, tmp_path):
    target = ship(run, tmp_path / "tiny", reproduce="x")
    card = (target / "README.md").read_text()
    of_the_run = evaluation(tmp_path / "evaluation", sha(run / "model"))
    with pytest.raises(CheckpointError, match="other weights"):
        add_results(target, [of_the_run])
    assert (target / "README.md").read_text() == card


def test_a_shipped_model_still_says_the_run_that_made_it(tmp_path):
    told = {"recipe": {"name": "tiny"}, "store": "a" * 64}
    saved_model(tmp_path / "run" / "model", tiny_model(**ALL), run=told)
    target = ship(tmp_path / "run", tmp_path / "tiny", reproduce="x")
    assert json.loads((target / "manifest.json").read_text())["run"] == told


def test_a_figure_that_was_changed_by_hand_is_refused(run, tmp_path):
    target = ship(run, tmp_path / "tiny", reproduce="x")
    results = evaluation(tmp_path / "evaluation", sha(target)) / "results.json"
    results.write_text(results.read_text().replace("0.871", "0.971"))
    with pytest.raises(CheckpointError, match="SHA-256"):
        add_results(target, [tmp_path / "evaluation"])


def test_what_does_not_say_its_training_or_was_not_shipped_is_refused(run, tmp_path):
    manifest = json.loads((run / "model" / "manifest.json").read_text())
    with pytest.raises(CheckpointError, match="was shipped"):
        add_results(run / "model", [])
    from cmelt.publishing import seal

    seal(run / "model", {key: value for key, value in manifest.items() if key not in ("files", "sha256", "training")})
    with pytest.raises(CheckpointError, match="what it was trained on"):
        ship(run, tmp_path / "tiny", reproduce="x")


def test_the_script_does_the_same_and_fails_in_one_line(run, tmp_path, monkeypatch, capsys):
    script = spec_from_file_location("ship_model", ROOT / "scripts" / "ship_model.py")
    module = module_from_spec(script)
    script.loader.exec_module(module)

    def call(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["ship_model", *map(str, arguments)])
        return module.main()

    target = tmp_path / "tiny"
    assert call("weights", run, target, "--reproduce", "make train-tiny") == 0
    assert call("card", target, evaluation(tmp_path / "evaluation", sha(target))) == 0
    assert "0.871" in (target / "README.md").read_text()
    assert call("card", target, tmp_path / "nowhere") == 1
    told = capsys.readouterr().err
    assert told.startswith("ship_model: ") and told.count("\n") == 1


def disturbed(path: Path, weights: str, kind: str = "cmelt-robustness") -> Path:
    task = {"auroc": [0.9, 0.8, 1.0], "difference": [0.0, 0.0, 0.0], "with_probability": [0.0, 0.0, 0.0]}
    task |= {"records": 40, "records_with_probability": 40}
    found = {"refused": [0.0] * 3, "flagged": [0.0] * 3, "no_probability": [0.0] * 3, "tasks": {"ptbxl-super": task}}
    conditions = [{"group": "as recorded", "name": "clean", "at": None, "data": {"PTB-XL": found}}]
    samples = [{"name": "PTB-XL", "records": 40, "patients": 40, "judged": 40}]
    path.write_text(json.dumps({"format": kind, "weights": weights, "samples": samples, "conditions": conditions}))
    return path


def test_the_card_has_what_disturbed_records_cost_these_weights_and_refuses_those_of_others(run, tmp_path):
    target = ship(run, tmp_path / "tiny", reproduce="x")
    evaluations = [evaluation(tmp_path / "evaluation", sha(target))]
    card = add_results(target, evaluations, disturbed(tmp_path / "one.json", sha(target))).read_text()
    assert "## Disturbed records" in card and "0.871 [0.821, 0.921]" in card
    with pytest.raises(CheckpointError, match="other weights"):
        add_results(target, evaluations, disturbed(tmp_path / "two.json", "0" * 64))
    with pytest.raises(CheckpointError, match="disturbed records"):
        add_results(target, evaluations, disturbed(tmp_path / "three.json", sha(target), kind="something"))
    assert (target / "README.md").read_text() == card
