"""Quick looks that settle the common, faultless case for certain; what they leave open the slow way decides.

Each stands beside its slow truth in `quality.py` or `leads.py`: `surely_moving` — `is_flat`, `may_be_clipped` or
`may_end_beats` — `is_clipped`, `may_stand_still` — `has_dropout`, `surely_consistent` — `check_limb_leads`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cmelt.records.leads import CONSISTENT_BELOW, LIMB_LEADS, LIMB_MIXTURES
from cmelt.records.record import Signal

#: [2, leads] each lead's lowest and highest sample; NaN or infinite where one is not measured.
Ranges = NDArray[np.float32]

#: A flat lead is compared at every so many samples, one half of them with the other.
_FEW = 8
#: Screens leave this much to rounding: they sum in float32, their truths in float64.
_MARGIN = 0.95
#: With offsets that hold more of a lead's power than this, float32 is not enough.
_MOST_OFFSET = 0.9
#: Sums of squares up to this do not overflow, mV².
_MOST_POWER = 1e12


def surely_moving(signal: Signal, flat_mv: float, spike_share: float) -> NDArray[np.bool_]:
    """Leads [leads] of `signal` that more than `spike_share` of the samples keep farther than `flat_mv` from any middle.

    Of two samples that differ by twice `flat_mv`, one at least is farther from it: pairs that do so are counted.
    """
    few = signal[:, ::_FEW]
    half = few.shape[1] // 2
    apart = np.abs(few[:, :half] - few[:, half : 2 * half]) > 2 * flat_mv / _MARGIN
    return np.asarray(np.add.reduce(apart, axis=1) > spike_share * signal.shape[1])


def may_be_clipped(signal: Signal, ranges: Ranges, shortest: int, height: float) -> NDArray[np.bool_]:
    """Leads [leads] that may hold an end of their `ranges` for `shortest` samples, `height` from their middle."""
    lowest, highest = ranges
    # A plateau of so many samples is met by one of every so many.
    some = signal[:, ::shortest]
    met = (np.maximum.reduce(some, axis=1) == highest) | (np.minimum.reduce(some, axis=1) == lowest)
    met &= highest - lowest >= height
    for row in np.flatnonzero(met):
        lead = signal[row]
        met[row] = max(np.count_nonzero(lead == lowest[row]), np.count_nonzero(lead == highest[row])) >= shortest
    return np.asarray(met)


def may_end_beats(signal: Signal, ranges: Ranges, shortest: int, times: int, height: float) -> NDArray[np.bool_]:
    """Leads [leads] that may hold an end of their `ranges`, `height` from the other, for `shortest` samples so many `times`."""
    lowest, highest = ranges[:, :, None]
    some = signal[:, ::shortest]  # meets every such stretch once
    met = np.maximum(np.count_nonzero(some == highest, axis=1), np.count_nonzero(some == lowest, axis=1))
    return np.asarray((met >= times) & (ranges[1] - ranges[0] >= height))


def may_stand_still(signal: Signal, shortest: int) -> NDArray[np.bool_]:
    """Leads [leads] that may hold one value for `shortest` samples: so long a stretch is met by three of every quarter of it."""
    some = signal[:, :: shortest // 4]
    same = some[:, 1:] == some[:, :-1]
    return np.asarray(np.logical_or.reduce(same[:, 1:] & same[:, :-1], axis=1))


def surely_consistent(signal: Signal, leads: tuple[str, ...]) -> bool:
    """Whether the limb leads of `signal` [leads, samples], which is measured everywhere, obey Einthoven and Goldberger.

    Their second moments tell it, as in `check_limb_leads`; here just what no heart vector can make is summed.
    """
    contradictions = _contradictions(leads)
    if contradictions is None:
        return False
    limb = signal[:6] if leads[:6] == LIMB_LEADS else signal[[leads.index(lead) for lead in LIMB_LEADS if lead in leads]]
    power = float(np.vdot(limb, limb))
    if not power < _MOST_POWER:
        return False
    sums = limb @ np.ones(limb.shape[1], np.float32)
    offset = float(sums @ sums) / limb.shape[1]
    outside = contradictions @ limb
    outside_sums = contradictions @ sums
    residual = float(np.vdot(outside, outside)) - float(outside_sums @ outside_sums) / limb.shape[1]
    scale = len(limb) / (len(limb) - 2)
    return offset < _MOST_OFFSET * power and residual * scale < (_MARGIN * CONSISTENT_BELOW) ** 2 * (power - offset)


@lru_cache(maxsize=64)
def _contradictions(leads: Sequence[str]) -> NDArray[np.float32] | None:
    """[k − 2, k] an orthonormal base of what no heart vector can make in the k limb leads; None of fewer than three."""
    mixtures = LIMB_MIXTURES[[LIMB_LEADS.index(lead) for lead in LIMB_LEADS if lead in leads]]
    if len(mixtures) < 3:
        return None
    return np.ascontiguousarray(np.linalg.svd(mixtures)[0][:, 2:].T, dtype=np.float32)
