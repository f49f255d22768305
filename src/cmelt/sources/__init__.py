"""Where ECGs come from: one file a source. A new one is a module with a class like `Source`, and one line here."""

from __future__ import annotations

from collections.abc import Mapping

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

__all__ = ["SOURCES", "SPLITS", "Entry", "Listing", "Source"]
