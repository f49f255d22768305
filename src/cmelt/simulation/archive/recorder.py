"""What the recorders and rooms of an archive make of the heart's signal: noise that differs more, and other filters."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from cmelt.simulation.noise import Amplifier, Disturbance

#: PTB-XL's copy at 100 Hz falls off from 43 Hz on, more steeply than our own reduction of the rate.
EDGE, ORDER = 0.435, 32


def archive_amplifier(rng: Generator) -> Amplifier:
    """0.05 to 150 Hz, narrower at both ends in a part of the archive."""
    kind = rng.random()
    low_pass = 150.0 if kind < 0.7 else 100.0 if kind < 0.9 else 40.0
    narrow = rng.random() < 0.15
    return Amplifier(0.5 if narrow else 0.05, low_pass, not narrow, float(1 + 0.01 * rng.standard_normal()), EDGE, ORDER)


def archive_disturbance(rng: Generator, level: float) -> Disturbance:
    """Most records quiet, some much disturbed: the logarithms spread wider than in `noise.drawn_disturbance`."""
    return Disturbance(
        muscle=level * 0.0038 * float(np.exp(0.75 * rng.standard_normal())),
        wander=level * 0.040 * float(np.exp(0.9 * rng.standard_normal())),
        hum=level * 0.006 * float(rng.random()) * (rng.random() < 0.2),
        mains=50.0 if rng.random() < 0.8 else 60.0,
        bursts=int(rng.random() < 0.12) if level else 0,
        slips=int(rng.random() < 0.04) if level else 0,
        limb_muscle=1.5,
        limb_wander=0.65,
    )
