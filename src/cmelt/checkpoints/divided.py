"""Tensors that are divided among the processes (FSDP): whole ones for a file, and parts of whole ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor


def is_divided(tensor: Tensor) -> TypeGuard[Any]:
    """Whether it is a DTensor, asked without importing half a second of torch.distributed where there is none."""
    return hasattr(tensor, "full_tensor")


def whole_tensors(tensors: Mapping[str, Tensor], wanted: bool = True) -> dict[str, Tensor]:
    """The same tensors, divided ones put together on the CPU. Every process must ask; one that does not want them gets none.

    Those in one piece are handed on as they are, not copied.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():  # one after another: no process holds more than one whole tensor that it does not want
        whole = tensor.detach().full_tensor().cpu() if is_divided(tensor) else tensor.detach()
        if wanted:
            found[name] = whole
    return found


def put(whole: Tensor, into: Tensor) -> None:
    """Copy values into a tensor of the same shape, or into this process's part of a divided one."""
    with torch.no_grad():
        into.copy_(part_like(whole, into) if is_divided(into) else whole)


def part_like(whole: Tensor, other: Tensor) -> Tensor:
    """This process's part of `whole`, divided and placed as `other` is; all of it, on its device, where that is in one piece."""
    whole = whole.detach().to(other.device)
    if not is_divided(other):
        return whole
    from torch.distributed.tensor import distribute_tensor

    # Every process has read the same file: each cuts its own part out and nothing is sent.
    part: Tensor = distribute_tensor(whole, other.device_mesh, other.placements, src_data_rank=None)
    return part
