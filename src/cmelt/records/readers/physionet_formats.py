"""How WFDB stores samples: one decoder a format, after signal(5) of the WFDB Applications Guide.

All give the numbers that the reference reader gives (tested), FLAC apart, which is in `physionet_flac`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Samples = NDArray[np.integer]

#: Formats 508, 516 and 524 are FLAC streams of 8, 16 and 24 bits.
FLAC_BITS: Mapping[int, int] = {508: 8, 516: 16, 524: 24}
#: Stores differences; the samples are their sums from the header's initial value on.
DIFFERENCES = 8


@dataclass(frozen=True)
class Layout:
    """A storage format.

    Attributes:
        block: bytes and samples of the least whole unit.
        last: bytes that a unit needs which holds only its first, first two, … samples.
        not_measured: what stands where nothing was measured; None where every value is one.
        decode: `n` samples out of bytes.
    """

    block: tuple[int, int]
    last: tuple[int, ...]
    not_measured: int | None
    decode: Callable[[Bytes, int], Samples]

    def bytes_of(self, samples: int) -> tuple[int, int]:
        """The fewest and the most bytes that a file of `samples` may have: the last unit may be cut short or filled up."""
        size, held = self.block
        whole, rest = divmod(samples, held)
        return whole * size + (self.last[rest - 1] if rest else 0), (whole + bool(rest)) * size

    def samples_in(self, size: int) -> int:
        """How many samples `size` bytes hold."""
        whole, rest = divmod(size, self.block[0])
        return whole * self.block[1] + sum(needed <= rest for needed in self.last)


def _plain(dtype: str) -> Callable[[Bytes, int], Samples]:
    size = np.dtype(dtype).itemsize

    def decode(content: Bytes, samples: int) -> Samples:
        return content[: samples * size].view(dtype)

    return decode


def _format_80(content: Bytes, samples: int) -> Samples:
    return (content[:samples] ^ np.uint8(0x80)).view(np.int8)  # offset binary: 128 is 0


def _format_160(content: Bytes, samples: int) -> Samples:
    return (content[: 2 * samples].view("<u2") ^ np.uint16(0x8000)).view("<i2")


def _format_24(content: Bytes, samples: int) -> Samples:
    words = np.zeros((samples, 4), dtype=np.uint8)
    words[:, 1:] = content[: 3 * samples].reshape(samples, 3)
    return words.view("<i4")[:, 0] >> 8  # the shift carries the sign down


def _filled(content: Bytes, samples: int, block: tuple[int, int]) -> tuple[Bytes, int]:
    """Whole units [units, bytes], the last filled up with zeros."""
    units = -(-samples // block[1])
    if content.size < units * block[0]:
        content = np.concatenate([content, np.zeros(units * block[0] - content.size, dtype=np.uint8)])
    return content[: units * block[0]], units


def _format_212(content: Bytes, samples: int) -> Samples:
    """Two 12-bit samples in three bytes: low byte, both high halves, low byte."""
    content, units = _filled(content, samples, (3, 2))
    low, high, other = content[0::3], content[1::3].astype(np.int16), content[2::3]
    pairs = np.empty((units, 2), dtype=np.int16)
    # The high half in the topmost bits, and back: its sign comes down with it.
    pairs[:, 0] = ((high << 12) >> 4) | low
    pairs[:, 1] = (((high & 0xF0) << 8) >> 4) | other
    return pairs.reshape(-1)[:samples]


def _format_310(content: Bytes, samples: int) -> Samples:
    """Three 10-bit samples in two 16-bit words: each word has 11 bits of its own sample, the third is in the top 5 of both."""
    content, units = _filled(content, samples, (4, 3))
    words = content.view("<u2").reshape(units, 2).astype(np.int16)
    triples = np.empty((units, 3), dtype=np.int16)
    triples[:, :2] = (words >> 1) & 0x3FF
    triples[:, 2] = ((words[:, 0] >> 11) & 0x1F) | (((words[:, 1] >> 11) & 0x1F) << 5)
    return _signed_10_bits(triples, samples)


def _format_311(content: Bytes, samples: int) -> Samples:
    """Three 10-bit samples in the low 30 bits of a 32-bit word."""
    content, units = _filled(content, samples, (4, 3))
    words = content.view("<u4")
    triples = np.empty((units, 3), dtype=np.int16)
    for place in range(3):
        triples[:, place] = (words >> np.uint32(10 * place)) & np.uint32(0x3FF)
    return _signed_10_bits(triples, samples)


def _signed_10_bits(triples: NDArray[np.int16], samples: int) -> Samples:
    return ((triples << 6) >> 6).reshape(-1)[:samples]


LAYOUTS: Mapping[int, Layout] = {
    8: Layout((1, 1), (), None, _plain("i1")),
    16: Layout((2, 1), (), -(1 << 15), _plain("<i2")),
    24: Layout((3, 1), (), -(1 << 23), _format_24),
    32: Layout((4, 1), (), -(1 << 31), _plain("<i4")),
    61: Layout((2, 1), (), -(1 << 15), _plain(">i2")),
    80: Layout((1, 1), (), -(1 << 7), _format_80),
    160: Layout((2, 1), (), -(1 << 15), _format_160),
    212: Layout((3, 2), (2,), -(1 << 11), _format_212),
    310: Layout((4, 3), (2, 4), -(1 << 9), _format_310),
    311: Layout((4, 3), (2, 3), -(1 << 9), _format_311),
}
