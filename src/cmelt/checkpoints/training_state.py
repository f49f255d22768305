"""Checkpoints of a run: weights, optimiser and step, and nothing else, since all randomness is a function of the step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cmelt.checkpoints.divided import part_like, put, whole_tensors
from cmelt.checkpoints.model_folder import WEIGHTS, distinct_tensors, load_weights, write_weights
from cmelt.errors import CheckpointError
from cmelt.model.cmelt import CMeltModel
from cmelt.publishing import published, remove_leftovers, verify

OPTIMISER = "optimiser.safetensors"
AVERAGE = "average.safetensors"


@dataclass(frozen=True)
class Resumed:
    """Where a run goes on: the step to do next, and the checkpoints that had to be passed over, with the reason."""

    step: int
    passed_over: tuple[str, ...] = ()


def save_state(
    folder: Path,
    model: CMeltModel,
    optimiser: torch.optim.Optimizer,
    average: dict[str, torch.Tensor] | None,
    step: int,
    details: dict[str, Any],
    keep: int,
    *,
    writes: bool = True,
) -> Path:
    """Publish the state after `step` steps as `folder/step-NNNNNNNN`, then drop all but the newest `keep`.

    The files hold whole tensors, however many processes there are and whether each holds all of them or a share. Of several
    processes every one must call; one of them `writes`.
    """
    target = folder / f"step-{step:08d}"
    weights, moments, means = (
        whole_tensors(tensors, writes)
        for tensors in (distinct_tensors(model), _optimiser_tensors(model, optimiser), average or {})
    )
    if not writes:
        return target
    with published(target, {"kind": "cmelt checkpoint", "step": step, **details}, replace=True) as staging:
        write_weights(model, staging, whole=weights)
        save_file({name: tensor.contiguous() for name, tensor in moments.items()}, staging / OPTIMISER)
        if average is not None:
            save_file(means, staging / AVERAGE)
    for old in checkpoints(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The run's checkpoints, newest first."""
    return sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []


def resume_state(
    folder: Path,
    model: CMeltModel,
    optimiser: torch.optim.Optimizer,
    average: dict[str, torch.Tensor] | None,
    expected: dict[str, Any],
    say: Callable[[str], None],
) -> Resumed:
    """Put the newest whole checkpoint back. A damaged one is said and passed over; none at all starts at step 0.

    Raises CheckpointError where every checkpoint is damaged, and where one belongs to another run: `expected` is
    compared with what was saved beside it.
    """
    remove_leftovers(folder)
    passed_over: list[str] = []
    for checkpoint in checkpoints(folder):
        try:
            manifest = verify(checkpoint, CheckpointError)
        except CheckpointError as fault:
            passed_over.append(str(fault))
            say(f"checkpoint passed over: {fault}")
            continue
        for name, value in expected.items():
            if manifest.get(name) != value:
                raise CheckpointError(checkpoint, f"made with another {name}", "go on with the same data")
        load_weights(model, load_file(checkpoint / WEIGHTS), checkpoint / WEIGHTS)
        _restore_optimiser(model, optimiser, load_file(checkpoint / OPTIMISER))
        if average is not None:
            for name, value in load_file(checkpoint / AVERAGE).items():
                put(value, average[name])
        return Resumed(int(manifest["step"]), tuple(passed_over))
    if passed_over:
        raise CheckpointError(folder, "every checkpoint is damaged", "delete the run to start over, or choose another --out")
    return Resumed(0)


def _optimiser_tensors(model: CMeltModel, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    names = {id(tensor): name for name, tensor in distinct_tensors(model).items()}
    return {
        f"{names[id(parameter)]}/{key}": value for parameter, state in optimiser.state.items() for key, value in state.items()
    }


def _restore_optimiser(model: CMeltModel, optimiser: torch.optim.Optimizer, state: dict[str, torch.Tensor]) -> None:
    parameters = distinct_tensors(model)
    for name, value in state.items():
        parameter, _, key = name.rpartition("/")
        weight = parameters[parameter]
        if key == "step":  # AdamW's own count stays on the CPU unless the optimiser is fused
            optimiser.state[weight][key] = value.to(weight.device if optimiser.defaults.get("fused") else "cpu")
        else:  # moments lie beside their weights
            optimiser.state[weight][key] = part_like(value, weight)
