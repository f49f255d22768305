"""Which pairs make step n: a function of the seed and the step."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cmelt.batches.seeds import generator


def positions(count: int, size: int, step: int, seed: int) -> NDArray[np.int64]:
    """The `size` pairs of step `step`, numbers below `count`.

    One shuffled pass over the pairs follows another without a gap: a batch may reach from one pass into the next, so that no
    pair is ever left out, and every pair is seen equally often up to one.
    """
    first = step * size
    wanted = np.arange(first, first + size)
    passes = wanted // count
    result = np.empty(size, dtype=np.int64)
    for number in np.unique(passes):
        inside = passes == number
        result[inside] = _shuffled(count, seed, int(number))[wanted[inside] % count]
    return result


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, number: int) -> NDArray[np.int64]:
    return generator(seed, "order", number).permutation(count)
