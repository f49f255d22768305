"""What the contrastive objectives see of the other processes: their embeddings, gradients included."""

from __future__ import annotations

import torch.distributed
from torch import Tensor


def gather(rows: Tensor) -> Tensor:
    """The rows of every process one after another, [world × B, ...]; the argument itself where there is one process.

    Gradients flow back to the process that a row came from; integer rows carry none.
    """
    if not _several():
        return rows
    if rows.is_floating_point():
        from torch.distributed.nn.functional import all_gather

        return torch.cat(all_gather(rows))
    pieces = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(pieces, rows)
    return torch.cat(pieces)


def first_row(rows: int) -> int:
    """Where this process's rows start among the gathered ones."""
    return torch.distributed.get_rank() * rows if _several() else 0


def mean_across(value: Tensor) -> Tensor:
    """The mean of a scalar without gradient over the processes."""
    if not _several():
        return value
    total = value.detach().clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()


def _several() -> bool:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return False
    return torch.distributed.get_world_size() > 1
