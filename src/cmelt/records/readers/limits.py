"""How much a file may make a reader do: every size is checked before anything is allocated or unpacked."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

from cmelt.errors import RecordError

#: Samples of all leads together: 30 minutes of 12 leads at 1000 Hz are 21.6 million. In float64 they are 256 MiB.
MOST_VALUES = 1 << 25
MOST_LEADS = 128
#: Files that are parsed as a whole (XML, DICOM, SCP, MATLAB, tables).
LARGEST_FILE = 128 << 20

_CHUNK = 1 << 20


def refuse_size(leads: int, samples: int, where: str | Path) -> None:
    """Refuse `leads` × `samples` that no ECG has, before memory is asked for.

    Raises:
        RecordError: nothing, or more than `MOST_LEADS` or `MOST_VALUES`.
    """
    if leads < 1 or samples < 1:
        raise RecordError(where, "the record has no samples", "leave it out")
    if leads > MOST_LEADS:
        raise RecordError(where, f"{leads} leads", f"an ECG has 1 to {MOST_LEADS}")
    if leads * samples > MOST_VALUES:
        raise RecordError(
            where, f"announces {samples} samples of {leads} leads", f"more than {MOST_VALUES} values are not read: cut the record"
        )


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


def inflate(packed: bytes, where: str | Path, most: int = LARGEST_FILE) -> bytes:
    """zlib-packed bytes unpacked, up to `most` of them. Raises RecordError: damaged, or more than that."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, most + 1)
    except zlib.error as error:
        raise RecordError(where, "its compressed part is damaged", "fetch it again") from error
    if len(content) > most:
        raise RecordError(where, f"unpacks to more than {most >> 20} MiB", "no ECG does: check where it comes from")
    if not unpacker.eof:
        raise RecordError(where, "its compressed part is truncated", "fetch it again")
    return content


def gunzip(packed: bytes, where: str | Path, most: int = LARGEST_FILE) -> bytes:
    """As `inflate`, for a gzip file's bytes."""
    content = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            while chunk := stream.read(_CHUNK):
                content += chunk
                if len(content) > most:
                    raise RecordError(where, f"unpacks to more than {most >> 20} MiB", "no ECG does: check where it comes from")
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(where, "the gzip file is damaged or truncated", "fetch it again") from error
    return bytes(content)
