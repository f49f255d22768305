"""Whether two stored signals are one recording: asked before a record is left out, since a fingerprint only suggests it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.int16]

#: Correlation that every lead which both have must reach.
LEAST_CORRELATION = 0.98
#: Copies made by other filters and resamplers come a few milliseconds late.
LARGEST_DELAY_SECONDS = 0.01
#: Less in common than this tells nothing.
SHORTEST_SECONDS = 1.0
#: Records that begin with this much of nothing in all leads were padded.
_PADDING_SECONDS = 0.25
#: In a group of near fingerprints with more different signals than this, the others count as no copies.
_MOST_SIGNALS = 16


def same_signal(first: Steps, second: Steps, rate: float, apart: int = 0) -> bool:
    """Whether two signals [leads, samples] at `rate` Hz, missing leads zero, are copies, at whatever gain.

    They are compared in the stretch and the leads that both have; False where there is none. The second begins `apart`
    samples later in its recording than the first in its own.
    """
    first, second = _without_padding(first, rate), _without_padding(second, rate)
    most = round(LARGEST_DELAY_SECONDS * rate)
    for delay in (apart + by for by in sorted(range(-most, most + 1), key=abs)):
        one, other = first[:, max(delay, 0) :], second[:, max(-delay, 0) :]
        length = min(one.shape[1], other.shape[1])
        if length < SHORTEST_SECONDS * rate:
            return False
        correlations = _correlations(one[:, :length], other[:, :length])
        if correlations.size == 0:
            return False
        if correlations.min() >= LEAST_CORRELATION:
            return True
    return False


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
        for member in members[1:].tolist():
            signal, start = signal_of(member), int(begin[member])
            number = next((number for there, at, number in known if same_signal(there, signal, rate, start - at)), None)
            if number is None:
                number, fresh = fresh, fresh + 1
                if len(known) < _MOST_SIGNALS:
                    known.append((signal, start, number))
            confirmed[member] = number
    return confirmed


def _without_padding(signal: Steps, rate: float) -> Steps:
    """Without the stretch at its beginning in which nothing moves, from which fingerprints keep away too."""
    moves = np.flatnonzero((signal[:, 1:] != signal[:, :-1]).any(axis=0))
    if moves.size == 0:
        return signal[:, :0]
    return signal[:, moves[0] + 1 :] if moves[0] + 1 >= _PADDING_SECONDS * rate else signal


def _correlations(first: Steps, second: Steps) -> NDArray[np.float64]:
    """Of each lead that moves in both."""
    one, other = (signal - signal.mean(axis=1, keepdims=True, dtype=np.float64) for signal in (first, second))
    size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    both = size > 0
    return np.asarray((one * other).sum(axis=1)[both] / size[both])
