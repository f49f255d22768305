"""What is wrong with a signal, lead by lead: NaN, flat, clipped, missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmelt.records.leads import check_limb_leads
from cmelt.records.record import LEADS, Record, Signal

#: A lead that moves no more than this is an unplugged one (two steps of a 5 µV converter), mV.
FLAT_SPAN_MV = 0.010
#: An amplifier's rail: the extreme value held at least this long ...
RAIL_SECONDS = 0.02
#: ... and for this much of the record, further than this from the lead's middle.
RAIL_SHARE = 0.002
RAIL_MV = 1.0


def is_flat(row: NDArray[np.float32]) -> bool:
    """Whether `row` [samples] carries nothing, a few single spikes apart (NaN is ignored)."""
    finite = row[np.isfinite(row)]
    return finite.size == 0 or float(np.ptp(np.percentile(finite, [0.5, 99.5]))) <= FLAT_SPAN_MV


def is_clipped(row: NDArray[np.float32], rate: float) -> bool:
    """Whether `row` [samples] stands at its own highest or lowest value as it does at an amplifier's rail."""
    finite = row[np.isfinite(row)]
    if finite.size == 0:
        return False
    middle = float(np.median(finite))
    shortest = max(3, round(RAIL_SECONDS * rate))
    for rail in (float(finite.max()), float(finite.min())):
        if abs(rail - middle) < RAIL_MV:
            continue
        held = sum(length for length in _run_lengths(finite == rail) if length >= shortest)
        if held >= max(shortest, RAIL_SHARE * finite.size):
            return True
    return False


def longest_gap(row: NDArray[np.float32]) -> int:
    """The longest run of NaN in `row` [samples], in samples."""
    return max(_run_lengths(~np.isfinite(row)), default=0)


def _run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [int(length) for length in edges[1::2] - edges[::2]]


def quality_flags(record: Record) -> tuple[str, ...]:
    """What is wrong with `record`: "nan:V3", "flat:II", "clipped:V1", "missing:aVR", "limb-swapped:I/II", "limb-inverted:III",
    "limb-inconsistent". Empty for a good record."""
    flags: list[str] = []
    for row, lead in zip(record.signal, record.leads, strict=True):
        if not np.isfinite(row).all():
            flags.append(f"nan:{lead}")
        if is_flat(row):
            flags.append(f"flat:{lead}")
        elif is_clipped(row, record.rate):
            flags.append(f"clipped:{lead}")
    flags += [f"missing:{lead}" for lead in LEADS if lead not in record.leads]
    return tuple(flags) + limb_flags(record.signal, record.leads)


def limb_flags(signal: Signal, leads: Sequence[str]) -> tuple[str, ...]:
    """What the limb leads say of one another, as flags."""
    check = check_limb_leads(signal, leads)
    if check.consistent:
        return ()
    if check.swapped is not None:
        return (f"limb-swapped:{check.swapped[0]}/{check.swapped[1]}",)
    if check.inverted is not None:
        return (f"limb-inverted:{check.inverted}",)
    return ("limb-inconsistent",)
