"""From one sampling rate to another, polyphase and band-limited."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from cmelt.records.record import Signal

#: Zero crossings of the sinc on either side, and the Kaiser shape: flat to 0.85 of the lower Nyquist limit, 80 dB down above it.
_CROSSINGS = 32
_KAISER = 8.0

#: Outputs of a block, at least: wide enough for a matrix product to be quick, narrow enough for few products with zeros.
_BLOCK = 32
#: A block's matrix may have this many entries (8 MiB); rates with a ratio that needs more are resampled sample by sample.
_LARGEST_MATRIX = 1 << 20


def resample(signal: Signal, rate: float, to: float) -> Signal:
    """`signal` [leads, samples] at `rate` Hz as it would have been measured at `to` Hz.

    What lies above half the lower rate is taken out; edges go on as their own odd reflection, so that an offset
    makes no step. The length is samples · to / rate, rounded up as little as the last sample needs.
    """
    if rate == to:
        return signal
    ratio = Fraction(to / rate).limit_denominator(2000)
    up, down = ratio.numerator, ratio.denominator
    blocks = _blocks(up, down)
    if blocks is None or signal.shape[1] <= blocks.reach or not np.isfinite(signal).all():
        return by_samples(signal, up, down)
    return by_blocks(signal, blocks)


def by_samples(signal: Signal, up: int, down: int) -> Signal:
    """Resample by `up` / `down`: every output a sum over taps and samples, in their order."""
    from scipy.signal import resample_poly

    taps = _low_pass(up, down)
    padded = resample_poly(signal.astype(np.float64), up, down, axis=1, window=taps, padtype="antireflect")
    return padded.astype(np.float32)


@dataclass(frozen=True)
class Blocks:
    """Resampling by `up` / `down` as matrix products, a block of outputs at a time.

    Attributes:
        half: taps on either side of the middle one.
        taps: with `up` zeros at both ends.
        inputs, outputs: samples by which a block moves on.
        reach: samples that an output needs on either side of its place.
        matrix: [inputs + 2 · reach, outputs].
        weight: the largest sum of absolute taps that make an output.
    """

    up: int
    down: int
    half: int
    taps: NDArray[np.float64]
    inputs: int
    outputs: int
    reach: int
    matrix: NDArray[np.float64]
    weight: float


@lru_cache(maxsize=16)
def _blocks(up: int, down: int) -> Blocks | None:
    times = -(-_BLOCK // up)
    inputs, outputs = down * times, up * times
    taps = _low_pass(up, down) * up
    half = (taps.size - 1) // 2
    reach = half // up + 1
    if (inputs + 2 * reach) * outputs > _LARGEST_MATRIX:
        return None
    taps = np.concatenate([np.zeros(up), taps, np.zeros(up)])
    places = np.arange(-reach, inputs + reach)[:, None] * up  # inputs and outputs in the fine rate that both divide
    tap = np.arange(outputs)[None, :] * down - places + half + up
    matrix = np.where((tap >= 0) & (tap < taps.size), taps[np.clip(tap, 0, taps.size - 1)], 0.0)
    return Blocks(up, down, half, taps, inputs, outputs, reach, matrix, float(np.abs(matrix).sum(axis=0).max()))


def by_blocks(signal: Signal, blocks: Blocks) -> Signal:
    """As `by_samples`, to the last bit, at a fifth of its time.

    A matrix product adds up in another order, so that it errs by some last bits of float64. Where that could decide how a
    sample is rounded to float32 (in one of a thousand), the sample is added up in order after all.
    """
    rows, samples = signal.shape
    wanted = -(-samples * blocks.up // blocks.down)
    count = -(-wanted // blocks.outputs)
    padded = _padded(signal, blocks, count)
    width = blocks.matrix.shape[0]
    step = padded.strides[1]
    windows = as_strided(padded, (rows, count, width), (padded.strides[0], blocks.inputs * step, step), writeable=False)
    precise = (windows.reshape(-1, width) @ blocks.matrix).reshape(rows, -1)[:, :wanted]
    # Both orders err by less than this: a unit in the last place for each product and each sum, of the largest there may be.
    terms = width + blocks.taps.size // blocks.up + 4
    largest = np.abs(padded).max(axis=1, keepdims=True)
    error = terms * np.finfo(np.float64).eps * blocks.weight * largest
    low, high = (precise - error).astype(np.float32), (precise + error).astype(np.float32)
    row, place = np.nonzero(low != high)
    low[row, place] = _in_order(padded, blocks, row, place)
    return low


def _padded(signal: Signal, blocks: Blocks, count: int) -> NDArray[np.float64]:
    """`signal` going on as its odd reflection on either side, and as zeros up to the end of the last block."""
    rows, samples = signal.shape
    reach = blocks.reach
    padded = np.zeros((rows, max(count * blocks.inputs, samples) + 2 * reach))
    padded[:, reach : reach + samples] = signal
    first, last = padded[:, reach, None], padded[:, reach + samples - 1, None]
    padded[:, :reach] = 2 * first - padded[:, 2 * reach : reach : -1]
    padded[:, reach + samples :][:, :reach] = 2 * last - padded[:, reach + samples - 2 : samples - 2 : -1]
    return padded


def _in_order(padded: NDArray[np.float64], blocks: Blocks, row: NDArray[np.intp], place: NDArray[np.intp]) -> NDArray[np.float64]:
    """The outputs at (`row`, `place`), each summed from the first sample that takes part to the last."""
    begin = -((blocks.half - place * blocks.down) // blocks.up)  # the first sample within reach of the taps
    offsets = np.arange(2 * blocks.half // blocks.up + 1)
    tap = (place * blocks.down + blocks.half + blocks.up - begin * blocks.up)[:, None] - offsets * blocks.up
    products = padded[row[:, None], begin[:, None] + offsets + blocks.reach] * blocks.taps[tap]
    return np.cumsum(products, axis=1)[:, -1] if row.size else np.empty(0)


@lru_cache(maxsize=16)
def _low_pass(up: int, down: int) -> NDArray[np.float64]:
    from scipy.signal import firwin

    widest = max(up, down)
    # Half power at 0.92 of the limit: the transition then ends on the limit itself, and nothing folds back.
    return firwin(2 * _CROSSINGS * widest + 1, 0.92 / widest, window=("kaiser", _KAISER))
