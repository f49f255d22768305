"""Uploaded files on disk for as long as they are read: a private folder, names that can do no harm, removed whatever happens."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.record import Record
from cmelt.serving.http import canonical
from cmelt.serving.http.refusal import UNPROCESSABLE, Refusal, blamed_on, no_room

#: A single file's name says nothing that its content does not; endings are kept for the reader of WFDB headers.
_SINGLE = "ecg"
_ENDING = re.compile(r"((?:\.[A-Za-z0-9]{1,8}){0,2})$")
#: Files of one record find each other by name, so theirs are kept if they are nothing but names.
_SAFE = re.compile(r"\w[\w.+@=-]{0,119}")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Upload:
    """One file of a request: the name that it came with, and its bytes, from the beginning."""

    name: str
    content: BinaryIO


def read_uploaded(uploads: Sequence[Upload], options: ReadOptions) -> Record:
    """The record in the files of one request: one file of any format, or all files of a WFDB record.

    Raises:
        CMeltError: not an ECG, or files that do not belong together.
    """
    with blamed_on("the file"), tempfile.TemporaryDirectory(prefix="cmelt-upload-") as folder:
        paths = _written(uploads, Path(folder))
        record = _read(paths[0] if len(paths) == 1 else _header_among(paths), options)
    return replace(record, identifier="", origin="upload")


def _read(path: Path, options: ReadOptions) -> Record:
    with path.open("rb") as file:
        head = file.read(canonical.HEAD_BYTES)
    return canonical.record_in(path.read_bytes()) if canonical.recognises(head) else read_ecg(path, options)


def _written(uploads: Sequence[Upload], folder: Path) -> list[Path]:
    single = len(uploads) == 1
    names = [_single_name(uploads[0].name)] if single else [_plain_name(upload.name) for upload in uploads]
    if len({name.casefold() for name in names}) < len(names):
        raise Refusal(UNPROCESSABLE, "the upload", "two files have one name", "send each file of the record once")
    paths = [folder / name for name in names]
    try:
        for path, upload in zip(paths, uploads, strict=True):
            with path.open("xb") as file:
                shutil.copyfileobj(upload.content, file, _CHUNK)
    except OSError as error:
        raise no_room() from error
    return paths


def _single_name(name: str) -> str:
    found = _ENDING.search(name)
    return _SINGLE + (found[1] if found else "")


def _plain_name(name: str) -> str:
    last = re.split(r"[\\/]", name)[-1]
    if not _SAFE.fullmatch(last):
        remedy = "letters, digits, dot, dash and underscore, at most 120, the first a letter or digit"
        raise Refusal(UNPROCESSABLE, "the upload", "a file's name has other characters than names of WFDB files have", remedy)
    return last


def _header_among(paths: Sequence[Path]) -> Path:
    """The header that stands for the record: the only one, or of a record in segments the one that lists them."""
    headers = [path for path in paths if path.name.removesuffix(".gz").endswith(".hea")]
    chosen = headers if len(headers) <= 1 else [path for path in headers if _lists_segments(path)]
    if len(chosen) == 1:
        return chosen[0]
    reason = "the files hold more than one record" if headers else "none of the files is the header of a WFDB record"
    remedy = "send one file, or the .hea file of one record and the signal files that it names"
    raise Refusal(UNPROCESSABLE, "the upload", reason, remedy)


def _lists_segments(header: Path) -> bool:
    lines = (line.strip() for line in header.read_bytes()[: 1 << 16].splitlines())
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return b"/" in first.split(b" ", 1)[0]
