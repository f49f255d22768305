"""A folder in which shards are finished one by one, whoever works on them, until the whole is published."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cmelt.errors import StoreError
from cmelt.publishing import MANIFEST, STAGING, remove
from cmelt.store.layout import DRAFT, write_synced
from cmelt.store.shard import Finished, receipt_path

#: Whoever works in the folder holds this file.
_LOCK = "lock"
#: Holds the identity of the store that was finished here, from the moment before it is put in place.
_SEALED = "sealed"

#: Called with (records done, records in all) after each shard.
Progress = Callable[[int, int], None]


def see_finished(news: Iterator[Finished], total: int, staging: Path, progress: Progress | None) -> int:
    """See all shards finished; returns how many an earlier run had finished."""
    before = {path.name for path in (staging / "receipts").glob("*.json")}
    done = kept = 0
    if progress:
        progress(0, total)
    for finished in news:
        done += finished.entries
        # A shard made again because the worker that had made it died lay there too, but not from an earlier run.
        kept += finished.kept and receipt_path(staging, finished.number).name in before
        if progress:
            progress(done, total)
    return kept


@contextmanager
def only_one(staging: Path) -> Iterator[None]:
    """Hold the staging folder for this process alone, and remove it when the work is published.

    Raises:
        StoreError: another process holds it, or it cannot be written.
    """
    with _locked(staging):
        _remove_asides(staging)
        for draft in staging.rglob(f"*{DRAFT}"):
            draft.unlink(missing_ok=True)  # the worker of a killed preparation may be removing it too
        try:
            yield
        except BaseException:
            with suppress(OSError, StoreError):
                # Nothing was done that is worth keeping: a half-written file is not.
                if all(path.name == _LOCK or path.name.endswith(DRAFT) for path in staging.iterdir()):
                    _remove(staging)
            raise
        _remove(staging)


def say_sealed(staging: Path, sha256: str) -> None:
    """Note that the store of this identity is whole and about to be put in place."""
    write_synced(staging / _SEALED, sha256.encode())


def remove_published(staging: Path, target: Path) -> None:
    """Remove what a preparation left that was killed after its store was in place, if there is any and nobody is at work."""
    _remove_asides(staging)
    try:
        sealed = (staging / _SEALED).read_text()
        published = json.loads((target / MANIFEST).read_bytes())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if sealed == published:
        with suppress(StoreError), _locked(staging):
            _remove(staging)


@contextmanager
def _locked(staging: Path) -> Iterator[None]:
    while True:
        try:
            staging.mkdir(parents=True, exist_ok=True)
            lock = (staging / _LOCK).open("w")
        except FileNotFoundError:  # another process, which has finished, removes it at this moment
            continue
        except OSError as error:
            raise StoreError(
                staging.parent, f"cannot be written: {error.strerror}", "make room, or choose another place"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreError(staging, "another process is writing there", "wait for it, or end it") from error
            if _is_that_file(lock, staging / _LOCK):
                yield
                return


def _is_that_file(opened: IO[str], path: Path) -> bool:
    """Whether `path` is still the file that was opened: else the lock is on one that its owner has removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _remove_asides(staging: Path) -> None:
    """What is left of folders whose removal was cut off."""
    for folder in staging.parent.glob(f"{STAGING}{glob.escape(staging.name)}-old-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _remove(staging: Path) -> None:
    """At one instant, so that whoever comes next finds all of it or nothing."""
    try:
        remove(staging)
    except OSError as error:
        raise StoreError(staging, f"cannot be removed: {error.strerror}", "the store is complete: remove it yourself") from error
