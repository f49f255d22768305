"""NumPy files: a bare array (.npy), or an archive (.npz) with signal, rate, leads and unit. Nothing is ever unpickled."""

from __future__ import annotations

import io
import math
import re
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers.bare_arrays import many_records, record_from, record_of
from cmelt.records.readers.limits import LARGEST_FILE, MOST_VALUES, read_whole
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.readers.stated import KNOWN_NAMES, SIGNAL_NAMES, Stated, plain
from cmelt.records.record import Record

NAME = "NumPy"

_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_LONGEST_HEADER = 10_000
#: Members of an archive; its table of contents takes some 60 bytes for each.
_MOST_MEMBERS = 256
_LARGEST_CONTENTS = 64 << 10
_END, _END64 = b"PK\x05\x06", b"PK\x06\x07"
_LARGEST_STATED = 1 << 20


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (the content says it)
    """By NumPy's magic text, or as a zip archive whose first member is an .npy."""
    if head.startswith(_ZIP):
        return head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(b".npy")
    return head.startswith(_NPY)


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the record in the .npy or .npz file at `path`; a bare array needs rate, unit and leads from `options`.

    Raises:
        RecordError: damaged, holding Python objects, larger than an ECG, or something unsaid.
    """
    content = read_whole(path)
    if content.startswith(_ZIP):
        return record_of(_archive(content, str(path)), options, path)
    return record_from(_array(content, str(path), MOST_VALUES), Stated(), options, path)


def _array(content: bytes, where: str, most: int) -> np.ndarray[Any, Any]:
    """The array of an .npy file's bytes, of at most `most` values: what its header says is held against what is there."""
    stream = io.BytesIO(content)
    damage = (ValueError, KeyError, EOFError, SyntaxError, TypeError, RecursionError, MemoryError, tokenize.TokenError)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, columns_first, dtype = read_header(stream, max_header_size=_LONGEST_HEADER)
    except damage as error:
        raise RecordError(where, "its header is damaged", "write it again with numpy.save") from error
    if dtype.hasobject or dtype.kind not in "iufUSb":
        raise RecordError(where, "holds Python objects or structures, not numbers", "save plain arrays of numbers")
    if any(not isinstance(size, int) or size < 0 for size in shape) or dtype.itemsize == 0:
        raise RecordError(where, "its header is damaged", "write it again with numpy.save")
    if len(shape) == 3 and shape[0] > 1:
        raise many_records(where)
    if math.prod(shape) > most:
        raise RecordError(where, f"announces {math.prod(shape)} values", f"more than {most} are not read: cut the record")
    if len(content) - stream.tell() != math.prod(shape) * dtype.itemsize:
        raise RecordError(where, "does not hold what its header announces", "it is truncated or altered: write it again")
    flat = np.frombuffer(content, dtype, math.prod(shape), stream.tell())
    return flat.reshape(shape, order="F" if columns_first else "C")


def _archive(content: bytes, where: str) -> dict[str, object]:
    """The known members of an .npz archive."""
    _check_table_of_contents(content, where)
    named: dict[str, object] = {}
    left = LARGEST_FILE
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise RecordError(where, f"holds more than {_MOST_MEMBERS} arrays", "write one record a file")
            for member in members:
                name = re.sub(r"\.npy$", "", member.filename)
                if plain(name) not in KNOWN_NAMES:
                    continue
                if name in named:
                    raise RecordError(where, "holds an array twice", "write it again")
                unpacked = _member(archive, member, where, left)
                left -= len(unpacked)
                is_signal = plain(name) in SIGNAL_NAMES
                named[name] = _array(unpacked, where, MOST_VALUES if is_signal else _LARGEST_STATED)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise RecordError(where, "the archive is damaged", "write it again with numpy.savez") from error
    return named


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, most: int) -> bytes:
    """A member's bytes, of which there may be `most`, whatever its size is said to be."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RecordError(where, "is packed in an unusual way", "write it again with numpy.savez_compressed")
    too_large = RecordError(where, f"unpacks to more than {LARGEST_FILE >> 20} MiB", "no ECG does: check where it comes from")
    if member.file_size > most:
        raise too_large
    with archive.open(member) as stream:
        unpacked = stream.read(most + 1)
    if len(unpacked) > most:
        raise too_large
    return unpacked


def _check_table_of_contents(content: bytes, where: str) -> None:
    """Refuse a table of contents that zipfile would make millions of objects of."""
    place = len(content) - 22
    if content[place : place + 4] != _END:
        place = content.rfind(_END, max(len(content) - (1 << 16) - 22, 0))
    if place < 0 or len(content) < place + 22:
        raise RecordError(where, "the archive is truncated", "write it again with numpy.savez")
    large = int.from_bytes(content[place + 12 : place + 16], "little") > _LARGEST_CONTENTS
    if large or content[max(place - 20, 0) : max(place - 20, 0) + 4] == _END64:
        raise RecordError(where, f"holds more than {_MOST_MEMBERS} arrays", "write one record a file")
