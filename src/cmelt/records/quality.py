"""What is wrong with a signal, lead by lead: NaN, flat, clipped, missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmelt.records.leads import check_limb_leads
from cmelt.records.record import LEADS, Record, Signal

#: A lead that stays this close to its median is an unplugged one (two steps of a 5 µV converter), mV.
FLAT_MV = 0.010
#: Single spikes on an unplugged lead do not make it one that carries an ECG.
SPIKE_SHARE = 0.01
#: An amplifier's rail: the extreme value held at least this long, at least so many samples, this far from the lead's middle.
RAIL_SECONDS = 0.02
RAIL_SAMPLES = 5
RAIL_MV = 1.0
#: Filters hold the first and last value of a record; a rail that is met there is met steeply: by this share of its height
#: within RAIL_SECONDS.
RAIL_JUMP = 0.25


def is_flat(row: NDArray[np.float32]) -> bool:
    """Whether `row` [samples] carries nothing, a few single spikes apart (NaN is ignored)."""
    finite = row[np.isfinite(row)]
    if finite.size == 0:
        return True
    moving = np.count_nonzero(np.abs(finite - np.median(finite)) > FLAT_MV)
    return bool(moving <= SPIKE_SHARE * finite.size)


def is_clipped(row: NDArray[np.float32], rate: float) -> bool:
    """Whether `row` [samples] stands at its own highest or lowest value as it does at an amplifier's rail."""
    finite = row[np.isfinite(row)]
    if finite.size == 0:
        return False
    middle = float(np.median(finite))
    shortest = max(RAIL_SAMPLES, round(RAIL_SECONDS * rate))
    for rail in (float(finite.max()), float(finite.min())):
        height = abs(rail - middle)
        plateaus = [(start, stop) for start, stop in _runs(finite == rail) if stop - start >= shortest]
        if height >= RAIL_MV and any(_is_rail(finite, plateau, shortest, RAIL_JUMP * height) for plateau in plateaus):
            return True
    return False


def _is_rail(row: NDArray[np.float32], plateau: tuple[int, int], within: int, jump: float) -> bool:
    """Whether a plateau (start, stop) of `row` is more than a filter holding the record's first or last value."""
    start, stop = plateau
    if start > 0 and stop < row.size:
        return True
    before = abs(float(row[start] - row[max(start - within, 0)]))
    after = abs(float(row[stop - 1] - row[min(stop - 1 + within, row.size - 1)]))
    return max(before, after) >= jump


def longest_gap(row: NDArray[np.float32]) -> int:
    """The longest run of NaN in `row` [samples], in samples."""
    return max((stop - start for start, stop in _runs(~np.isfinite(row))), default=0)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `mask` [samples] is true, as (start, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


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
