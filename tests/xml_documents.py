"""An XML document, read as a file of its own: what comes of it, or what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import read_ecg
from cmelt.records.readers.options import ReadOptions
from cmelt.records.record import Record


def read(folder: Path, document: str, options: ReadOptions | None = None, encoding: str = "utf-8") -> Record:
    """The record that the document holds."""
    path = folder / "ecg.xml"
    path.write_bytes(document.encode(encoding))
    return read_ecg(path, options or ReadOptions())


def fault_of(folder: Path, document: str, options: ReadOptions | None = None) -> str:
    """Fault and remedy of the error that names the document's file."""
    with pytest.raises(RecordError) as caught:
        read(folder, document, options)
    assert caught.value.where == str(folder / "ecg.xml")
    return f"{caught.value.fault} ({caught.value.remedy})"
