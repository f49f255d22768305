"""One file a format. A new one is a module with `NAME`, `recognises` and `read`, and one line in `READERS`.

Installed packages add theirs by the entry points `cmelt.readers` (docs/extend/format.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from cmelt.errors import RecordError
from cmelt.records.readers import aecg, dicom, edf, hdf5, matlab, muse, numpy_file, philips, physionet, scp, table
from cmelt.records.readers.limits import gunzip_into, read_whole
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.record import Record

__all__ = ["READERS", "ReadOptions", "Reader", "known_readers", "read_ecg"]


class Reader(Protocol):
    """What a format's module offers."""

    NAME: str

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file at `path`, whose first `HEAD_BYTES` are `head`, is of this format: by content, not by name."""

    def read(self, path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
        """The record, or a RecordError; nothing else, within a second and bounded memory, whatever the file holds."""


#: Asked in this order: WFDB first, which claims MATLAB files with a header beside them; text tables, without a mark, last.
READERS: tuple[Reader, ...] = (physionet, matlab, hdf5, numpy_file, scp, edf, dicom, muse, philips, aecg, table)

#: Entry points of this group name modules like ours.
ADDED_READERS = "cmelt.readers"

HEAD_BYTES = 4096

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def known_readers() -> Iterator[Reader]:
    """Ours that go by a mark, those of installed packages, and text tables last."""
    yield from READERS[:-1]
    yield from _added_readers()
    yield READERS[-1]


@cache
def _added_readers() -> tuple[Reader, ...]:
    """The modules that installed packages name. They are looked for once, by the first file that none of ours claims."""
    found = []
    for point in entry_points(group=ADDED_READERS):
        try:
            found.append(point.load())
        except (ImportError, AttributeError) as error:
            fault = f"the reader {point.name} of an installed package cannot be imported: {error}"
            raise RecordError(point.value, fault, "mend that package, or uninstall it") from error
    return tuple(found)


def read_ecg(path: str | Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read one ECG, whatever its format: leads by name, float32 millivolts. The format is found by content, not by file name.

    A WFDB record may be named by its header, its signal file, or without an extension. A file of any format may be packed by
    gzip. `options` says what the file leaves unsaid (rate, unit, leads of bare numbers) and whether the patient's identifier is
    to be read.

    Raises:
        RecordError: no such file, no format that we know, or a file that is not what it says.
    """
    named = _existing(path if isinstance(path, Path) else Path(path))
    head = _head(named)
    reader = _reader_of(named, head)
    if reader is not None:
        return reader.read(named, options)
    if head.startswith(_GZIP):
        return _read_unpacked(named, options)
    raise _not_known(named, head)


def _reader_of(path: Path, head: bytes) -> Reader | None:
    return next((reader for reader in known_readers() if reader.recognises(path, head)), None)


def _read_unpacked(path: Path, options: ReadOptions) -> Record:
    """Read what is inside the gzip file at `path`: one layer, no larger than any ECG."""
    packed = read_whole(path)
    with tempfile.TemporaryDirectory(prefix="cmelt-") as folder:
        named = path.name.removesuffix(".gz")
        inner = Path(folder) / (named if named.strip(".") else "unpacked")
        with inner.open("xb") as stream:  # to disk a megabyte at a time: a bomb takes no memory
            gunzip_into(packed, stream, path)
        del packed
        with inner.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        if not head or head.startswith(_GZIP):
            fault = "the gzip file is packed twice" if head else "the gzip file holds nothing"
            raise RecordError(path, fault, "unpack it first")
        reader = _reader_of(inner, head)
        if reader is None:
            raise _not_known(path, head)
        try:
            return replace(reader.read(inner, options), origin=str(path))
        except RecordError as error:
            raise RecordError(path, error.fault, error.remedy) from error


def _not_known(path: Path, head: bytes) -> RecordError:
    if head.startswith(_ZIP):
        return RecordError(path, "a zip archive", "unpack it first, then name a record in it")
    formats = ", ".join(reader.NAME for reader in known_readers())
    return RecordError(path, "not an ECG format that is known here", f"known: {formats}")


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb", buffering=0) as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise RecordError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    if not head:
        raise RecordError(path, "the file is empty", "fetch it again")
    return head


def _existing(path: Path) -> Path:
    if path.is_file():
        return path
    for extension in (".hea", ".hea.gz") if path.name else ():
        header = path.with_name(path.name + extension)
        if header.is_file():
            return header
    if path.is_dir():
        raise RecordError(path, "is a folder, not a record", "name one record; `cmelt prepare folder` takes folders")
    raise RecordError(path, "no such file", "give the file, or a WFDB record's path without extension")
