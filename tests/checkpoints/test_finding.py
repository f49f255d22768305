"""Which model a name means: what lies on disk first, then the bundled ones, then a hub's."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from cmelt.checkpoints import finding
from cmelt.checkpoints.finding import bundled_models, find_model
from cmelt.errors import CheckpointError


def a_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "BUNDLED", tmp_path / "weights")
    return a_model(tmp_path / "weights" / "small")


def test_a_run_s_folder_means_the_model_in_it(tmp_path):
    run = tmp_path / "run"
    model = a_model(run / "model")
    assert find_model(run) == find_model(str(run)) == find_model(model) == model


def test_a_bundled_model_is_found_by_its_name(bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bundled_models() == ("small",)
    assert find_model("small") == bundled


def test_a_folder_of_that_name_counts_first(bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = a_model(tmp_path / "small" / "model")
    assert find_model("small").resolve() == run


def test_a_folder_without_a_model_says_that_it_hides_the_bundled_one(bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    with pytest.raises(CheckpointError, match="hides the bundled model"):
        find_model("small")


def test_an_unknown_name_lists_the_bundled_ones(bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="bundled: small"):
        find_model("smal")


def test_a_hub_s_name_is_fetched_and_must_hold_a_model(bundled, tmp_path, monkeypatch):
    fetched, asked = a_model(tmp_path / "cache"), []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name: asked.append(name) or str(fetched))
    assert find_model("someone/ecg-model") == fetched
    assert asked == ["someone/ecg-model"]
    (fetched / "config.json").unlink()
    with pytest.raises(CheckpointError, match="holds no model"):
        find_model("someone/ecg-model")


def test_without_a_network_a_hub_s_name_is_an_error_of_ours(bundled, monkeypatch):
    def offline(name):
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(CheckpointError, match="hub does not give it"):
        find_model("someone/ecg-model")


def test_no_hub_is_asked_for_a_path_that_is_not_there(bundled, monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name: pytest.fail("asked a hub"))
    for name in (tmp_path / "nowhere" / "run", "runs/of/mine", "/nowhere/run"):
        with pytest.raises(CheckpointError, match="no such folder"):
            find_model(name)
