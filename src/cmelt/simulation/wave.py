"""Waves as sums of dipole pulses: the heart vector in three dimensions, and its samples.

Axes are Frank's: x to the patient's left, y to the feet, z to the back. Amplitudes are millivolts, times seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A pulse is cut off where it has fallen to 1e-4 of its peak: exp(-u²/2) at 4.3 and exp(-u⁴/2) at 2.08 half widths.
_REACH = {False: 4.3, True: 2.08}

#: Duration of a wave: where its magnitude exceeds this part of its maximum, about what a reader sees above the noise.
VISIBLE = 0.04


@dataclass(frozen=True)
class Wave:
    """k bell-shaped pulses of a dipole.

    Attributes:
        centre: [k] seconds after the wave's onset.
        left: [k] half width before the centre (a Gaussian's sigma), seconds.
        right: [k] half width after the centre, seconds.
        vector: [k, 3] peak in millivolts, x left, y down, z back.
        flat: [k] bool, True for a plateau exp(-u⁴/2), False for a bell exp(-u²/2).
    """

    centre: Array
    left: Array
    right: Array
    vector: Array
    flat: NDArray[np.bool_]

    @property
    def pulses(self) -> int:
        """Number of pulses k."""
        return len(self.centre)

    def scaled(self, factor: float | Sequence[float]) -> Wave:
        """The wave with its vectors multiplied, by one number or by one a dimension."""
        return Wave(self.centre, self.left, self.right, self.vector * np.asarray(factor), self.flat)

    def turned(self, rotation: Array) -> Wave:
        """The wave with its vectors turned by a [3, 3] rotation."""
        return Wave(self.centre, self.left, self.right, self.vector @ rotation.T, self.flat)

    def paced(self, factor: float) -> Wave:
        """The wave drawn out in time by `factor` about its onset."""
        return Wave(self.centre * factor, self.left * factor, self.right * factor, self.vector, self.flat)

    def shifted(self, seconds: float) -> Wave:
        """The wave later by `seconds`."""
        return Wave(self.centre + seconds, self.left, self.right, self.vector, self.flat)

    def plus(self, other: Wave) -> Wave:
        """Both waves at once."""
        return Wave(
            np.concatenate([self.centre, other.centre]),
            np.concatenate([self.left, other.left]),
            np.concatenate([self.right, other.right]),
            np.concatenate([self.vector, other.vector]),
            np.concatenate([self.flat, other.flat]),
        )

    def without(self, pulse: int) -> Wave:
        """The wave less one of its pulses."""
        kept = np.arange(self.pulses) != pulse
        return Wave(self.centre[kept], self.left[kept], self.right[kept], self.vector[kept], self.flat[kept])

    def area(self) -> Array:
        """[3] net area in mV·s, up to the one factor that all bells share."""
        return ((self.left + self.right) / 2) @ self.vector


def wave(*pulses: tuple[float, float, tuple[float, float, float]]) -> Wave:
    """A wave from (centre in ms, half width in ms, vector in mV), one a pulse."""
    centre, width, vector = zip(*pulses, strict=True)
    half = np.array(width) / 1000
    return Wave(np.array(centre) / 1000, half, half, np.array(vector, dtype=float), np.zeros(len(centre), dtype=bool))


def rotation(axis: int, degrees: float) -> Array:
    """[3, 3] rotation about axis 0 (x), 1 (y) or 2 (z); about z, positive turns from left (x) towards the feet (y)."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    angle = np.deg2rad(degrees)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def trace(shape: Wave, step: float = 0.001) -> tuple[Array, Array]:
    """The wave alone on a fine grid: times [n] and vector [n, 3]."""
    begin = float((shape.centre - 3.5 * shape.left).min())
    end = float((shape.centre + 3.5 * shape.right).max())
    times = np.arange(begin, end, step)
    u = times[:, None] - shape.centre
    u = u / np.where(u < 0, shape.left, shape.right)
    u *= u
    np.multiply(u, u, out=u, where=shape.flat)
    return times, np.exp(-0.5 * u) @ shape.vector


def stretched(shape: Wave, seconds: float) -> Wave:
    """The wave moved and drawn out in time so that it is visible from 0 to `seconds`."""
    times, vector = trace(shape)
    size = np.sqrt((vector * vector).sum(axis=1))
    seen = np.flatnonzero(size > VISIBLE * size.max())
    begin, end = times[seen[0]], times[seen[-1]]
    return shape.shifted(-begin).paced(seconds / (end - begin))


def peak(shape: Wave) -> float:
    """Seconds from onset to the wave's greatest magnitude."""
    times, vector = trace(shape, step=0.0005)
    return float(times[(vector * vector).sum(axis=1).argmax()])


def joined(waves: Sequence[Wave]) -> Wave:
    """All waves in one; at least one is needed."""
    return Wave(
        np.concatenate([w.centre for w in waves]),
        np.concatenate([w.left for w in waves]),
        np.concatenate([w.right for w in waves]),
        np.concatenate([w.vector for w in waves]),
        np.concatenate([w.flat for w in waves]),
    )


def sampled(pulses: Wave, begin: float, rate: float, samples: int) -> Array:
    """The heart vector [3, samples] at times begin + i / rate (or [9, samples], as `Heart.views` has it).

    Every pulse is computed only where it is not zero.
    """
    reach = np.where(pulses.flat, _REACH[True], _REACH[False])
    first = np.ceil((pulses.centre - reach * pulses.left - begin) * rate).astype(np.int64).clip(0, samples)
    last = np.floor((pulses.centre + reach * pulses.right - begin) * rate).astype(np.int64).clip(-1, samples - 1)
    count = (last - first + 1).clip(0)
    owner = np.repeat(np.arange(pulses.pulses), count)
    index = np.arange(len(owner)) + np.repeat(first - (np.cumsum(count) - count), count)
    u = index / rate + begin - pulses.centre[owner]
    u /= np.where(u < 0, pulses.left[owner], pulses.right[owner])
    u *= u
    np.multiply(u, u, out=u, where=pulses.flat[owner])
    bell = np.exp(-0.5 * u)
    return np.stack(
        [np.bincount(index, bell * pulses.vector[owner, d], minlength=samples) for d in range(pulses.vector.shape[1])]
    )
