"""One file from a web server: goes on where it was interrupted, and appears whole and verified or not at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmelt.errors import SourceError
from cmelt.sources.remote_files import MISMATCH, PART, PART_FROM, RemoteFile, target_of
from cmelt.sources.web import TransientError, ask, length_of, read_some

#: No file of an ECG dataset is larger (MIMIC-IV-ECG as one archive: 34 GB).
LARGEST_FILE = 256 << 30
#: Tries without progress before a file is given up, and the pause after the first; it doubles.
TRIES = 6
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0

_ASK = "see what lies at the address, or ask the publisher"
_BLOCK = 1 << 18
_PROGRESS = 1 << 20

Outcome = Literal["fetched", "kept"]


class DiskFullError(SourceError):
    """No room: other files will fare no better."""


class StoppedError(Exception):
    """The user wants no more; what has arrived is kept for the next time."""


@dataclass(frozen=True)
class Wire:
    """How transfers are made.

    Attributes:
        stop: set when the user wants no more.
        arrived: told how many bytes have come, as they come (negative where they had to be thrown away).
        pause: the first pause before another try, seconds.
    """

    stop: threading.Event
    arrived: Callable[[int], None]
    pause: float = FIRST_PAUSE


def transfer(file: RemoteFile, folder: Path, wire: Wire) -> Outcome:
    """Bring `file` below `folder`. One that lies there already is verified; if it is another, it is put aside.

    Raises:
        SourceError: the server says no, sends something else than the list promises, or nothing after several tries; a link
            stands in the way; the folder cannot be written.
        DiskFullError: that is why.
        StoppedError: the user wants no more.
    """
    target = target_of(folder, file.path)
    try:
        if target.exists():
            if _matches(target, file, wire):
                wire.arrived(file.size or 0)
                return "kept"
            target.replace(_beside(target, MISMATCH))
        target.parent.mkdir(parents=True, exist_ok=True)
        _fill(file, target, wire)
        _put_in_place(_beside(target, PART), target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    return "fetched"


def fetch_unverified(url: str, target: Path, most: int, stop: threading.Event, pause: float = FIRST_PAUSE) -> None:
    """The file at `url`, of up to `most` bytes, whole at `target`: a list of checksums has none itself. It is fetched anew."""
    wire = Wire(stop, lambda _: None, pause)
    part = _beside(target, PART)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _discard(part, wire)
        _fetch(RemoteFile(target.name, url, ""), part, wire, most)
        _put_in_place(part, target)
    except OSError as error:
        raise _cannot_write(target, error) from error


def _fill(file: RemoteFile, target: Path, wire: Wire) -> None:
    """The whole and verified file beside `target`, as a part that needs only its name."""
    part = _beside(target, PART)
    resumed = _size(part)
    wire.arrived(resumed)
    _fetch(file, part, wire)
    sound = _matches(part, file, wire)
    if resumed and not sound:
        # What lay there from an earlier time may have been damaged: once more from the beginning.
        _discard(part, wire)
        _fetch(file, part, wire)
        sound = _matches(part, file, wire)
    if not sound:
        _put_in_place(part, _beside(target, MISMATCH))
        raise SourceError(
            target, f"what came does not match its checksum; kept as {target.name}{MISMATCH}", "try again, or ask the publisher"
        )


def _put_in_place(part: Path, target: Path) -> None:
    os.replace(part, target)
    _from(part).unlink(missing_ok=True)


def _fetch(file: RemoteFile, part: Path, wire: Wire, most: int = LARGEST_FILE) -> None:
    """Fill `part` to its end, in as many tries as make progress."""
    failures = 0
    while True:
        before = _size(part)
        try:
            return _once(file, part, wire, most)
        except TransientError as error:
            failures = 1 if _size(part) >= before + _PROGRESS else failures + 1
            if failures >= TRIES:
                raise SourceError(
                    file.url, f"{error.fault}, {failures} times in a row", "try again later: what came is kept"
                ) from error
            if wire.stop.wait(max(error.wait, min(wire.pause * 2 ** (failures - 1), LONGEST_PAUSE))):
                raise StoppedError from None


def _once(file: RemoteFile, part: Path, wire: Wire, most: int) -> None:
    """One request, from where `part` ends."""
    have = _size(part)
    if have and have == file.size:
        return
    said = _read_said(part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if said.get("validator"):
            headers["If-Range"] = str(said["validator"])
    with ask(file.url, headers) as response:
        start, total = _where(response, have, said.get("total"))
        if start < 0:
            # The part is longer than the file, or of another: begin again.
            _discard(part, wire)
            raise TransientError("the file changed meanwhile")
        if total is not None and (total > most or total != (total if file.size is None else file.size)):
            raise SourceError(file.url, "the server announces another size than the list, or more than any such file has", _ASK)
        if response.status == 416:
            return
        if start == 0 and have:
            wire.arrived(-have)
        _write_said(part, response, total)
        _receive(response, part, start, total, min(file.size if file.size is not None else most, most), wire)


def _where(response: http.client.HTTPResponse, have: int, expected: object) -> tuple[int, int | None]:
    """(from which byte on the answer is, the size of the whole file); (-1, …) where it does not fit what is there."""
    if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise SourceError(response.url, "the server packs what it sends", "ask the publisher for the plain file")
    if response.status == 200:
        return 0, length_of(response)
    pattern = r"bytes \*/(\d{1,18})" if response.status == 416 else r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})"
    found = re.fullmatch(pattern, response.headers.get("Content-Range", "").strip())
    if found is None:
        return -1, None
    total = int(found[found.lastindex or 1])
    if expected is not None and total != expected:
        return -1, total
    if response.status == 416:
        return (have if have == total else -1), total
    start, last = int(found[1]), int(found[2])
    fits = start == have and last == total - 1 and length_of(response) in (None, last - start + 1)
    return (start if fits else -1), total


def _receive(response: http.client.HTTPResponse, part: Path, start: int, total: int | None, most: int, wire: Wire) -> None:
    """Write the answer's body into `part` from byte `start` on."""
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            stream.truncate(start)
            stream.seek(start)
            place = start
            while block := read_some(response, _BLOCK):
                if wire.stop.is_set():
                    raise StoppedError
                place += len(block)
                if place > most or (total is not None and place > total):
                    raise SourceError(response.url, "the server sends more than was announced", _ASK)
                stream.write(block)
                wire.arrived(len(block))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise _cannot_write(part, error) from error
    if total is not None and place < total:
        raise TransientError("the connection ended early")


