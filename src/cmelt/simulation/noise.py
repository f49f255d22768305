"""What the electrodes pick up beside the heart, and what the amplifier makes of it all.

Noise is drawn as a spectrum up to 150 Hz, so that a record of a given seed is the same one at 100 Hz and at 500 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: The highest frequency at which muscle noise is drawn, Hz.
_TOP = 150.0


@dataclass(frozen=True)
class Amplifier:
    """A recorder's filter: corner frequencies in Hz, and whether its high-pass shifts phases (a single RC stage).

    `edge` and `order` are of the filter before a reduction of the rate: where it is at half power, as a part of the rate, and
    how steeply it falls.
    """

    high_pass: float
    low_pass: float
    rc: bool
    gain: float
    edge: float = 0.45
    order: int = 16


def drawn_amplifier(rng: Generator) -> Amplifier:
    """Diagnostic bandwidth (0.05–150 Hz) in most recorders; 0.5 Hz or 40 Hz where someone switched filters on."""
    kind = rng.random()
    low_pass = 150.0 if kind < 0.6 else 100.0 if kind < 0.85 else 40.0
    narrow = rng.random() < 0.15
    return Amplifier(0.5 if narrow else 0.05, low_pass, not narrow, float(1 + 0.01 * rng.standard_normal()))


def response(amplifier: Amplifier, frequencies: Array) -> NDArray[np.complex128]:
    """Complex gain at each frequency; zero at 0 Hz."""
    ratio = frequencies / amplifier.high_pass
    high: Array | NDArray[np.complex128]
    high = 1j * ratio / (1 + 1j * ratio) if amplifier.rc else ratio**4 / (1 + ratio**4)
    return np.asarray(amplifier.gain * high / np.sqrt(1 + (frequencies / amplifier.low_pass) ** 8), dtype=np.complex128)


def band_limited(vector: Array, amplifier: Amplifier, rate: float, samples: int) -> Array:
    """The [3, m] heart vector through the amplifier, at `samples` points of the same duration (`rate` is theirs)."""
    spectrum = np.fft.rfft(vector, axis=1)[:, : samples // 2 + 1]
    frequencies = np.arange(spectrum.shape[1]) * rate / samples
    # Below the new Nyquist frequency, with a soft edge where the rate is low.
    edge = 1 / np.sqrt(1 + (frequencies / (amplifier.edge * rate)) ** amplifier.order)
    return np.fft.irfft(spectrum * response(amplifier, frequencies) * edge, n=samples, axis=1) * (samples / vector.shape[1])


@dataclass(frozen=True)
class Disturbance:
    """How much of each noise there is, mV (RMS) at one electrode; `mains` in Hz is 50 or 60.

    `limb_muscle` and `limb_wander` are factors on what the electrodes of the limbs have of it.
    """

    muscle: float
    wander: float
    hum: float
    mains: float
    bursts: int
    slips: int
    limb_muscle: float = 1.0
    limb_wander: float = 1.0


def drawn_disturbance(rng: Generator, level: float) -> Disturbance:
    """Noise of a resting ECG times `level`: microvolts of muscle, tens of wander, now and then mains or a slipping electrode."""
    return Disturbance(
        muscle=level * 0.006 * float(np.exp(0.55 * rng.standard_normal())),
        wander=level * 0.035 * float(np.exp(0.6 * rng.standard_normal())),
        hum=level * 0.010 * float(rng.random()) * (rng.random() < 0.3),
        mains=50.0 if rng.random() < 0.6 else 60.0,
        bursts=int(rng.random() < 0.15) if level else 0,
        slips=int(rng.random() < 0.06) if level else 0,
    )


def _muscle(size: float, amplifier: Amplifier, rng: Generator, rate: float, samples: int) -> Array:
    """[9, samples] noise of 15–120 Hz, as the recorder's low-pass leaves it."""
    bins = int(_TOP * samples / rate)
    draws = rng.standard_normal((9, bins, 2), dtype=np.float32)
    used = min(bins, samples // 2)
    frequencies = np.arange(1, used + 1) * rate / samples
    shape = (frequencies / 20) ** 2 / (1 + (frequencies / 20) ** 2) / np.sqrt(1 + (frequencies / 110) ** 4)
    every = np.arange(1, bins + 1) * rate / samples
    power = ((every / 20) ** 2 / (1 + (every / 20) ** 2) / np.sqrt(1 + (every / 110) ** 4)) ** 2
    shape = shape / np.sqrt(
        (1 + (frequencies / amplifier.low_pass) ** 8) * (1 + (frequencies / (amplifier.edge * rate)) ** amplifier.order)
    )
    spectrum = np.zeros((9, samples // 2 + 1), dtype=np.complex64)
    parts = draws[:, :used]
    spectrum[:, 1 : used + 1] = (parts[..., 0] + 1j * parts[..., 1]) * (shape * size * samples / 2 / np.sqrt(power.sum()))
    return np.fft.irfft(spectrum, n=samples, axis=1)


def _on_limbs(factor: float) -> Array:
    """[9, 1] the factor at RA, LA and LL, 1 at the chest."""
    return np.array([[factor]] * 3 + [[1.0]] * 6)


def electrode_noise(found: Disturbance, amplifier: Amplifier, rng: Generator, rate: float, samples: int, begin: float) -> Array:
    """[9, samples] millivolts at the electrodes RA, LA, LL, V1…V6, from time `begin` on."""
    times = begin + np.arange(samples) / rate
    seconds = samples / rate
    noise = _muscle(found.muscle, amplifier, rng, rate, samples)
    strength = np.exp(0.3 * rng.standard_normal((9, 1)))
    for _ in range(found.bursts):
        centre, width = rng.uniform(0, seconds), rng.uniform(0.3, 1.5)
        strength = strength + rng.uniform(1, 4) * rng.random((9, 1)) * np.exp(-0.5 * ((times - begin - centre) / width) ** 2)
    noise *= strength * _on_limbs(found.limb_muscle)
    slow = np.arange(1, 8) / seconds  # below about 0.6 Hz
    size = found.wander / np.sqrt((slow**-1.2).sum() / slow[0] ** -1.2) * (slow / slow[0]) ** -0.6
    turning = np.exp(2j * np.pi / seconds * times)
    harmonics = np.cumprod(np.broadcast_to(turning, (7, samples)), axis=0)  # cheaper than seven sines
    limbs = _on_limbs(found.limb_wander)
    noise += limbs * ((rng.standard_normal((9, 7)) + 1j * rng.standard_normal((9, 7))) * size @ harmonics).real
    breath = limbs * found.wander * 0.6 * rng.standard_normal((9, 1))
    noise += breath * np.sin(2 * np.pi * rng.uniform(0.2, 0.3) * times + rng.uniform(0, 2 * np.pi))
    hum = found.hum / np.sqrt(1 + (found.mains / amplifier.low_pass) ** 8) * (1 + 0.5 * rng.standard_normal((9, 1)))
    frequency, phase = found.mains + 0.02 * rng.standard_normal(), rng.uniform(0, 2 * np.pi)
    if found.hum and frequency < 0.45 * rate:  # what lies above is filtered before sampling
        noise += hum * np.sin(2 * np.pi * frequency * times + phase)
    for _ in range(found.slips):
        electrode, when = int(rng.integers(0, 9)), rng.uniform(0, seconds)
        since = times - begin - when
        jump = rng.uniform(-0.6, 0.6) * np.exp(-np.clip(since, 0, None) / rng.uniform(0.3, 1.5))
        noise[electrode] += np.where(since > 0, jump * (1 - np.exp(-np.clip(since, 0, None) / 0.02)), 0)
    return noise
