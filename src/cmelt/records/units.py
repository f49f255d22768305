"""Millivolts from what the file says, and a refusal where that cannot be true."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.record import Signal

_PER_MILLIVOLT = {"v": 1e-3, "mv": 1.0, "uv": 1e3, "µv": 1e3, "μv": 1e3, "nv": 1e6}

#: Beyond this a surface ECG cannot go: an R wave reaches 5 mV, wander 10 mV; microvolts taken for millivolts give
#: hundreds to thousands. (mV, between the 1st and the 99th percentile of the median lead.)
LARGEST_SPAN_MV = 50.0
#: Beyond this nothing was measured: electrodes make hundreds of mV, and amplifiers end there.
LARGEST_MV = 1000.0


def units_per_millivolt(units: str, where: str) -> float:
    """How many of `units` make one millivolt.

    Raises:
        RecordError: not a unit of voltage.
    """
    per_millivolt = _per_millivolt(units)
    if per_millivolt is None:
        raise RecordError(where, "a lead's unit is not a voltage", "ECG leads come in V, mV, uV or nV")
    return per_millivolt


def refuse_impossible_amplitude(signal: Signal, where: str) -> None:
    """Refuse `signal` [leads, samples] whose numbers can only be microvolts read as millivolts.

    Offsets are ignored (electrodes make hundreds of mV), and single leads may do as they like: the median lead decides.

    Raises:
        RecordError: the median lead spans more than `LARGEST_SPAN_MV`.
    """
    if signal.size == 0:
        return
    lowest, highest = np.fmin.reduce(signal, axis=None), np.fmax.reduce(signal, axis=None)  # what was not measured left out
    if lowest >= -LARGEST_SPAN_MV / 2 and highest <= LARGEST_SPAN_MV / 2:
        return
    rows = [row[np.isfinite(row)] for row in signal]
    spans = [float(np.ptp(np.percentile(row, [1, 99]))) for row in rows if row.size]
    live = [span for span in spans if span > 0]
    if live and float(np.median(live)) > LARGEST_SPAN_MV:
        raise RecordError(
            where,
            f"leads span {float(np.median(live)):.0f} mV, which no heart does: these can only be microvolts read as millivolts",
            "correct the unit or the gain that the file states (1000 steps per mV where it says 1)",
        )


def measured(signal: Signal) -> Signal:
    """`signal` [leads, samples] mV with NaN where a number lies beyond `LARGEST_MV`, infinite ones too; itself where none does.

    A single sample of 1e30 mV would otherwise make the scale of its whole record.
    """
    lowest, highest = np.fmin.reduce(signal, axis=None), np.fmax.reduce(signal, axis=None)
    if not (lowest < -LARGEST_MV or highest > LARGEST_MV):
        return signal
    return np.where(np.abs(signal) > LARGEST_MV, np.float32(np.nan), signal)


def is_voltage(units: str) -> bool:
    """Whether `units` is a unit of voltage."""
    return _per_millivolt(units) is not None


@lru_cache(maxsize=256)
def _per_millivolt(units: str) -> float | None:
    return _PER_MILLIVOLT.get(units.strip().lower())
