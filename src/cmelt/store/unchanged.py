"""Is the source still what was read? Asked once all is read, so that a store is the source as it was at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cmelt.errors import SourceError, StoreError
from cmelt.sources.source import Listing, Source
from cmelt.store.shard import ShardTask, read_receipt

_AGAIN = "let nothing write into it, then run it again: finished shards are kept"


def check_unchanged(source: Source, listing: Listing, tasks: Iterable[ShardTask]) -> tuple[str, ...]:
    """Compare list and files of the source with what the finished shards of `tasks` were made of.

    Files are compared by what the source stamps them with, sizes and times.

    Returns:
        What to tell the user: records that came meanwhile are not in the store, which takes nothing from the others.

    Raises:
        StoreError: files changed since they were read; records are gone from the list, or are listed otherwise.
    """
    came, done = _came_since(source, listing), 0
    for task in tasks:
        done += len(task.entries)
        if task.fingerprint() != read_receipt(task.folder, task.number).fingerprint:
            where = f"number {done - len(task.entries) + 1} to {done} of those that it lists"
            fault = f"files of one or more of its records ({where}) changed, or went away, since they were read"
            raise StoreError(source.name, fault, _AGAIN)
    if not came:
        return ()
    return (f"{came} records came to the source while it was read, and are not in the store: prepare it again to have them",)


def _came_since(source: Source, listing: Listing) -> int:
    """How many more records the source lists now, after those that it listed, in their order."""
    try:
        now = source.entries()
    except SourceError as error:
        raise StoreError(source.name, f"its list of records can no longer be read: {error}", _AGAIN) from error
    left = iter(now.entries)
    gone = next((number for number, entry in enumerate(listing.entries, start=1) if not _found(entry, left)), None)
    if gone is not None:
        raise StoreError(source.name, f"it no longer lists record number {gone} as it did when this began", _AGAIN)
    return len(now.entries) - len(listing.entries)


def _found(entry: Any, left: Iterator[Any]) -> bool:
    return any(other == entry for other in left)
