"""Which pairs make step n: a function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    for number in np.unique(passes).tolist():
        inside = passes == number
        result[inside] = _shuffled(count, seed, number)[wanted[inside] % count]
    return result


@dataclass(frozen=True)
class Share:
    """What one of several stores has part in: its `pairs`, each drawn `weight` times in a pass."""

    pairs: int
    weight: float

    @property
    def draws(self) -> int:
        """How many of a pass are its own."""
        return max(1, round(self.pairs * self.weight))


def weighted_positions(shares: Sequence[Share], size: int, step: int, seed: int) -> NDArray[np.int64]:
    """As `positions`, where the pairs, numbered through the stores, are not all drawn equally often.

    A pass holds each store's draws, in shuffled order, and passes follow one another without a gap. What a store draws are
    shuffled passes over its own pairs, likewise without a gap, so that each of them is seen equally often up to one.
    """
    draws = tuple(share.draws for share in shares)
    length, before = sum(draws), np.cumsum([0, *(share.pairs for share in shares)])
    wanted = np.arange(step * size, (step + 1) * size)
    result = np.empty(size, dtype=np.int64)
    for number in np.unique(wanted // length).tolist():
        inside = np.flatnonzero(wanted // length == number)
        stores, turns = (column[wanted[inside] % length] for column in _mixture(draws, seed, number))
        for store in np.unique(stores).tolist():
            own = stores == store
            turn = number * draws[store] + turns[own]
            result[inside[own]] = before[store] + _in_turn(shares[store].pairs, turn, seed, store)
    return result


def _in_turn(count: int, turns: NDArray[np.int64], seed: int, store: int) -> NDArray[np.int64]:
    """What a store of `count` pairs draws at its `turns`, counted from the beginning of the run."""
    passes = turns // count
    result = np.empty(turns.size, dtype=np.int64)
    for number in np.unique(passes).tolist():
        inside = passes == number
        result[inside] = _shuffled_store(count, seed, number, store)[turns[inside] % count]
    return result


@lru_cache(maxsize=2)
def _mixture(draws: tuple[int, ...], seed: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whose turn each draw of pass `number` is, and which of that store's turns in the pass."""
    stores = generator(seed, "stores", number).permutation(np.repeat(np.arange(len(draws)), draws))
    turns = np.empty(stores.size, dtype=np.int64)
    for store, count in enumerate(draws):
        turns[stores == store] = np.arange(count)
    return stores, turns


@lru_cache(maxsize=32)
def _shuffled_store(count: int, seed: int, number: int, store: int) -> NDArray[np.int64]:
    return generator(seed, f"order of store {store}", number).permutation(count)


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, number: int) -> NDArray[np.int64]:
    return generator(seed, "order", number).permutation(count)