def _matches(path: Path, file: RemoteFile, wire: Wire) -> bool:
    """Whether the file at `path` is the one that the list promises."""
    if file.size is not None and _size(path) != file.size:
        return False
    algorithm, _, digest = file.digest.partition(":")
    found = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                if wire.stop.is_set():
                    raise StoppedError
                found.update(block)
    except OSError as error:
        raise SourceError(path, f"cannot be read: {error.strerror}", "check what lies there") from error
    return found.hexdigest() == digest


def _cannot_write(path: Path, error: OSError) -> SourceError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(path, "the disk is full", "make room and run it again: what came is kept")
    return SourceError(path, f"cannot be written: {error.strerror}", "see what lies there, or choose another folder")


def _read_said(part: Path) -> dict[str, object]:
    """What the server said of the file when `part` was begun: its size, and the mark that changes when the file does."""
    try:
        said = json.loads(_from(part).read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _write_said(part: Path, response: http.client.HTTPResponse, total: int | None) -> None:
    tag = response.headers.get("ETag", "")
    mark = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")  # weak tags cannot vouch for bytes
    _from(part).write_text(json.dumps({"validator": mark, "total": total}))


def _discard(part: Path, wire: Wire) -> None:
    wire.arrived(-_size(part))
    part.unlink(missing_ok=True)
    _from(part).unlink(missing_ok=True)


def _from(part: Path) -> Path:
    return part.with_name(part.name.removesuffix(PART) + PART_FROM)


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(target.name + suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
