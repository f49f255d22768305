"""The vectors themselves, on disk: written block by block, read by memory map; and the exact search among them.

Small sets are float32. Large ones are int16 times a step of each row's own (its largest number / 32,767): half the disk, a cosine
off by 2e-6 at a width of 768 (2e-5 at 40), and quicker to turn into float32 than float16 is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError

VECTORS, STEPS = "vectors.bin", "steps.bin"

#: Numbers of one block, 32 MiB in float32.
BLOCK_NUMBERS = 2**23

#: Queries that are compared with a block at once.
AT_ONCE = 256


@dataclass(frozen=True)
class Vectors:
    """Unit vectors on disk.

    Attributes:
        path: the file.
        numbers: float32 or int16 [N, D], a memory map.
        steps: float32 [N], what a row's int16 numbers are multiplied by; None for float32.
    """

    path: Path
    numbers: NDArray[np.float32] | NDArray[np.int16]
    steps: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def width(self) -> int:
        """D."""
        return int(self.numbers.shape[1])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, float32 [n, D]."""
        found = self.numbers[rows].astype(np.float32)
        return found if self.steps is None else found * self.steps[rows, None]

    def similarities(self, rows: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosines of these rows to a unit vector [D]: float32 [n]."""
        found = self.numbers[rows].astype(np.float32) @ query
        return found if self.steps is None else found * self.steps[rows]

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first row, float32 [b, D]) one after the other."""
        step, width = max(1, BLOCK_NUMBERS // self.width), self.width
        for first in range(0, len(self), step):
            if self.steps is None:
                yield first, np.asarray(self.numbers[first : first + step], dtype=np.float32)  # the map itself, no copy
                continue
            count = min(step, len(self) - first)
            # Read, not mapped: pages that were mapped count as this process's memory, and there may be many.
            read = np.fromfile(self.path, np.int16, count * width, offset=first * width * 2).reshape(count, width)
            yield first, read.astype(np.float32) * self.steps[first : first + count, None]


def write_vectors(blocks: Iterable[NDArray[np.floating]], folder: Path, exact: int) -> tuple[int, int]:
    """Write blocks [n, D] as unit vectors: float32 where there are up to `exact` numbers in all, else int16.

    Only so many numbers are ever held. A vector of zeros stays one: its cosine to everything is 0.

    Returns:
        N and D.

    Raises:
        ConfigError: nothing to write, a block of another shape, a number that is not finite.
    """
    held: list[NDArray[np.float32]] = []
    rows = width = written = 0
    with (folder / VECTORS).open("wb") as numbers, (folder / STEPS).open("wb") as steps:
        for block in blocks:
            block = unit_vectors(block, "vectors", width)
            rows, width = rows + len(block), block.shape[1]
            held.append(block)
            if rows * width > exact:
                for part in held:
                    shrunk, step = _shrunk(part)
                    numbers.write(shrunk.tobytes())
                    steps.write(step.tobytes())
                    written += len(part)
                held = []
        if not rows:
            raise ConfigError("vectors", "there is none to build an index of", "give an array [n, D], or blocks of them")
        if not written:
            for part in held:
                numbers.write(part.tobytes())
    if not written:
        (folder / STEPS).unlink()
    return rows, width


def open_vectors(folder: Path, rows: int, width: int) -> Vectors:
    """Map what `write_vectors` wrote. Raises StoreError where the files are not of this size."""
    path, steps = folder / VECTORS, folder / STEPS
    kind = np.dtype(np.int16 if steps.exists() else np.float32)
    try:
        numbers = np.memmap(path, kind, "r", shape=(rows, width))
        factors = np.fromfile(steps, np.float32) if steps.exists() else None
    except (OSError, ValueError) as error:
        fault = f"{rows} vectors of {width} cannot be read of it ({type(error).__name__})"
        raise StoreError(path, fault, "build the index again") from error
    if path.stat().st_size != rows * width * kind.itemsize or (factors is not None and len(factors) != rows):
        raise StoreError(path, f"does not hold {rows} vectors of {width}", "build the index again")
    return Vectors(path, numbers.view(np.ndarray), factors)


def unit_vectors(given: NDArray[np.floating], what: str, width: int = 0) -> NDArray[np.float32]:
    """Vectors [n, D] at length 1, float32. Raises ConfigError for another shape or width (0: any), or what is not finite."""
    found = np.asarray(given)
    if found.ndim != 2 or found.shape[1] == 0 or not np.issubdtype(found.dtype, np.number):
        raise ConfigError(what, f"is {found.dtype} {found.shape}", "give numbers [n, D]")
    if width and found.shape[1] != width:
        raise ConfigError(what, f"has vectors of {found.shape[1]} numbers where {width} belong", "embed them with the same model")
    found = found.astype(np.float32)
    if not np.isfinite(found).all():
        raise ConfigError(what, "holds a number that is not finite", "leave such vectors out")
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, length, out=np.zeros_like(found), where=length > 0)


def exact_search(
    vectors: Vectors, queries: NDArray[np.float32], k: int, among: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k most similar rows of all, or of `among` (sorted), most similar first; the lower row first where they are equal.

    Returns:
        rows int64 [q, k] and cosines float32 [q, k].
    """
    if len(queries) > AT_ONCE:
        parts = [exact_search(vectors, queries[i : i + AT_ONCE], k, among) for i in range(0, len(queries), AT_ONCE)]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([similar for _, similar in parts])
    rows = np.empty((len(queries), 0), dtype=np.int64)
    similar = np.empty((len(queries), 0), dtype=np.float32)
    for number, block in _chosen_blocks(vectors, among):
        found = queries @ block.T  # [q, b]
        rows = np.concatenate([rows, np.broadcast_to(number, found.shape)], axis=1)
        rows, similar = leading(rows, np.concatenate([similar, found], axis=1), k)
    return rows, similar


def leading(rows: NDArray[np.int64], similar: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k columns of each line [q, n] that are most similar, in order; equal ones by row."""
    if k < similar.shape[1]:
        best = np.argpartition(similar, similar.shape[1] - k, axis=1)[:, -k:]
        rows, similar = np.take_along_axis(rows, best, 1), np.take_along_axis(similar, best, 1)
    order = np.lexsort((rows, -similar), axis=1)
    return np.take_along_axis(rows, order, 1), np.take_along_axis(similar, order, 1)


def _chosen_blocks(vectors: Vectors, among: NDArray[np.int64] | None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Numbers of rows and their vectors, block by block."""
    step = max(1, BLOCK_NUMBERS // vectors.width)
    if among is not None:
        for first in range(0, len(among), step):
            yield among[first : first + step], vectors.take(among[first : first + step])
        return
    for first, block in vectors.blocks():
        yield np.arange(first, first + len(block)), block


def _shrunk(block: NDArray[np.float32]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """A block [n, D] as int16 and a step a row [n]."""
    step = np.abs(block).max(axis=1) / np.float32(32767)
    scaled = np.divide(block, step[:, None], out=np.zeros_like(block), where=step[:, None] > 0)
    return np.rint(scaled).astype(np.int16), step.astype(np.float32)
