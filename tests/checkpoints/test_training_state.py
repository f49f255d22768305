"""A run's state on disk: all of it back, the newest whole one, never another run's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cmelt.checkpoints.model_folder import distinct_tensors
from cmelt.checkpoints.training_state import Resumed, checkpoints, resume_state, save_state
from cmelt.errors import CheckpointError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.training.optimiser import build_optimiser
from tiny_runs import tiny_recipe

IDENTITY = {"store": "5" * 64, "world": 1}


def state(seed: int = 0, steps: int = 0):
    torch.manual_seed(seed)
    recipe = tiny_recipe("model.text.architecture.vocab_size=50")
    model = CMeltModel(CMeltConfig.of(recipe.model))
    optimiser = build_optimiser(model, recipe.optimiser)
    for _ in range(steps):
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.randn_like(parameter)
        optimiser.step()
    average = {name: tensor.detach().clone() + 1 for name, tensor in distinct_tensors(model).items()}
    return model, optimiser, average


def save(folder: Path, step: int, seed: int = 0, keep: int = 2, **identity) -> tuple:
    model, optimiser, average = state(seed, steps=2)
    save_state(folder, model, optimiser, average, step, {**IDENTITY, **identity}, keep)
    return model, optimiser, average


def resume(folder: Path, said: list[str] | None = None) -> tuple[Resumed, tuple]:
    model, optimiser, average = state(seed=9)
    say = [].append if said is None else said.append
    return resume_state(folder, model, optimiser, average, IDENTITY, say), (model, optimiser, average)


def same(one: tuple, other: tuple) -> bool:
    weights = all(torch.equal(a, b) for a, b in zip(one[0].parameters(), other[0].parameters(), strict=True))
    average = all(torch.equal(one[2][name], other[2][name]) for name in one[2])
    names = [dict(zip(m.parameters(), (n for n, _ in m.named_parameters()), strict=True)) for m in (one[0], other[0])]
    states = [
        {(names[i][p], key): value for p, found in pair[1].state.items() for key, value in found.items()}
        for i, pair in enumerate((one, other))
    ]
    moments = states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    return weights and average and moments and len(states[0]) > 0


def test_weights_moments_counts_and_averages_come_back_to_the_bit(tmp_path):
    saved = save(tmp_path, 12)
    resumed, found = resume(tmp_path)
    assert resumed == Resumed(12)
    assert same(saved, found)
    steps = {float(entry["step"]) for entry in found[1].state.values()}
    assert steps == {2.0}


def test_a_run_without_checkpoints_starts_at_step_0(tmp_path):
    assert resume(tmp_path / "none")[0] == Resumed(0)


def test_only_the_newest_are_kept(tmp_path):
    for step in (9, 10, 11, 100):
        save(tmp_path, step, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000100", "step-00000011"]


def test_the_newest_whole_one_is_taken_and_the_others_are_said(tmp_path):
    older = save(tmp_path, 4, seed=1)
    save(tmp_path, 8, seed=2)
    weights = tmp_path / "step-00000008" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    said: list[str] = []
    resumed, found = resume(tmp_path, said)
    assert resumed.step == 4 and len(resumed.passed_over) == 1
    assert "step-00000008" in said[0] and "model.safetensors" in said[0]
    assert same(older, found)


@pytest.mark.parametrize(
    "file", ["model.safetensors", "optimiser.safetensors", "average.safetensors", "config.json", "manifest.json"]
)
def test_a_flipped_byte_in_any_file_is_found(file, tmp_path):
    save(tmp_path, 8)
    path = tmp_path / "step-00000008" / file
    whole = path.read_bytes()
    for place in (1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
        said: list[str] = []
        with pytest.raises(CheckpointError, match="every checkpoint is damaged"):
            resume(tmp_path, said)
        assert file in said[0] or file == "manifest.json"


def test_the_step_of_a_checkpoint_cannot_change_unseen(tmp_path):
    save(tmp_path, 12)
    path = tmp_path / "step-00000012" / "manifest.json"
    path.write_text(path.read_text().replace('"step": 12', '"step": 13'))
    with pytest.raises(CheckpointError, match="damaged"):
        resume(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("store", "6" * 64), ("world", 2)])
def test_another_run_s_checkpoint_is_refused(key, value, tmp_path):
    save(tmp_path, 8, **{key: value})
    with pytest.raises(CheckpointError, match=f"another {key}"):
        resume(tmp_path)


def test_what_a_killed_writer_left_is_removed(tmp_path):
    save(tmp_path, 8)
    (tmp_path / ".staging-step-00000012-abc").mkdir()
    (tmp_path / ".staging-step-00000012-abc" / "model.safetensors").write_bytes(b"half")
    assert resume(tmp_path)[0].step == 8
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000008"]


def test_a_save_that_fails_leaves_the_one_before_in_place(tmp_path, monkeypatch):
    saved = save(tmp_path, 8)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cmelt.checkpoints.training_state.save_file", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000008"]
    assert same(saved, resume(tmp_path)[1])


def test_a_damaged_newer_checkpoint_takes_no_whole_one_s_place(tmp_path):
    """The run goes on from before the damaged one: what is saved then is kept, however few are, and the damaged one goes."""
    save(tmp_path, 4)
    save(tmp_path, 8, seed=1)
    (tmp_path / "step-00000008" / "model.safetensors").write_bytes(b"")
    assert resume(tmp_path)[0].step == 4
    save(tmp_path, 5, seed=2, keep=1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000005"]
    assert resume(tmp_path)[0] == Resumed(5)


def test_stopped_while_an_old_checkpoint_is_removed_no_part_of_it_passes_for_one(tmp_path, monkeypatch):
    save(tmp_path, 4)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cmelt.publishing.shutil.rmtree", stopped)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 8, keep=1)
    monkeypatch.undo()
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000008"]
    resume(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000008"]


def test_a_weight_that_no_gradient_has_reached_has_moments_of_zero_and_goes_on_as_if_it_had_none(tmp_path):
    model, optimiser, average = state(seed=1)
    reached = next(model.parameters())
    reached.grad = torch.ones_like(reached)
    optimiser.step()
    save_state(tmp_path, model, optimiser, average, 1, IDENTITY, 1)
    resumed, found = resume(tmp_path)
    assert resumed.step == 1
    for pair in ((model, optimiser), found[:2]):
        for parameter in pair[0].parameters():
            parameter.grad = torch.ones_like(parameter)
        pair[1].step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), found[0].parameters(), strict=True))
