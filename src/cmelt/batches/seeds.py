"""Randomness as a function: a generator for (seed, purpose, step, rank), so that any step can be replayed alone."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, purpose: str, step: int = 0, rank: int = 0) -> np.random.Generator:
    """A numpy generator that depends on its arguments and on nothing else."""
    return np.random.default_rng(_entropy(seed, purpose, step, rank))


def torch_seed(seed: int, purpose: str, step: int = 0, rank: int = 0) -> int:
    """A 63-bit seed for torch's generators, likewise."""
    return int.from_bytes(_digest(seed, purpose, step, rank)[:8], "little") >> 1


def _entropy(seed: int, purpose: str, step: int, rank: int) -> list[int]:
    digest = _digest(seed, purpose, step, rank)
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]


def _digest(seed: int, purpose: str, step: int, rank: int) -> bytes:
    return hashlib.sha256(f"{seed}/{purpose}/{step}/{rank}".encode()).digest()
