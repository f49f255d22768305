"""Where ECGs come from: one file a source. A new one is a module with a class like `Source`, and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from cmelt.sources.source import SPLITS, Entry, Listing, Source

#: Name → "module:class"; imported when used.
SOURCES: Mapping[str, str] = {
    "ptb-xl": "cmelt.sources.ptb_xl:PtbXl",
    "folder": "cmelt.sources.folder:Folder",
    "simulated": "cmelt.sources.simulated:Simulated",
}

__all__ = ["SOURCES", "SPLITS", "Entry", "Listing", "Source"]
