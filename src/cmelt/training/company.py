"""Processes that train together: where one goes away, each of the others ends at once, and says so in words of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cmelt.checkpoints.training_state import checkpoints
from cmelt.errors import TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: gloo's errors are plain RuntimeErrors; each tells the line of its source that noticed.
_GLOO = "gloo/"


@contextmanager
def in_company(fabric: Fabric, folder: Path) -> Iterator[None]:
    """Within the block, a failed exchange with the other processes becomes a TrainingError: whose, and how the run goes on.

    folder: the run's; its newest checkpoint is named.
    """
    try:
        yield
    except RuntimeError as error:
        if fabric.world_size == 1 or not lost_company(error):
            raise
        raise _left_alone(fabric, folder) from error


def lost_company(error: RuntimeError) -> bool:
    """Whether this is what gloo or NCCL, or what they meet through, raises when a process does not answer any more."""
    return isinstance(error, torch.distributed.DistError) or _GLOO in str(error)


def _left_alone(fabric: Fabric, folder: Path) -> TrainingError:
    rank, world = fabric.global_rank, fabric.world_size
    other = f"rank {1 - rank}" if world == 2 else "another process of the run"
    saved = checkpoints(folder / "checkpoints")[:1]
    onward = f"goes on from the last checkpoint, {saved[0].name}" if saved else "begins anew: no checkpoint was written yet"
    return TrainingError(
        f"rank {rank} of {world}",
        f"{other} has gone away: killed, out of memory, or failed, which its own last words tell if it had any",
        f"start all processes again: the same command {onward}",
    )
