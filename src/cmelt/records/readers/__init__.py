"""One file a format. A new one is a module with `NAME`, `recognises` and `read`, and one line in `READERS`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from cmelt.errors import RecordError
from cmelt.records.readers import physionet
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.record import Record

__all__ = ["READERS", "ReadOptions", "Reader", "read_ecg"]


class Reader(Protocol):
    """What a format's module offers."""

    NAME: str

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the file at `path`, whose first `HEAD_BYTES` are `head`, is of this format: by content, not by name."""

    def read(self, path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
        """The record, or a RecordError; nothing else, within a second and bounded memory, whatever the file holds."""


#: Asked in this order.
READERS: tuple[Reader, ...] = (physionet,)

HEAD_BYTES = 4096


def read_ecg(path: str | Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read one ECG, whatever its format: leads by name, float32 millivolts. The format is found by content, not by file name.

    A WFDB record may be named by its header, its signal file, or without an extension. `options` says what the file leaves
    unsaid (rate, unit, leads of bare numbers) and whether the patient's identifier is to be read.

    Raises:
        RecordError: no such file, no format that we know, or a file that is not what it says.
    """
    named = _existing(Path(path))
    try:
        with named.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise RecordError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    if not head:
        raise RecordError(path, "the file is empty", "fetch it again")
    for reader in READERS:
        if reader.recognises(named, head):
            return reader.read(named, options)
    formats = ", ".join(reader.NAME for reader in READERS)
    raise RecordError(path, "not an ECG format that is known here", f"known: {formats}")


def _existing(path: Path) -> Path:
    if path.is_file():
        return path
    header = path.with_name(path.name + ".hea")
    if header.is_file():
        return header
    if path.is_dir():
        raise RecordError(path, "is a folder, not a record", "name one record; `cmelt prepare folder` takes folders")
    raise RecordError(path, "no such file", "give the file, or a WFDB record's path without extension")
