"""ECGs as users hold them: paths, Records, or bare arrays whose rate, unit and leads are said beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions
from cmelt.records.record import Record
from cmelt.serving.processor import record_of


def separate(ecgs: Any) -> Sequence[Any]:
    """One ECG as a list of one, several as a sequence: an array of three dimensions is several, [n, leads, samples]."""
    if isinstance(ecgs, Record | str | os.PathLike):
        return [ecgs]
    if hasattr(ecgs, "ndim") and hasattr(ecgs, "shape") and ecgs.ndim <= 2 and getattr(ecgs.dtype, "kind", "f") != "O":
        return [ecgs]
    return list(ecgs)


def source_of(ecg: Any, options: ReadOptions, identifier: str = "array") -> Record | str | Path:
    """What `CMeltProcessor.record` takes, of a path, a Record, or an array or tensor [leads, samples].

    Raises RecordError for an array whose rate, unit or leads are not said: nothing is guessed.
    """
    if isinstance(ecg, Record | str | Path):
        return ecg
    if isinstance(ecg, os.PathLike):
        return Path(ecg)
    unsaid = [name for name in ("rate", "unit", "leads") if getattr(options, name) is None]
    if unsaid:
        raise RecordError(identifier, f"a bare array says nothing of its {', '.join(unsaid)}", "say it beside the array")
    array = np.asarray(ecg.detach().cpu() if hasattr(ecg, "detach") else ecg)
    found = record_of(
        array, rate=float(options.rate or 0), unit=str(options.unit), leads=options.leads or (), identifier=identifier
    )
    return found
