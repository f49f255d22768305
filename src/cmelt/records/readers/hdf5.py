"""HDF5 files of one record: a dataset signal, ecg, data or tracings, with attributes or datasets beside it that state the rest.

Files of many records (CODE's) are sources, not records, and refused with the command that reads them.
"""

from __future__ import annotations

from pathlib import Path

from cmelt.records.readers.apart import contents_apart
from cmelt.records.readers.bare_arrays import record_of
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.record import Record

NAME = "HDF5"

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (the content says it)
    """By HDF5's signature, at the beginning or behind a user block (MATLAB's v7.3 has a reader of its own)."""
    places = (0, 512, 1024, 2048)
    return not head.startswith(b"MATLAB ") and any(head[place : place + 8] == _SIGNATURE for place in places)


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the record in the HDF5 file at `path`.

    Raises:
        RecordError: damaged, no signal known by its name, many records, something unsaid, or data that lie outside the file.
    """
    return record_of(contents_apart("hdf5", path), options, path)
