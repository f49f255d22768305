"""What a publisher offers: files with their checksums, from PhysioNet's SHA256SUMS.txt or Zenodo's record."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from cmelt.errors import SourceError

SUMS = "SHA256SUMS.txt"
#: MIMIC-IV-ECG's has 1.6 million lines.
LARGEST_SUMS = 1 << 30
LARGEST_RECORD = 16 << 20

#: What a download leaves beside a file that is not whole, or not what was promised.
PART, PART_FROM, MISMATCH = ".part", ".part-from", ".mismatch"

#: PhysioNet writes one space before the name, sha256sum two, or a star for the second.
_SUM_LINE = re.compile(r"^([0-9a-fA-F]{64}) [ *]?(\S.*)$")
_PLACES = {
    "physionet": (re.compile(r"[a-z0-9-]+/[0-9.]+"), "https://physionet.org/files/{}/"),
    "zenodo": (re.compile(r"\d+"), "https://zenodo.org/api/records/{}"),
}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file.

    Attributes:
        path: below the folder that is downloaded, "/" between its parts.
        url: where it is.
        digest: "sha256:…" or "md5:…".
        size: bytes, None where the list does not say.
    """

    path: str
    url: str
    digest: str
    size: int | None = None


def place_of(download: str) -> tuple[str, str]:
    """The publisher and the address that `About.download` names ("physionet:ptb-xl/1.0.3", "zenodo:4916206")."""
    publisher, _, name = download.partition(":")
    pattern, address = _PLACES.get(publisher, (None, ""))
    if pattern is None or not pattern.fullmatch(name):
        raise SourceError(download or "download", "not a place to download from", "physionet:PROJECT/VERSION or zenodo:RECORD")
    return publisher, address.format(name)


def in_sums(sums: Path, base: str) -> Iterator[RemoteFile]:
    """The files of a SHA256SUMS.txt, as it lies at `sums`, published at `base`; one by one, it may be long.

    Raises:
        SourceError: a line that is no checksum and name, a name that leaves the folder.
    """
    root = base.rstrip("/") + "/"
    with sums.open(encoding="utf-8", errors="strict") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                found = _SUM_LINE.match(line.rstrip("\r\n"))
                if found is None:
                    raise SourceError(f"{sums} (line {number})", "no checksum and name", "see what lies at the address")
                path = safe_path(found[2], f"{sums} (line {number})")
                yield RemoteFile(path, root + urllib.parse.quote(path), f"sha256:{found[1].lower()}")
        except UnicodeDecodeError as error:
            raise SourceError(sums, "is no text", "see what lies at the address") from error


def in_zenodo_record(content: bytes, where: str) -> tuple[RemoteFile, ...]:
    """The files of a Zenodo record, given its JSON.

    Raises:
        SourceError: it is not such a record, or has a file that leaves the folder or whose checksum it does not tell.
    """
    try:
        record: Any = json.loads(content)
        listed = [(one["key"], one["links"]["self"], one["checksum"], one["size"]) for one in record["files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceError(where, "not the JSON of a Zenodo record with its files", "see what lies at the address") from error
    files = []
    for key, url, digest, size in listed:
        texts = all(isinstance(text, str) for text in (key, url, digest))
        if not texts or not re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", digest):
            raise SourceError(where, "a file without a checksum that is known here", "download it by hand")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise SourceError(where, "a file without a size", "download it by hand")
        files.append(RemoteFile(safe_path(key, where), url, digest, size))
    return tuple(files)


def safe_path(path: str, where: str) -> str:
    """`path`, if it can only mean a file below the folder that it is joined to, on any system.

    Raises:
        SourceError: absolute, with a drive letter, a backslash, "..", control characters, or a name that we use ourselves.
    """
    parts = PurePosixPath(path).parts
    bad = (
        not parts
        or path.startswith("/")
        or path.endswith("/")
        or ".." in parts
        or re.match(r"[A-Za-z]:", path)
        or re.search(r"[\\\x00-\x1f\x7f]", path)
        or path.endswith((PART, PART_FROM, MISMATCH))
    )
    if bad:
        raise SourceError(where, "names a file outside the folder, or with a name that cannot be used", "do not trust this list")
    return str(PurePosixPath(*parts))


def target_of(folder: Path, path: str) -> Path:
    """Where `path` goes below `folder`; refused where a link on the way leads out of it."""
    target = folder / path
    if target.is_symlink() or not target.parent.resolve().is_relative_to(folder.resolve()):
        raise SourceError(target, "a link stands in its way", "remove it, or choose another folder")
    return target


def chosen(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path matches one of `globs` (`*` matches "/" too); all do where there are none."""
    return lambda path: not globs or any(fnmatchcase(path, glob) for glob in globs)
