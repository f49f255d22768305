"""Weights as they lie in a file: in half precision or single, read by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from cmelt.errors import CheckpointError

WEIGHTS = "model.safetensors"
#: The remedy where tensors do not fit.
OF_ANOTHER = "these weights belong to another configuration"
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
    with _opened(folder / WEIGHTS) as file:
        names = sorted(name for name in file.keys() if name.startswith(prefixes))  # noqa: SIM118 (no mapping)
    for first in range(0, len(names), _MAPPED_TOGETHER):
        some = names[first : first + _MAPPED_TOGETHER]
        with _opened(folder / WEIGHTS) as file:
            tensors = [file.get_tensor(name) for name in some]
        while tensors:
            yield some[-len(tensors)], tensors.pop(0)


def read_file(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a file, as it lies there. Raises CheckpointError where it is missing, or no such file."""
    if not path.is_file():
        raise CheckpointError(path, "missing", "restore it, or remove the folder")
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as fault:
        raise CheckpointError(path, f"not readable as safetensors ({fault})", "the file was altered: restore it") from None


def refuse_unless_fitting(known: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], where: Path) -> None:
    """Raise CheckpointError, naming the tensors, unless `state` has those of `known`, in shape and type, and no other."""
    faults = {
        "missing tensors": known.keys() - state.keys(),
        "unknown tensors": state.keys() - known.keys(),
        "tensors of another shape": {name for name in known.keys() & state.keys() if known[name].shape != state[name].shape},
        "tensors of another type": {name for name in known.keys() & state.keys() if known[name].dtype != state[name].dtype},
    }
    told = "; ".join(f"{fault}: {_listed(names)}" for fault, names in faults.items() if names)
    if told:
        raise CheckpointError(where, told, OF_ANOTHER)


def _listed(names: Collection[str], most: int = 5) -> str:
    shown = sorted(names)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def in_single_precision(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor; one of half precision (or of double) as single precision.

    A vector is copied: its few bytes would keep all that was mapped with them.
    """
    if tensor.is_floating_point() and tensor.dtype != torch.float32:
        return tensor.float()
    return tensor.clone() if tensor.ndim < 2 else tensor
