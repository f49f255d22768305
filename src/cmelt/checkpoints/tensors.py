"""Weights as they lie in a file: in half precision or single, read by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open

from cmelt.errors import CheckpointError

WEIGHTS = "model.safetensors"
#: Tensors of one mapping of the file.
_MAPPED_TOGETHER = 16


def halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels in half precision; vectors and scalars (norms, biases, scales), which weigh nothing, as they are.

    Raises CheckpointError naming a tensor that holds more than half precision's 65,504, or is not finite.
    """
    smaller = {}
    for name, tensor in tensors.items():
        smaller[name] = tensor.detach().half() if tensor.is_floating_point() and tensor.ndim >= 2 else tensor
        if tensor.is_floating_point() and not bool(torch.isfinite(smaller[name]).all()):
            raise CheckpointError(name, "holds values that half precision cannot", "save it in single precision")
    return smaller


def read_tensors(folder: Path, prefixes: tuple[str, ...] = ("",)) -> dict[str, torch.Tensor]:
    """The tensors of a model folder whose names begin so, in single precision whatever the file holds."""
    return {name: in_single_precision(tensor) for name, tensor in stored_tensors(folder, prefixes)}


def stored_tensors(folder: Path, prefixes: tuple[str, ...] = ("",)) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors whose names begin so, by name in order, as they lie in the file: mapped into memory, read when looked at.

    The file is mapped anew for every few of them: what was read and dropped takes no more room.
    """
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        names = sorted(name for name in file.keys() if name.startswith(prefixes))  # noqa: SIM118 (no mapping)
    for first in range(0, len(names), _MAPPED_TOGETHER):
        some = names[first : first + _MAPPED_TOGETHER]
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            tensors = [file.get_tensor(name) for name in some]
        while tensors:
            yield some[-len(tensors)], tensors.pop(0)


def in_single_precision(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor; one of half precision widened.

    A vector is copied: its few bytes would keep all that was mapped with them.
    """
    if tensor.dtype == torch.float16:
        return tensor.float()
    return tensor.clone() if tensor.ndim < 2 else tensor
