"""Groups of near fingerprints are held against the stored signals: a fingerprint suggests a copy, the signal decides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cmelt.records.fingerprint import measured_stretch
from cmelt.records.resemblance import LEAST_RESEMBLANCE, resemblance

Steps = NDArray[np.int16]

#: In a group of near fingerprints with more different signals than this, the others count as copies of their equals alone.
_MOST_SIGNALS = 16


def same_signal(first: Steps, second: Steps, rate: float, apart: int = 0) -> bool:
    """Whether two signals [leads, samples] at `rate` Hz, missing leads zero, are copies, at whatever gain.

    They are compared in the stretch and the leads that both have; False where there is too little. The second begins `apart`
    samples later in its recording than the first in its own.
    """
    one, other = _measured(first, rate)[:, max(apart, 0) :], _measured(second, rate)[:, max(-apart, 0) :]
    return resemblance(one.astype(np.float32), rate, other.astype(np.float32), rate) >= LEAST_RESEMBLANCE


def confirm_groups(
    groups: NDArray[np.int64],
    doubtful: NDArray[np.bool_],
    signal_of: Callable[[int], Steps],
    begin: NDArray[np.int64],
    rate: float,
) -> NDArray[np.int64]:
    """The `groups` [n] with those split whose signals are not the same: their other members get new numbers.

    Args:
        doubtful: [n] rows that it matters for; groups without one are taken as they are.
        signal_of: the measured part of a row's signal, [leads, samples].
        begin: [n] the sample of its recording that it begins with.
    """
    confirmed = groups.copy()
    fresh = int(groups.max(initial=-1)) + 1
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.diff(starts, append=groups.size)
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        members = order[start : start + size]
        if not doubtful[members].any():
            continue
        lead = int(members[0])
        known = [(signal_of(lead), int(begin[lead]), int(groups[lead]))]
        equal = {_digest(*known[0][:2]): int(groups[lead])}  # these are copies, however many different signals there are
        for member in members[1:].tolist():
            signal, start = signal_of(member), int(begin[member])
            number = equal.get(_digest(signal, start))
            if number is None:
                number = next((number for there, at, number in known if same_signal(there, signal, rate, start - at)), None)
            if number is None:
                number, fresh = fresh, fresh + 1
                if len(known) < _MOST_SIGNALS:
                    known.append((signal, start, number))
            equal.setdefault(_digest(signal, start), number)
            confirmed[member] = number
    return confirmed


def _digest(signal: Steps, begin: int) -> bytes:
    """Tells signals [leads, samples] that begin at sample `begin` from all others."""
    head = f"{signal.shape} {begin} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(signal).tobytes()).digest()


def beginnings(seconds: NDArray[np.float64], rate: float, samples: int, crop: str) -> NDArray[np.int64]:
    """The sample of each recording of `seconds` [n], at the store's rate, that the stored stretch begins with."""
    if crop == "first":
        return np.zeros(seconds.size, dtype=np.int64)
    return np.maximum(np.rint(seconds * rate).astype(np.int64) - samples, 0) // 2


def _measured(signal: Steps, rate: float) -> Steps:
    """Without the padding that fingerprints keep away from too."""
    begin, end = measured_stretch(signal.astype(np.float32), rate)
    return signal[:, begin:end]
