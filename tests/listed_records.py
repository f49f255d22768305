"""A source of records that are handed to it, for stores of which every fact is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from cmelt.records.record import Record
from cmelt.sources.about import About
from cmelt.sources.source import Entry, Listing


@dataclass(frozen=True)
class Listed:
    """What its entries name by place; in place of a record, an error that its reader ends with."""

    listing: Listing
    records: Mapping[str, Record | Exception]
    settings: Mapping[str, str] = field(default_factory=dict)
    stamps: Mapping[str, str] = field(default_factory=dict)
    name: str = "listed"
    rate: float = 100.0
    about: ClassVar[About] = About(title="Listed", licence="computed here", access="computed")

    def entries(self) -> Listing:
        return self.listing

    def read(self, entry: Entry) -> Record:
        found = self.records[entry.place]
        if isinstance(found, Exception):
            raise found
        return found

    def stamp(self, entry: Entry) -> str:
        return self.stamps.get(entry.place, "")
