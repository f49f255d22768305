"""C-MELT: an ECG encoder and a report encoder, pre-trained together. Research software, not a medical device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmelt.records.readers import ReadOptions as ReadOptions
    from cmelt.records.readers import read_ecg as read_ecg
    from cmelt.records.record import LEADS as LEADS
    from cmelt.records.record import Record as Record

__version__ = "0.1.0"

#: Public name → the module that has it; imported when it is asked for, so that `import cmelt` stays light.
_PUBLIC = {
    "LEADS": "cmelt.records.record",
    "ReadOptions": "cmelt.records.readers",
    "Record": "cmelt.records.record",
    "read_ecg": "cmelt.records.readers",
}

__all__ = ["LEADS", "ReadOptions", "Record", "__version__", "read_ecg"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cmelt' has no attribute {name!r}")
