"""Weights as they lie in a file: in half precision or single, read by name."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from cmelt.errors import CheckpointError

WEIGHTS = "model.safetensors"


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
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefixes)}  # noqa: SIM118 (no mapping)
    return {name: tensor.float() if tensor.dtype == torch.float16 else tensor for name, tensor in tensors.items()}
