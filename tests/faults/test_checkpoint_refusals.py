"""A whole checkpoint that does not fit is refused by the names of what does not; no weight is ever left as it was drawn."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cmelt.checkpoints import load_model
from cmelt.checkpoints.inference import load_towers
from cmelt.errors import CheckpointError, TrainingError
from cmelt.publishing import MANIFEST, seal
from cmelt.store import open_store
from cmelt.training.loop import pretrain
from tiny_runs import Notes, tiny_recipe

KEPT = ("training.average=0.9", "training.steps=4")
WEIGHT = "ecg_encoder.class_token"
CHANGES: dict[str, Callable[[dict[str, torch.Tensor], str], object]] = {
    "missing tensors": lambda tensors, name: tensors.pop(name),
    "unknown tensors": lambda tensors, name: tensors.update({f"{name}.more": torch.zeros(2)}),
    "tensors of another shape": lambda tensors, name: tensors.update({name: torch.zeros(1)}),
    "tensors of another type": lambda tensors, name: tensors.update({name: tensors[name].long()}),
}
FILES = {"model.safetensors": WEIGHT, "average.safetensors": WEIGHT, "optimiser.safetensors": f"{WEIGHT}/exp_avg"}


@pytest.fixture(scope="module")
def begun(tiny_store, tmp_path_factory) -> Path:
    """A run that was stopped after two steps."""
    run = tmp_path_factory.mktemp("begun") / "run"
    stop = Notes(at={2: lambda: signal.raise_signal(signal.SIGTERM)})
    assert pretrain(tiny_recipe(*KEPT), open_store(tiny_store), run, stop) == 143
    return run


@pytest.fixture
def run(begun, tmp_path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def go_on(store: Path, run: Path, *assignments: str) -> int:
    return pretrain(tiny_recipe(*KEPT, *assignments), open_store(store), run, Notes())


def resealed(folder: Path) -> None:
    """Hashes anew over what lies there now: whoever did this meant it."""
    said = json.loads((folder / MANIFEST).read_text())
    seal(folder, {key: value for key, value in said.items() if key not in ("files", "sha256")})


def changed(folder: Path, file: str, change: str, name: str) -> None:
    tensors = load_file(folder / file)
    CHANGES[change](tensors, name)
    save_file(tensors, folder / file)
    resealed(folder)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("file", FILES)
def test_a_run_s_state_with_other_tensors_is_refused_by_their_names(file, change, run, tiny_store):
    name = FILES[file]
    changed(run / "checkpoints" / "step-00000002", file, change, name)
    with pytest.raises(CheckpointError, match=change) as error:
        go_on(tiny_store, run)
    assert file in str(error.value) and name in str(error.value)
    assert not (run / "model").exists()


def test_a_run_s_state_without_a_file_of_it_is_refused_by_its_name(run, tiny_store):
    checkpoint = run / "checkpoints" / "step-00000002"
    (checkpoint / "optimiser.safetensors").unlink()
    resealed(checkpoint)
    with pytest.raises(CheckpointError, match=r"optimiser\.safetensors: missing"):
        go_on(tiny_store, run)


def test_a_model_among_the_checkpoints_is_none(run, tiny_store):
    checkpoint = run / "checkpoints" / "step-00000002"
    said = json.loads((checkpoint / MANIFEST).read_text())
    seal(checkpoint, {"kind": "cmelt model", "step": said["step"]})
    with pytest.raises(CheckpointError, match="is no checkpoint of a run"):
        go_on(tiny_store, run)


def test_another_recipe_is_refused_by_the_keys_that_differ(run, tiny_store):
    with pytest.raises(TrainingError, match=r"another recipe: model\.ecg\.heads, optimiser\.rate"):
        go_on(tiny_store, run, "model.ecg.heads=4", "optimiser.rate=2e-3")


def test_a_checkpoint_of_another_recipe_is_refused_even_where_every_tensor_fits(run, tiny_store, tmp_path):
    """Four heads have the shapes of two, another seed those of any: only what was saved beside the weights can tell."""
    other = tmp_path / "other"
    stop = Notes(at={2: lambda: signal.raise_signal(signal.SIGTERM)})
    assert pretrain(tiny_recipe(*KEPT, "model.ecg.heads=4", "seed=8"), open_store(tiny_store), other, stop) == 143
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(other / "checkpoints", run / "checkpoints")
    with pytest.raises(CheckpointError, match=r"made with another recipe: model\.ecg\.heads, seed"):
        go_on(tiny_store, run)


def test_another_tokenizer_of_the_same_size_is_refused(run, tiny_store):
    """Its hashes are right and every tensor fits: the words would mean others."""
    path = run / "tokenizer" / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    one, other = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(content))
    resealed(run / "tokenizer")
    with pytest.raises(CheckpointError, match="made with another tokenizer"):
        go_on(tiny_store, run)


def test_what_earlier_versions_did_not_say_of_a_checkpoint_is_not_asked(run, tiny_store):
    checkpoint = run / "checkpoints" / "step-00000002"
    said = json.loads((checkpoint / MANIFEST).read_text())
    seal(checkpoint, {key: said[key] for key in ("kind", "step", "store", "world")})
    assert go_on(tiny_store, run) == 0


@pytest.mark.parametrize("change", CHANGES)
def test_a_finished_model_with_other_tensors_is_refused_by_their_names_by_all_who_read_it(change, begun, tiny_store, tmp_path):
    run = Path(shutil.copytree(begun, tmp_path / "run"))
    assert go_on(tiny_store, run) == 0
    changed(run / "model", "model.safetensors", change, WEIGHT)
    said = json.loads((run / "model" / MANIFEST).read_text())
    seal(run / "model", {key: value for key, value in said.items() if key not in ("files", "sha256", "shares")})
    for read in (load_model, load_towers):
        with pytest.raises(CheckpointError, match=change) as error:
            read(run / "model")
        assert WEIGHT in str(error.value) and "model.safetensors" in str(error.value)
