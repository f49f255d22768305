"""Texts that are tokenised once and looked up from then on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TokenBatch:
    """Reports as ids, padded to the longest among them.

    Attributes:
        ids: int64 [B, S].
        mask: bool [B, S], true on the report's own tokens (its class and end tokens included), false on padding.
    """

    ids: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class TokenTable:
    """The ids of N texts, one after the other, without padding: 2 bytes a token, where the vocabulary has up to 65,536.

    Attributes:
        ids: unsigned integers [M].
        begin: int64 [N + 1], where each text's ids begin, and where the last one's end.
        pad: the id of padding.
    """

    ids: NDArray[np.unsignedinteger]
    begin: NDArray[np.int64]
    pad: int

    def __len__(self) -> int:
        return len(self.begin) - 1

    def rows(self, numbers: NDArray[np.int64]) -> TokenBatch:
        """The texts of these numbers [B], padded on the right to the longest of them."""
        first = self.begin[numbers]
        lengths = self.begin[numbers + 1] - first
        columns = np.arange(max(int(lengths.max()), 1))
        mask = columns < lengths[:, None]
        ids = np.full(mask.shape, self.pad, dtype=np.int64)
        ids[mask] = self.ids[(first[:, None] + columns)[mask]]
        return TokenBatch(ids, mask)
