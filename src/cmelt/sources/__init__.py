"""Where ECGs come from: one file a source. A new one is a module with a class like `Source`, and one line here.

Installed packages add theirs by the entry points `cmelt.sources` (docs/extend/dataset.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from cmelt.errors import SourceError
from cmelt.sources.source import SPLITS, Entry, Listing, Source

#: Name → "module:class"; imported when used.
SOURCES: Mapping[str, str] = {
    "mimic-iv-ecg": "cmelt.sources.mimic_iv_ecg:MimicIvEcg",
    "ptb-xl": "cmelt.sources.ptb_xl:PtbXl",
    "cinc2021": "cmelt.sources.cinc2021:Cinc2021",
    "cpsc2018": "cmelt.sources.cpsc2018:Cpsc2018",
    "csn": "cmelt.sources.csn:Csn",
    "code-15": "cmelt.sources.code_15:Code15",
    "code-test": "cmelt.sources.code_test:CodeTest",
    "ludb": "cmelt.sources.ludb:Ludb",
    "folder": "cmelt.sources.folder:Folder",
    "simulated": "cmelt.sources.simulated:Simulated",
}

#: Entry points of this group are classes like `Source` that are made of a folder and a rate.
ADDED_SOURCES = "cmelt.sources"

__all__ = ["SOURCES", "SPLITS", "Entry", "Listing", "Source", "known_sources", "source_class"]


@cache
def known_sources() -> Mapping[str, str]:
    """Ours, then those of installed packages; a name of ours stays ours. As in `SOURCES`, nothing is imported."""
    added = {point.name: point.value for point in entry_points(group=ADDED_SOURCES)}
    return {**SOURCES, **{name: place for name, place in added.items() if name not in SOURCES}}


def source_class(name: str) -> type[Source]:
    """The class of a known source.

    Raises:
        SourceError: there is no such source, or the package that adds it cannot be imported.
    """
    if name not in known_sources():
        raise SourceError(name, "no such source", f"choose of {', '.join(known_sources())}")
    module, _, found = known_sources()[name].partition(":")
    try:
        source: type[Source] = getattr(import_module(module), found)
    except (ImportError, AttributeError) as error:
        fault = f"{module}:{found} cannot be imported: {error}"
        raise SourceError(name, fault, "mend the package that adds it, or uninstall it") from error
    return source
