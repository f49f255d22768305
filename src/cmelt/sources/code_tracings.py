"""What CODE-15 % and CODE-test share: HDF5 arrays of tracings, padded with zeros to 4096 samples, leads by position.

Tracings are 400 Hz; 10 s (4000 samples) or 7 s (2800) lie in the middle, with as many zeros before as behind. The order of the
leads differs between the two datasets, and between what circulates under their names, so it is read off the limb leads
themselves. The publisher gives the scale in words that contradict one another ("1e-4 V … multiplied by 1000"); the
numbers are millivolts, as its author says elsewhere and as the PhysioNet Challenge 2025 takes them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError, SourceError
from cmelt.records.leads import CONSISTENT_BELOW, check_limb_leads
from cmelt.records.record import LEADS, Signal

if TYPE_CHECKING:
    import h5py

RATE = 400.0
#: Both datasets' classes; the tables do not have them in one order.
CLASSES: tuple[str, ...] = ("1dAVb", "RBBB", "LBBB", "SB", "AF", "ST")

_CHEST = LEADS[6:]
#: CODE-15 %: DI DII DIII AVR AVL AVF; CODE-test: DI DII DIII AVL AVF AVR.
ORDERS: Mapping[str, tuple[str, ...]] = {
    "code-15": LEADS,
    "code-test": ("I", "II", "III", "aVL", "aVF", "aVR", *_CHEST),
}
UNIT_NOTE = 'taken as mV: the publisher writes "scale 1e-4 V"; users find amplitudes about twice those of other archives'

#: Zeros before and behind a recording of 10 and 7 s.
_PADDINGS = (48, 648)
#: Zeros of a recording itself that may follow the padding: 0.1 s.
_OWN_ZEROS = 40
_SHORTEST_SECONDS = 1.0
_LARGEST_CHUNK = 64 << 20
#: Tracings whose limb leads are looked at to tell the order.
_LOOKED_AT = 24
#: An order holds where its relations leave at most this part of what the other's leave.
_CLEARLY = 0.5


@dataclass(frozen=True)
class Tracings:
    """One HDF5 file of tracings, open for reading.

    Attributes:
        array: the dataset, [exams, samples, 12].
        leads: names of its last axis.
        error: what the limb leads' relations leave under these names, over their RMS; the median of those looked at.
    """

    array: h5py.Dataset
    leads: tuple[str, ...]
    error: float


def read_tracing(path: Path, expected: str, row: int, where: str) -> Signal:
    """Tracing `row` of the file at `path` as [12, samples] mV in the order of `LEADS`, padding cut away.

    Raises:
        RecordError: it is empty, too short, or cannot be read.
    """
    try:
        tracings = open_tracings(path, expected)
    except SourceError as error:
        raise RecordError(where, error.fault, error.remedy) from error
    signal = without_padding(_row(tracings.array, row, where), where)
    return np.ascontiguousarray(signal[[tracings.leads.index(lead) for lead in LEADS]])


def open_tracings(path: Path, expected: str) -> Tracings:
    """The tracings in the file at `path`, of the dataset `expected` ("code-15" or "code-test").

    The file stays open in this process: shards read it thousands of times. A file that has changed is opened again.

    Raises:
        SourceError: not such a file, or limb leads that fit no order of leads that is known.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    key = (expected, status.st_size, status.st_mtime_ns, status.st_ino, os.getpid())
    with _LOCK:
        known = _open.get(path)
        if known is not None and known[0] == key:
            return known[1]
        for stale in [path] if known is not None else list(_open)[: max(len(_open) - _MOST_OPEN + 1, 0)]:
            _close(stale)
        tracings = _opened(str(path), expected)
        _open[path] = (key, tracings)
        return tracings


#: More than one worker of a cluster may be a thread of one process.
_LOCK = threading.Lock()
_open: dict[Path, tuple[tuple[str, int, int, int, int], Tracings]] = {}
_MOST_OPEN = 4


def _close(path: Path) -> None:
    """Forget the file, and close it: HDF5 would hand out its old content for the same file altered in place."""
    (*_, owner), tracings = _open.pop(path)
    if owner == os.getpid():
        tracings.array.file.close()


