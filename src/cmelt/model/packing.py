"""Texts of a batch without their padding: reports differ so much in length that two thirds of a padded batch may be padding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Padding below this share of a batch is computed along: to take it out and put it back costs as much.
_TOO_LITTLE = 0.05


@dataclass(frozen=True)
class Packing:
    """Where the T real tokens of a padded batch stand.

    Attributes:
        mask: [B, S], True at real tokens.
        places: [T] of the real ones among the B · S, ascending; None where the padding is left in.
    """

    mask: Tensor
    places: Tensor | None

    @classmethod
    def of(cls, mask: Tensor) -> Packing:
        """The packing of a mask [B, S]. A captured graph, whose shapes stay what they are, leaves the padding in."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            return cls(mask, None)
        places = mask.flatten().nonzero()[:, 0]
        return cls(mask, places if len(places) < (1 - _TOO_LITTLE) * mask.numel() else None)

    def pack(self, padded: Tensor) -> Tensor:
        """[B, S, …] → [T, …], or as it is where the padding is left in."""
        return padded if self.places is None else padded.flatten(0, 1).index_select(0, self.places)

    def spread(self, packed: Tensor) -> Tensor:
        """[T, C] → [B, S, C], zeros at padding; what was not packed, as it is."""
        if self.places is None:
            return packed
        padded = packed.new_zeros(self.mask.numel(), packed.shape[1]).index_copy(0, self.places, packed)
        return padded.unflatten(0, self.mask.shape)
