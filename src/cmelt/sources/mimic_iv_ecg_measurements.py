"""What the carts measured, as MIMIC-IV-ECG tells it: times within the averaged beat, in a compact table read once a process.

A source goes to every worker process with every shard; 800,035 rows must not go with it. So the table is read where it is
asked for, into 14 MB of int16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.sources.mimic_iv_ecg_tables import column_of, header_of, stream
from cmelt.sources.tables import file_stamp

COLUMNS: tuple[str, ...] = (
    "rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end", "p_axis", "qrs_axis", "t_axis",
)  # fmt: skip

#: What the carts write where they measured nothing.
SENTINELS: tuple[float, ...] = (29999, 32767, 65535)
_NONE = -(1 << 15)

#: Least and greatest value that a heart can have; what lies beyond is a failed measurement.
_PLAUSIBLE: Mapping[str, tuple[float, float]] = {
    "heart_rate_bpm": (10, 400), "p_ms": (10, 300), "pr_ms": (20, 800), "qrs_ms": (20, 400), "qt_ms": (100, 1000),
    "p_axis_deg": (-360, 360), "qrs_axis_deg": (-360, 360), "t_axis_deg": (-360, 360),
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """`study` int64 [n], ascending; `values` int16 [n, 9] in the order of `COLUMNS`, `_NONE` where nothing was measured."""

    study: NDArray[np.int64]
    values: NDArray[np.int16]

    def of(self, study: str) -> Mapping[str, float]:
        """The measurements of one study by the names of `record.MEASUREMENTS`; empty where the table has no row of it."""
        if not study.isdigit() or len(study) > 18:
            return {}
        row = int(np.searchsorted(self.study, int(study)))
        if row == len(self.study) or self.study[row] != int(study):
            return {}
        return _named({name: float(value) for name, value in zip(COLUMNS, self.values[row], strict=True) if value != _NONE})


def measured(path: Path) -> Measured:
    """The table of `machine_measurements.csv`; read once a process, and again when the file changes."""
    return _read(str(path), file_stamp(path))


@lru_cache(maxsize=1)
def _read(path: str, stamp: str) -> Measured:  # noqa: ARG001 (the stamp tells a changed file from the one read before)
    table = Path(path)
    there = [name for name in COLUMNS if name in header_of(table)]  # a copy may hold the reports alone
    studies, values = [np.empty(0, np.int64)], [np.empty((0, len(COLUMNS)), np.int16)]
    for batch in stream(table, ("study_id", *there)):
        names = column_of(batch, "study_id").to_pylist()
        study = np.array([int(name) if name.isdigit() and len(name) <= 18 else -1 for name in names], dtype=np.int64)
        numbers = np.full((len(names), len(COLUMNS)), _NONE, dtype=np.int16)
        for name in there:
            numbers[:, COLUMNS.index(name)] = _numbers(batch.column(name).to_pylist())
        studies.append(study[study >= 0])
        values.append(numbers[study >= 0])
    every = np.concatenate(studies)
    kept, first = np.unique(every, return_index=True)  # of several rows of a study the first
    return Measured(kept, np.concatenate(values)[first])


def _numbers(cells: list[str]) -> NDArray[np.int16]:
    """Cells of one column as int16; sentinels, empty cells and whatever is no number become `_NONE`."""
    known: dict[str, int] = {}
    for cell in set(cells):
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        usable = abs(value) < 32767 and value not in SENTINELS
        known[cell] = round(value) if usable else _NONE
    return np.array([known[cell] for cell in cells], dtype=np.int16)


def _named(raw: Mapping[str, float]) -> Mapping[str, float]:
    """Intervals from the times that were measured; implausible ones are left out."""

    def between(first: str, last: str) -> float | None:
        return raw[last] - raw[first] if first in raw and last in raw else None

    found = {
        "heart_rate_bpm": 60_000 / raw["rr_interval"] if raw.get("rr_interval", 0) > 0 else None,
        "p_ms": between("p_onset", "p_end"),
        "pr_ms": between("p_onset", "qrs_onset"),
        "qrs_ms": between("qrs_onset", "qrs_end"),
        "qt_ms": between("qrs_onset", "t_end"),
        "p_axis_deg": raw.get("p_axis"),
        "qrs_axis_deg": raw.get("qrs_axis"),
        "t_axis_deg": raw.get("t_axis"),
    }
    return {
        name: value for name, value in found.items() if value is not None and _PLAUSIBLE[name][0] <= value <= _PLAUSIBLE[name][1]
    }
