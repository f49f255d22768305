"""From one sampling rate to another, polyphase and band-limited."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cmelt.records.record import Signal

#: Zero crossings of the sinc on either side, and the Kaiser shape: flat to 0.85 of the lower Nyquist limit, 80 dB down above it.
_CROSSINGS = 32
_KAISER = 8.0


def resample(signal: Signal, rate: float, to: float) -> Signal:
    """`signal` [leads, samples] at `rate` Hz as it would have been measured at `to` Hz.

    What lies above half the lower rate is taken out; edges go on as their own odd reflection, so that an offset
    makes no step. The length is samples · to / rate, rounded up as little as the last sample needs.
    """
    if rate == to:
        return signal
    from scipy.signal import resample_poly

    ratio = Fraction(to / rate).limit_denominator(2000)
    up, down = ratio.numerator, ratio.denominator
    taps = _low_pass(up, down)
    padded = resample_poly(signal.astype(np.float64), up, down, axis=1, window=taps, padtype="antireflect")
    return padded.astype(np.float32)


@lru_cache(maxsize=16)
def _low_pass(up: int, down: int) -> NDArray[np.float64]:
    from scipy.signal import firwin

    widest = max(up, down)
    # Half power at 0.92 of the limit: the transition then ends on the limit itself, and nothing folds back.
    return firwin(2 * _CROSSINGS * widest + 1, 0.92 / widest, window=("kaiser", _KAISER))
