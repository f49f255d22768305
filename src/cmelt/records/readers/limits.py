"""How much a file may make a reader do: every size is checked before anything is allocated or unpacked."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cmelt.errors import RecordError

#: Samples of all leads together: 30 minutes of 12 leads at 1000 Hz are 21.6 million. In float64 they are 256 MiB.
MOST_VALUES = 1 << 25
MOST_LEADS = 128
#: Files that are parsed as a whole (XML, DICOM, SCP, MATLAB, tables).
LARGEST_FILE = 128 << 20

_LONGEST_TOLD = 100_000
_CHUNK = 1 << 20
#: deflate packs no tighter: 1032 bytes into one.
_TIGHTEST = 1032


def told(count: int) -> str:
    """A count that a file states, as messages say it: in a header with a field too few, a long one may be a patient's number."""
    return str(count) if abs(count) <= _LONGEST_TOLD else f"about {count:.1e}"


def refuse_size(leads: int, samples: int, where: str | Path) -> None:
    """Refuse `leads` × `samples` that no ECG has, before memory is asked for.

    Raises:
        RecordError: nothing, or more than `MOST_LEADS` or `MOST_VALUES`.
    """
    if leads < 1 or samples < 1:
        raise RecordError(where, "the record has no samples", "leave it out")
    if leads > MOST_LEADS:
        raise RecordError(where, f"{told(leads)} leads", f"an ECG has 1 to {MOST_LEADS}")
    if leads * samples > MOST_VALUES:
        fault = f"announces {told(samples)} samples of {leads} leads"
        raise RecordError(where, fault, f"more than {MOST_VALUES} values are not read: cut the record")


def read_whole(path: Path, most: int = LARGEST_FILE) -> bytes:
    """The bytes of the file at `path`, of which there may be `most`.

    Raises:
        RecordError: unreadable, empty or too large.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise RecordError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    if not content:
        raise RecordError(path, "the file is empty", "fetch it again")
    if len(content) > most:
        raise RecordError(path, f"is larger than {most >> 20} MiB", "an ECG of this format is smaller: check what it is")
    return content


def inflate(packed: bytes, where: str | Path, most: int = LARGEST_FILE, wbits: int = zlib.MAX_WBITS) -> bytes:
    """zlib-packed bytes unpacked, up to `most` of them; `wbits` as in zlib (negative without zlib's header).

    Raises:
        RecordError: damaged, or more than that: told before any room is made for what comes out.
    """
    try:
        if len(packed) * _TIGHTEST > _CHUNK:
            _refuse_bomb(packed, where, most, wbits)
        unpacker = zlib.decompressobj(wbits)
        content = unpacker.decompress(packed, most + 1)
    except zlib.error as error:
        raise RecordError(where, "its compressed part is damaged", "fetch it again") from error
    if len(content) > most:
        raise unpacks_to_more(where, most)
    if not unpacker.eof:
        raise RecordError(where, "its compressed part is truncated", "fetch it again")
    return content


def unpacks_to_more(where: str | Path, most: int = LARGEST_FILE) -> RecordError:
    """What to say of a bomb."""
    return RecordError(where, f"unpacks to more than {most >> 20} MiB", "no ECG does: check where it comes from")


def _refuse_bomb(packed: bytes, where: str | Path, most: int, wbits: int) -> None:
    """Unpack a megabyte at a time and forget it: how much it comes to is known before any of it is kept."""
    unpacker, total, left = zlib.decompressobj(wbits), 0, packed
    while left and not unpacker.eof:
        total += len(unpacker.decompress(left, _CHUNK))
        left = unpacker.unconsumed_tail
        if total > most:
            raise unpacks_to_more(where, most)


def gunzip(packed: bytes, where: str | Path, most: int = LARGEST_FILE) -> bytes:
    """As `inflate`, for a gzip file's bytes."""
    total = sum(map(len, _unpacked(packed, where, most)))
    content = bytearray(total)
    place = 0
    for piece in _unpacked(packed, where, most):
        content[place : place + len(piece)] = piece
        place += len(piece)
    return bytes(content)


def gunzip_into(packed: bytes, target: BinaryIO, where: str | Path, most: int = LARGEST_FILE) -> None:
    """As `gunzip`, into a file, a megabyte at a time. Raises RecordError as it does, and OSError where there is no room."""
    for piece in _unpacked(packed, where, most):
        target.write(piece)


def _unpacked(packed: bytes, where: str | Path, most: int) -> Iterator[bytes]:
    total = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            while piece := stream.read(_CHUNK):
                total += len(piece)
                if total > most:
                    raise unpacks_to_more(where, most)
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(where, "the gzip file is damaged or truncated", "fetch it again") from error
