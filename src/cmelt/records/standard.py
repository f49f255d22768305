"""Any record to the one form that everything after works on: 12 leads by name, one rate, one length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import derive_limb_leads
from cmelt.records.quality import is_flat, longest_gap, quality_flags
from cmelt.records.record import LEADS, Record, Signal, without_calibration
from cmelt.records.resample import resample
from cmelt.records.units import measured, refuse_impossible_amplitude

Crop = Literal["first", "centre"]

#: Gaps up to this long are interpolated within the lead; a lead with a longer one is missing.
LONGEST_GAP_SECONDS = 0.1


@dataclass(frozen=True)
class StandardRecord:
    """A record in standard form.

    Attributes:
        signal: [12, samples] float32 mV in the order of `LEADS`; zero where a lead is missing or the record had ended.
        rate: Hz.
        missing: the leads that carry nothing.
        flags: what `quality_flags` found, and "derived:LEAD", "interpolated:LEAD", "padded", "cropped".
        samples: how many of the samples were measured; the rest is padding.
    """

    signal: Signal
    rate: float
    missing: tuple[str, ...]
    flags: tuple[str, ...]
    samples: int


def standardise(record: Record, rate: float, seconds: float = 10.0, *, crop: Crop = "first") -> StandardRecord:
    """`record` as 12 leads at `rate` Hz and `seconds` length, with what had to be done to it as flags.

    A longer record gives its first or its central stretch (`windows` gives all of it). A shorter one is padded with zeros
    after each lead's mean has been taken off, so that no normalisation makes a step of the padding.

    Raises:
        RecordError: no usable lead, or an amplitude that cannot be millivolts.
    """
    where = record.origin or record.identifier or "record"
    record = without_calibration(record)
    refuse_impossible_amplitude(record.signal, where)
    record = replace(record, signal=measured(record.signal))
    flags = list(quality_flags(record))
    whole, derived = derive_limb_leads(_without_empty_leads(record))
    flags += [f"derived:{lead}" for lead in derived]
    signal, missing, bridged = _in_canonical_order(whole, derived, flags)
    flags += bridged
    if len(missing) == len(LEADS) and "unit-suspect" in flags:
        fault = "every lead stays under 0.03 mV and yet beats: these can only be millivolts read as microvolts"
        raise RecordError(where, fault, "correct the unit or the gain that the file states")
    if len(missing) == len(LEADS):
        raise RecordError(where, "no usable lead: all are missing, flat or full of gaps", "leave the record out")
    signal = resample(signal, record.rate, rate)
    present = [position for position, lead in enumerate(LEADS) if lead not in missing]
    fitted, change = _fitted(signal, round(rate * seconds), crop, present)
    return StandardRecord(fitted, rate, tuple(missing), tuple(flags) + change, min(signal.shape[1], fitted.shape[1]))


def _in_canonical_order(whole: Record, derived: Sequence[str], flags: Sequence[str]) -> tuple[Signal, list[str], list[str]]:
    """`whole` in the order of `LEADS`, gaps bridged and zero where a lead is missing; which are, and flags of the bridged.

    The record's own array comes back where nothing is to be changed.
    """
    complete: NDArray[np.bool_] = np.asarray(np.isfinite(whole.signal).all(axis=1))
    # The flags of recorded leads know which are flat already.
    flat = [is_flat(whole.signal[row]) if lead in derived else f"flat:{lead}" in flags for row, lead in enumerate(whole.leads)]
    if whole.leads == LEADS and complete.all() and not any(flat):
        return whole.signal, [], []
    signal = np.zeros((len(LEADS), whole.signal.shape[1]), dtype=np.float32)
    missing, bridged = [], []
    for position, lead in enumerate(LEADS):
        row = whole.leads.index(lead) if lead in whole.leads else None
        if row is None or flat[row] or (not complete[row] and _too_gappy(whole.signal[row], whole.rate)):
            missing.append(lead)
        elif complete[row]:
            signal[position] = whole.signal[row]
        else:
            signal[position] = _interpolated(whole.signal[row])
            bridged.append(f"interpolated:{lead}")
    return signal, missing, bridged


def _too_gappy(row: NDArray[np.float32], rate: float) -> bool:
    return longest_gap(row) > LONGEST_GAP_SECONDS * rate


def windows(record: Record, seconds: float) -> list[Record]:
    """`record` cut into stretches of `seconds`; the last one ends with the record and may overlap the one before."""
    record = without_calibration(record)
    length = round(seconds * record.rate)
    total = record.signal.shape[1]
    if total <= length:
        return [record]
    starts = list(range(0, total - length + 1, length))
    if starts[-1] + length < total:
        starts.append(total - length)
    return [replace(record, signal=record.signal[:, start : start + length]) for start in starts]


def _without_empty_leads(record: Record) -> Record:
    """Drop leads that hold no measurement at all: as if the file lacked them, so that limb leads may be derived."""
    rows = range(len(record.leads))
    # A first sample that was measured says enough of nearly every lead.
    kept = [row for row in rows if math.isfinite(record.signal[row, 0]) or np.isfinite(record.signal[row]).any()]
    if len(kept) == len(record.leads) or not kept:
        return record
    return replace(record, signal=record.signal[kept], leads=tuple(record.leads[row] for row in kept))


def _interpolated(row: NDArray[np.float32]) -> NDArray[np.float32]:
    finite = np.isfinite(row)
    places = np.arange(row.size)
    return np.interp(places, places[finite], row[finite]).astype(np.float32)


def _fitted(signal: Signal, length: int, crop: Crop, present: list[int]) -> tuple[Signal, tuple[str, ...]]:
    """`signal` [12, any] cut or padded to `length`, and the flag that says so."""
    total = signal.shape[1]
    if total == length:
        return signal, ()
    if total > length:
        start = 0 if crop == "first" else (total - length) // 2
        return signal[:, start : start + length], ("cropped",)
    padded = np.zeros((signal.shape[0], length), dtype=np.float32)
    padded[present, :total] = signal[present] - signal[present].mean(axis=1, keepdims=True)
    return padded, ("padded",)