def _opened(path: str, expected: str) -> Tracings:
    import h5py

    from cmelt.records.readers.hdf5_contents import refuse_outside

    try:
        file = h5py.File(path, "r")
        array = file.get("tracings")
        if not isinstance(array, h5py.Dataset) or array.ndim != 3 or array.shape[2] != len(LEADS) or array.dtype.kind != "f":
            raise SourceError(path, "holds no array `tracings` of [exams, samples, 12 leads]", "fetch it again")
        refuse_outside(array, path)
    except RecordError as error:
        raise SourceError(path, error.fault, error.remedy) from error
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise SourceError(path, f"cannot be read as HDF5 ({type(error).__name__})", "it is truncated: fetch it again") from error
    leads, found = order_of_leads(array, expected, path)
    return Tracings(array, leads, found)


def order_of_leads(array: Any, expected: str, where: str) -> tuple[tuple[str, ...], float]:
    """The order in which the leads of `array` obey Einthoven, and what its relations leave.

    Raises:
        SourceError: none of the known orders does so clearly.
    """
    errors: dict[str, list[float]] = {name: [] for name in ORDERS}
    rows = np.unique(np.linspace(0, len(array) - 1, min(_LOOKED_AT, len(array))).astype(int))
    for row in rows:
        try:
            limb = _row(array, int(row), where)[:6]
        except RecordError:
            continue  # one that cannot be read is that record's fault, found when it is read
        found = {name: check_limb_leads(limb, order[:6]).error for name, order in ORDERS.items()}
        if np.isfinite(list(found.values())).all():
            for name, error in found.items():
                errors[name].append(error)
    if not errors[expected]:
        raise SourceError(where, "has no tracing whose limb leads could be checked", "fetch it again")
    medians = {name: float(np.median(found)) for name, found in errors.items()}
    best = min(medians, key=lambda name: (medians[name], name != expected))
    if any(medians[best] > _CLEARLY * medians[other] for other in ORDERS if other != best):
        fault = "has limb leads that fit no order of leads that CODE is known in"
        raise SourceError(where, fault, "it is not as published: fetch it again")
    return ORDERS[best], medians[best]


def warnings_of(name: str, tracings: Tracings, expected: str) -> list[str]:
    """What the user should know about the leads of a file."""
    found = []
    if tracings.leads != ORDERS[expected]:
        found.append(f"{name}: its limb leads stand in the order {', '.join(tracings.leads[:6])}, not as published; read so")
    if tracings.error > CONSISTENT_BELOW:
        found.append(f"{name}: limb leads contradict one another by {tracings.error:.0%} of their size")
    return found


def without_padding(tracing: Signal, where: str) -> Signal:
    """`tracing` [12, 4096] without the zeros that it was filled up with.

    Padding is the same before and behind. Where the zeros are as many as 10 or 7 s need, and a few more that the recording itself
    begins or ends with, just that many are cut; else all samples in which every lead is zero.

    Raises:
        RecordError: nothing is left, or less than a second.
    """
    lit = np.flatnonzero((tracing != 0).any(axis=0))  # NaN counts as lit: not measured is not padding
    if not lit.size:
        raise RecordError(where, "the tracing is empty: all zeros", "leave it out")
    before, behind = int(lit[0]), tracing.shape[1] - 1 - int(lit[-1])
    for padding in _PADDINGS:
        if padding <= min(before, behind) and max(before, behind) <= padding + _OWN_ZEROS:
            before = behind = padding
    kept = tracing[:, before : tracing.shape[1] - behind]
    if kept.shape[1] < _SHORTEST_SECONDS * RATE:
        raise RecordError(where, "holds less than a second of signal", "leave it out")
    return kept


def _row(array: Any, row: int, where: str) -> NDArray[np.float32]:
    """Row `row` as float32 [12, samples]."""
    try:
        return np.asarray(array[row], dtype=np.float32).T
    except (OSError, RuntimeError, ValueError, IndexError) as error:
        raise RecordError(where, "cannot be read from the HDF5 file", "it is truncated or altered: fetch it again") from error
