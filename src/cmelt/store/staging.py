"""A folder in which shards are finished one by one, whoever works on them, until the whole is published."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cmelt.errors import StoreError
from cmelt.store.layout import DRAFT
from cmelt.store.shard import Finished, receipt_path

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
    """Hold the staging folder for this process alone, and remove it when the work is published."""
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(staging.parent, f"cannot be written: {error.strerror}", "choose another place") from error
    with (staging / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(staging, "another process is writing there", "wait for it, or end it") from error
        for draft in staging.rglob(f"*{DRAFT}"):
            draft.unlink()
        yield
        shutil.rmtree(staging)
