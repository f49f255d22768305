"""bf16-mixed on a CPU: products in bfloat16, weights, losses and optimiser in float32, and the same bits every time."""

from __future__ import annotations

import pytest
import torch

from cmelt.store import open_store
from cmelt.training.loop import pretrain
from tiny_runs import Notes, losses_of, tiny_recipe, weights_of

ALL = ("objectives.ecg_alignment=1", "objectives.ets=0.2", "training.steps=6", "training.checkpoint_every=2")


def trained(store, folder, *assignments: str) -> Notes:
    notes = Notes()
    assert pretrain(tiny_recipe(*ALL, *assignments), store, folder, notes) == 0
    return notes


@pytest.fixture(scope="module")
def store(tiny_store):
    return open_store(tiny_store)


def test_every_objective_is_within_a_percent_of_full_precision_and_stays_near_it(store, tmp_path):
    whole = trained(store, tmp_path / "32", "training.precision=32-true")
    half = trained(store, tmp_path / "16", "training.precision=bf16-mixed")
    for mine, truth in zip(half.steps, whole.steps, strict=True):
        for name in ("mlm", "mem", "etm", "ets", "info_nce", "ecg_alignment"):
            # From the second step on weights differ, too, and a temperature of 0.07 makes much of it.
            near = 0.01 if mine["step"] == 1 else 0.05
            assert mine[name] == pytest.approx(truth[name], rel=near, abs=near), (mine["step"], name)
    assert half.steps != whole.steps  # it is not full precision by another name


def test_losses_and_weights_stay_in_single_precision(store, tmp_path, monkeypatch):
    import cmelt.training.loop as loop

    seen: list[tuple[torch.dtype, torch.dtype]] = []
    computed = loop.total_loss

    def noted(outputs, truth, settings):
        losses = computed(outputs, truth, settings)
        seen.extend((outputs.ecg_views[0].dtype, part.dtype) for part in (losses.total, *losses.parts.values()))
        return losses

    monkeypatch.setattr(loop, "total_loss", noted)
    trained(store, tmp_path / "run", "training.precision=bf16-mixed", "training.steps=1")
    # Fabric hands the model's outputs back in float32; what the losses make of them stays there.
    assert {loss for _, loss in seen} == {torch.float32}
    from safetensors.torch import load_file

    assert {tensor.dtype for tensor in load_file(tmp_path / "run" / "model" / "model.safetensors").values()} == {torch.float32}


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(store, tmp_path):
    """Stopped after step 3 as by SIGTERM, and gone on with."""
    import os
    import signal

    half = "training.precision=bf16-mixed"
    trained(store, tmp_path / "once", half)
    notes = Notes(at={3: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    assert pretrain(tiny_recipe(*ALL, half), store, tmp_path / "twice", notes) == 143
    trained(store, tmp_path / "twice", half)
    assert losses_of(tmp_path / "twice") == losses_of(tmp_path / "once")
    assert weights_of(tmp_path / "twice") == weights_of(tmp_path / "once")
