"""XLI, the compression of Philips' Sierra XML, after the public description of the sierra-ecg-tools project (MIT).

A stream is one chunk a channel: int32 length, int16 (always 1), int16 first code, then LZW of 10-bit codes, most significant
bit first, 256 the first free code, 1023 the end. The bytes are int16 values with all high bytes before all low ones:
two samples, then 64 more than the second differences, each one place late and the first of them in the header, negated:
sample[i] = 2 sample[i-1] - sample[i-2] - code[i].
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError

BITS = 10
END = (1 << BITS) - 1
_BIAS = 64
#: Samples of all channels: 12 leads for almost six minutes at 500 Hz. Every byte of them takes a turn of a Python loop.
MOST_SAMPLES = 1 << 21
#: Chunks end on even places; what fills them may decode to a few bytes more than the samples.
_PADDING = 3


def decode_xli(stream: bytes, channels: int, samples: int, where: str) -> NDArray[np.int16]:
    """The first `channels` channels of `stream`, [channels, samples].

    Raises:
        RecordError: too few chunks, a chunk that is cut off, or one that does not hold `samples` samples.
    """
    if channels * samples > MOST_SAMPLES:
        raise RecordError(where, "announces more compressed samples than an ECG has", "cut the record")
    decoded = np.empty((channels, samples), dtype=np.int16)
    offset = 0
    for channel in decoded:
        if len(stream) < offset + 8:
            raise RecordError(where, "holds fewer compressed channels than it announces", "the file is truncated: fetch it again")
        size, _, first = struct.unpack_from("<ihh", stream, offset)
        offset += 8
        if not 0 < size <= len(stream) - offset:
            raise RecordError(where, "a compressed channel is cut off", "the file is truncated or altered: fetch it again")
        packed = inflate_lzw(stream[offset : offset + size], 2 * samples + _PADDING)
        if not 2 * samples <= len(packed) <= 2 * samples + _PADDING:
            raise RecordError(where, "a compressed channel has another length than it announces", "fetch the file again")
        channel[:] = _integrate(packed[: 2 * samples], first)
        offset += size
    return decoded


def inflate_lzw(packed: bytes, most: int) -> bytes:
    """LZW of 10-bit codes unpacked, to little more than `most` bytes; what follows an impossible code is dropped."""
    strings: list[bytes] = [bytes((byte,)) for byte in range(256)]
    unpacked = bytearray()
    previous = b""
    for code in _codes(packed[: most * BITS // 8 + 8]):  # each code gives a byte or more: the rest cannot be needed
        if code == END:
            break
        if code < len(strings):
            string = strings[code]
        elif code == len(strings) and previous:
            string = previous + previous[:1]  # the code that is being defined
        else:
            break
        if previous and len(strings) < END:
            strings.append(previous + string[:1])
        unpacked += string
        if len(unpacked) > most:
            break
        previous = string
    return bytes(unpacked)


def _codes(packed: bytes) -> list[int]:
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))
    whole = bits[: bits.size // BITS * BITS].reshape(-1, BITS)
    codes: list[int] = (whole @ (1 << np.arange(BITS)[::-1])).tolist()
    return codes


def _integrate(packed: bytes, first: int) -> NDArray[np.int16]:
    """Samples from bytes (high ones first, then low) that hold two samples and biased second differences."""
    high, low = np.frombuffer(packed, dtype=np.uint8).reshape(2, -1).astype(np.int64)
    codes = ((high << 8 | low) + (1 << 15)) % (1 << 16) - (1 << 15)
    if codes.size <= 2:
        return codes.astype(np.int16)
    second = np.concatenate([[first], codes[2:-1] - _BIAS])
    slope = (codes[1] - codes[0]) - np.cumsum(second)
    samples = np.concatenate([codes[:2], codes[1] + np.cumsum(slope)])
    return samples.astype(np.int16)  # keeps the low 16 bits: the device's arithmetic wraps, and back again
