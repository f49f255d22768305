"""WFDB's compressed formats: FLAC streams whose channels are the signals."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.readers.physionet_formats import FLAC_BITS, Bytes, Samples

#: What the stream says of its resolution: (bits, the type it is read as, by how many bits that shifts the samples up).
_KINDS: Mapping[str, tuple[int, type, int]] = {
    "PCM_S8": (8, np.int16, 8), "PCM_16": (16, np.int16, 0), "PCM_24": (24, np.int32, 8),
}  # fmt: skip
_AT_A_TIME = 1 << 16


def flac_length(content: Bytes, number: int, channels: int, path: Path) -> int:
    """Samples a channel that the stream in `content` announces.

    Raises:
        RecordError: no FLAC stream, or one of another resolution or number of channels than the header says.
    """
    with _opened(content, number, channels, path) as (stream, _):
        return int(stream.frames)


def read_flac(content: Bytes, number: int, channels: int, start: int, samples: int, path: Path) -> Samples:
    """`samples` of each channel from `start` on, [samples, channels]. Errors as of `flac_length`; a stream that ends early."""
    with _opened(content, number, channels, path) as (stream, (_, dtype, shift)):
        digital: NDArray[Any] = np.empty((samples, channels), dtype=dtype)
        stream.seek(start)
        for begin in range(0, samples, _AT_A_TIME):
            part = digital[begin : begin + _AT_A_TIME]
            if len(stream.read(out=part)) != len(part):
                raise RecordError(path, "the FLAC stream ends early", "the file is truncated: fetch it again")
    # Samples come in the top bits of the type that they are read as.
    return np.right_shift(digital, shift, out=digital) if shift else digital


@contextmanager
def _opened(content: Bytes, number: int, channels: int, path: Path) -> Iterator[tuple[Any, tuple[int, type, int]]]:
    import soundfile

    if content[:4].tobytes() != b"fLaC":  # soundfile reads a dozen formats; a header says FLAC
        raise RecordError(path, "is no FLAC stream", "the header's format or the file is wrong: fetch both again")
    try:
        with soundfile.SoundFile(io.BytesIO(content.tobytes())) as stream:
            kind = _KINDS.get(stream.subtype)
            if kind is None or kind[0] > FLAC_BITS[number]:
                raise RecordError(path, f"a FLAC stream of {stream.subtype}, format {number} announced", "correct the header")
            if stream.channels != channels:
                raise RecordError(path, f"{stream.channels} FLAC channels for {channels} signals", "correct the header")
            yield stream, kind
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise RecordError(path, "the FLAC stream is damaged", "fetch it again") from error
