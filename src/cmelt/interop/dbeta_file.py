"""The authors' checkpoint as a file: PyTorch's, read as plain tensors alone, so that opening one runs nothing that it holds."""

from __future__ import annotations

import uuid
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmelt.errors import CheckpointError
from cmelt.publishing import sync

#: Under this key lie the tensors; whatever lies beside it (a step, settings) is passed over.
KEY = "model"
_WHOLE = "give the authors' checkpoint whole and unaltered, such as their sample.pt"


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of `{"model": {name: tensor}}`, memory-mapped where the file allows it.

    Raises:
        CheckpointError: no such file, cut short, no PyTorch file, one that holds more than plain tensors and containers (it might
            be code: none of it is run), or one without the tensors' names.
    """
    if not path.is_file():
        raise CheckpointError(path, "is a folder" if path.is_dir() else "no such file", _WHOLE)
    zipped = zipfile.is_zipfile(path)
    if not zipped and _begins_as_zip(path):
        raise CheckpointError(path, "is cut short or damaged: the end of the archive is missing", _WHOLE)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as fault:  # of a dozen kinds, some of which the library does not name
        reason = f"is no file of plain tensors ({type(fault).__name__}): what else it may hold has not been run"
        raise CheckpointError(path, reason, _WHOLE) from None
    state = content.get(KEY) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise CheckpointError(path, f'holds no "{KEY}" with tensors by name', _WHOLE)
    if others := [str(name) for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]:
        raise CheckpointError(path, f'"{KEY}" holds more than tensors: {", ".join(others)}', _WHOLE)
    return {name: tensor.detach() for name, tensor in state.items()}


def write_checkpoint(state: dict[str, Tensor], path: Path) -> None:
    """The same as `{"model": state}`; the file appears whole or not at all.

    Raises:
        CheckpointError: it exists already.
    """
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        torch.save({KEY: state}, staged)
        sync(staged)
        staged.rename(path)
    finally:
        staged.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Raises CheckpointError where something lies at `path`."""
    if path.exists():
        raise CheckpointError(path, "exists already", "choose another place, or remove it first")


def _begins_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
