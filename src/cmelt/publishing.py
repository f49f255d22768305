"""The one way to publish a folder: written in staging, synced, its manifest with SHA-256 last, renamed into place.

A reader sees the whole folder or none of it, and a flipped byte is found when the hashes are checked.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cmelt.errors import CMeltError

MANIFEST = "manifest.json"
STAGING = ".staging-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def published(target: Path, details: dict[str, Any] | None = None, *, replace: bool = False) -> Iterator[Path]:
    """A staging folder that becomes `target` when the block ends well, and disappears when it does not.

    Args:
        details: goes into the manifest beside the hashes.
        replace: whether an existing `target` gives way; without it, one that appears meanwhile is an error.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.parent / f"{STAGING}{target.name}-{uuid.uuid4().hex[:8]}"
    staging.mkdir()
    try:
        yield staging
        seal(staging, details or {})
        rename(staging, target, replace=replace)
    finally:
        if staging.exists():
            shutil.rmtree(staging, ignore_errors=True)


def seal(folder: Path, details: dict[str, Any]) -> None:
    """Write the manifest over every file of the folder and over itself, and bring all of it to the disk."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST)
    hashes = {str(p.relative_to(folder)): {"sha256": sha256(p), "bytes": p.stat().st_size} for p in files}
    manifest = {**details, "files": hashes}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "sha256": _own_sha256(manifest)}, indent=1, sort_keys=True))
    for path in [*files, folder / MANIFEST, folder]:
        sync(path)


def rename(staging: Path, target: Path, *, replace: bool = False) -> None:
    """Move a sealed folder into place; an old one changes places with it at one instant, where the system can, and is removed."""
    if target.exists() and not replace:
        raise CMeltError(target, "exists already", "choose another place, or ask for it to be replaced")
    if target.exists() and _exchange(staging, target):
        shutil.rmtree(staging, ignore_errors=True)
    elif target.exists():
        # Without an exchange there is an instant with neither; the old one then lies beside, complete.
        aside = target.parent / f"{STAGING}{target.name}-old-{uuid.uuid4().hex[:8]}"
        target.rename(aside)
        staging.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        staging.rename(target)
    sync(target.parent)


def verify(folder: Path, error: type[CMeltError] = CMeltError, *, sizes_only: Collection[str] = ()) -> dict[str, Any]:
    """The manifest of a published folder, after checking that every file is there, whole and unaltered.

    sizes_only: files of which the size is checked alone, by one who checks what he reads of them himself.
    Raises `error` naming the file and the check that failed.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        known_files = {name: (int(known["bytes"]), str(known["sha256"])) for name, known in manifest["files"].items()}
    except FileNotFoundError:
        raise error(folder / MANIFEST, "missing: the folder was not written to its end", "write it again") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise error(folder / MANIFEST, "not a manifest of ours", "the file was altered: restore or write it again") from None
    if manifest.get("sha256") != _own_sha256(manifest):
        raise error(folder / MANIFEST, "does not match its own SHA-256", "the file was altered: restore or write it again")
    for name, (size, digest) in known_files.items():
        path = folder / name
        if not _lies_in(path, folder):
            raise error(folder / MANIFEST, "names a file outside its folder", "the manifest was altered")
        if not path.is_file():
            raise error(path, "missing", "restore it or write the folder again")
        if path.stat().st_size != size:
            raise error(path, f"{path.stat().st_size} bytes, the manifest says {size}", "the file was cut or altered")
        if name not in sizes_only and sha256(path) != digest:
            raise error(path, "its SHA-256 is not the manifest's", "the file was altered: restore or write it again")
    return manifest


def remove(folder: Path) -> None:
    """Remove a published folder at one instant: whoever is stopped on the way leaves a leftover, never a part of a folder."""
    aside = folder.parent / f"{STAGING}{folder.name}-old-{uuid.uuid4().hex[:8]}"
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(parent: Path) -> int:
    """Remove staging folders that a killed writer left beside the published ones; how many there were."""
    leftovers = list(parent.glob(f"{STAGING}*")) if parent.is_dir() else []
    for folder in leftovers:
        shutil.rmtree(folder, ignore_errors=True)
    return len(leftovers)


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether a file of a folder is in it, links followed; a hub's cache keeps contents beside its snapshots, as blobs."""
    found, home = path.resolve(), folder.resolve()
    if found.is_relative_to(home):
        return True
    return home.parent.name == "snapshots" and path.is_symlink() and found.is_relative_to(home.parent.parent / "blobs")


def _own_sha256(manifest: dict[str, Any]) -> str:
    """Of what a manifest says, its own hash left out: the step of a checkpoint must not change unseen either."""
    said = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names atomically (Linux's renameat2); False where the system or its file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0)


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Bring a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
