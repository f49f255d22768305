"""Memory for the signals of batches, used again: a page that a process touches for the first time costs ten times its copying."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class SignalMemory:
    """Hands out int16 tensors of one shape. Memory comes back by itself once no tensor looks at it any more.

    Attributes:
        shape: of every tensor.
        pinned: in memory that a GPU copies from by itself. torch recycles that on its own, and knows which copies still run.
    """

    shape: tuple[int, ...]
    pinned: bool = False
    _free: list[NDArray[np.int16]] = field(default_factory=list, init=False, repr=False, compare=False)

    def tensor(self) -> Tensor:
        """A tensor whose content is whatever was there."""
        if self.pinned:
            return torch.empty(self.shape, dtype=torch.int16, pin_memory=True)
        try:
            memory = self._free.pop()
        except IndexError:
            memory = np.empty(self.shape, dtype=np.int16)
        lent = memory[:]  # an array of its own on that memory, which the tensor's storage keeps alive and nobody else
        weakref.finalize(lent, self._free.append, memory).atexit = False
        return torch.from_numpy(lent)
