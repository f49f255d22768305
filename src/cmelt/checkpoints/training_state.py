"""Checkpoints of a run: weights, optimiser and step, and nothing else, since all randomness is a function of the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from cmelt.checkpoints.divided import part_like, put, whole_tensors
from cmelt.checkpoints.model_folder import WEIGHTS, distinct_tensors, load_weights, write_weights
from cmelt.checkpoints.tensors import read_file, refuse_unless_fitting
from cmelt.config.parsing import differing_keys
from cmelt.errors import CheckpointError
from cmelt.model.cmelt import CMeltModel
from cmelt.publishing import published, remove, remove_leftovers, verify

KIND = "cmelt checkpoint"
OPTIMISER = "optimiser.safetensors"
AVERAGE = "average.safetensors"
#: What AdamW keeps of a weight: how often it was changed, and its two moments.
_COUNT, _MOMENTS = "step", ("exp_avg", "exp_avg_sq")


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
    """Publish the state after `step` steps as `folder/step-NNNNNNNN`, then drop all but the newest `keep` up to it.

    Those of later steps are dropped too: the run has gone on from before them, since they are damaged.
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
    with published(target, {"kind": KIND, "step": step, **details}, replace=True) as staging:
        write_weights(model, staging, whole=weights)
        save_file({name: tensor.contiguous() for name, tensor in moments.items()}, staging / OPTIMISER)
        if average is not None:
            save_file(means, staging / AVERAGE)
    kept = [path for path in checkpoints(folder) if path.name <= target.name][:keep]
    for other in set(checkpoints(folder)) - set(kept):
        remove(other)
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

    Raises CheckpointError where every checkpoint is damaged, and where a whole one belongs to another run: `expected` is
    compared with what was saved beside it, and every tensor with those of the model; what differs is named.
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
        _refuse_another_run(manifest, expected, checkpoint)
        step, moments = int(manifest["step"]), read_file(checkpoint / OPTIMISER)
        refuse_unless_fitting(_moments_like(model, optimiser) if step else {}, moments, checkpoint / OPTIMISER)
        means = {} if average is None else read_file(checkpoint / AVERAGE)
        refuse_unless_fitting(average or {}, means, checkpoint / AVERAGE)
        load_weights(model, read_file(checkpoint / WEIGHTS), checkpoint / WEIGHTS)
        _restore_optimiser(model, optimiser, moments)
        for name, value in means.items():
            put(value, (average or {})[name])
        return Resumed(step, tuple(passed_over))
    if passed_over:
        raise CheckpointError(folder, "every checkpoint is damaged", "delete the run to start over, or choose another --out")
    return Resumed(0)


def _refuse_another_run(manifest: dict[str, Any], expected: dict[str, Any], checkpoint: Path) -> None:
    if manifest.get("kind") != KIND:
        raise CheckpointError(checkpoint, "is no checkpoint of a run", "it was put there: remove it")
    for name, value in expected.items():
        # What an earlier version did not say cannot be compared.
        if name in manifest and (keys := differing_keys(manifest[name], value)):
            told = f": {', '.join(keys)}" if any(keys) else ""
            raise CheckpointError(checkpoint, f"made with another {name}{told}", "go on with the same data and settings")


def _optimiser_tensors(model: CMeltModel, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    names = {id(tensor): name for name, tensor in distinct_tensors(model).items()}
    kept = {
        f"{names[id(parameter)]}/{key}": value for parameter, state in optimiser.state.items() for key, value in state.items()
    }
    # A weight that no gradient has reached yet has none: zeros say the same, and nothing can be missing unseen.
    begun = _moments_like(model, optimiser) if kept else {}
    return {name: kept[name] if name in kept else torch.zeros_like(like) for name, like in begun.items()}


def _moments_like(model: CMeltModel, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """By name, a tensor like each that AdamW keeps, once it has begun, of the weights that it changes."""
    changed = {id(weight) for group in optimiser.param_groups for weight in group["params"]}
    count = torch.zeros(())
    weights = {name: tensor for name, tensor in distinct_tensors(model).items() if id(tensor) in changed}
    return {
        f"{name}/{key}": count if key == _COUNT else weight for name, weight in weights.items() for key in (_COUNT, *_MOMENTS)
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
