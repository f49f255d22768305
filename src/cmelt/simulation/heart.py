"""The state of a heart that conditions change, and the healthy heart of one simulated person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cmelt.simulation.timeline import Timeline, sinus, steady
from cmelt.simulation.torso import electrode_vectors
from cmelt.simulation.wave import Wave, rotation, wave

Array = NDArray[np.float64]
Rhythm = Callable[["Heart", Generator, float, float], Timeline]
Conduct = Callable[["Heart", Generator, Array], tuple[Array, Array]]
Ectopy = Callable[["Heart", Generator, Timeline], Timeline]


def no_vector() -> Array:
    """A [3] zero vector."""
    return np.zeros(3)


@dataclass(frozen=True)
class Heart:
    """What a condition may change; `dataclasses.replace` makes the changed heart.

    Attributes:
        rate_range: beats a minute of the leading pacemaker, lowest and highest.
        respiration: relative swing of the RR interval with breathing.
        pr_ms, qrs_ms, qtc_ms: intervals; QTc after Fridericia.
        p, p_ms: shape of the sinus P wave, and its duration.
        premature_p: shape of an ectopic P wave.
        qrs: shape of the conducted QRS, stretched to `qrs_ms` in the end.
        late_qrs: what a blocked right bundle adds at its end; the axis is that of `qrs` alone, as readers take it.
        axis_deg: frontal axis the conducted QRS is turned to, or None to leave it as it is.
        discordance: part of the mean QRS vector that the T wave opposes (secondary changes).
        t_vector: [3] T wave in mV, before it follows the axis.
        t_width, t_symmetry: breadth of T against normal; 1 in symmetry makes both limbs alike.
        st_vector: [3] displacement of the ST segment in mV; pr_vector: [3] of the PR segment.
        premature_qrs: shape of a ventricular ectopic beat.
        voltage: factor on all QRS, T and P.
        rhythm, conduct, ectopy: when the atria beat, what the AV node passes, what comes in between.
        premature_atrial: "" or "occasional" or "bigeminy".
        spikes: whether a pacemaker's spike precedes each conducted QRS.
        electrodes: [9, 3] what each electrode sees of the heart.
        t_electrodes, p_electrodes: [9, 3] the same of ST and T and of P, f and F waves; None where they are seen as QRS is.
        overlap: how much larger a QRS of many pulses is than its largest pulse.
        steepness: factor on the widths of the QRS pulses that are broader than `BROAD_PULSE`.
    """

    rate_range: tuple[float, float]
    respiration: float
    pr_ms: float
    qrs_ms: float
    qtc_ms: float
    p: Wave
    p_ms: float
    premature_p: Wave
    qrs: Wave
    axis_deg: float | None
    t_vector: Array
    premature_qrs: Wave
    premature_qrs_ms: float
    electrodes: Array
    late_qrs: Wave | None = None
    discordance: float = 0.0
    t_width: float = 1.0
    t_symmetry: float = 0.0
    st_vector: Array = field(default_factory=no_vector)
    pr_vector: Array = field(default_factory=no_vector)
    voltage: float = 1.0
    rhythm: Rhythm = sinus
    conduct: Conduct = steady
    ectopy: tuple[Ectopy, ...] = ()
    premature_atrial: str = ""
    spikes: bool = False
    t_electrodes: Array | None = None
    p_electrodes: Array | None = None
    overlap: float = 1.0
    steepness: float = 1.0

    @property
    def views(self) -> Array:
        """[9, 3] or [9, 9]: what electrodes see of the pulses; of QRS, T and P apart where they are seen differently."""
        if self.t_electrodes is None or self.p_electrodes is None:
            return self.electrodes
        return np.concatenate([self.electrodes, self.t_electrodes, self.p_electrodes], axis=1)

    @property
    def size(self) -> float:
        """The largest component of the QRS, mV."""
        return self.overlap * float(np.abs(self.qrs.vector).max())


@dataclass(frozen=True)
class Person:
    """Whom the record is of: age in years, sex, and the healthy heart in that chest."""

    key: int
    age: float
    sex: str
    heart: Heart


def varied(shape: Wave, rng: Generator, amount: float) -> Wave:
    """The same wave in another person: vectors, times and widths differ by about `amount`."""
    strength = 1 + amount * rng.standard_normal((shape.pulses, 1)).clip(-2, 2)
    sideways = 0.5 * amount * rng.standard_normal((shape.pulses, 3)) * np.abs(shape.vector).max(axis=1, keepdims=True)
    width = 1 + 0.5 * amount * rng.standard_normal(shape.pulses).clip(-2, 2)
    drift = 0.25 * amount * rng.standard_normal(shape.pulses).clip(-2, 2) * (shape.left + shape.right)
    return Wave(
        shape.centre + drift, shape.left * width, shape.right * width, shape.vector * strength + sideways, shape.flat.copy()
    )


#: Septum, apex, free walls, base of the left ventricle and the last, high parts: r in V1, R in V5, S in V2.
NORMAL_QRS = wave(
    (13, 5.5, (-0.12, -0.05, -0.18)),
    (27, 7.5, (0.45, 0.40, -0.38)),
    (42, 9.0, (1.05, 0.72, 0.30)),
    (58, 8.5, (0.12, 0.02, 0.76)),
    (71, 6.0, (-0.14, -0.10, 0.16)),
)

#: Right atrium towards the front and feet, then the left atrium towards the left and back.
NORMAL_P = wave((36, 15, (0.020, 0.080, -0.045)), (62, 17, (0.060, 0.065, 0.035)))

#: From the low or the left atrium: small, turned over below.
ECTOPIC_P = wave((32, 14, (0.05, -0.035, -0.04)), (52, 15, (0.02, -0.06, 0.02)))


def ventricular_qrs(rng: Generator) -> Wave:
    """A QRS that starts in muscle: slow, broad, from the right ventricle (like LBBB) or the left (like RBBB)."""
    size = rng.uniform(1.5, 2.0)
    down = rng.uniform(-0.75, 0.9)
    side, depth = (rng.uniform(0.45, 0.85), rng.uniform(0.5, 0.9)) if rng.random() < 0.6 else (-0.5, -0.75)
    main = np.array([side, down, depth])
    early = np.array([0.35 * side, 0.6 * down, 0.2 * depth + 0.05])
    late = np.array([0.7 * side, 0.35 * down, 0.8 * depth])
    return wave((32, 15, tuple(early)), (68, 19, tuple(size * 0.85 * main)), (103, 18, tuple(size * 0.6 * late)))


def _rates(rng: Generator) -> tuple[float, float]:
    """Resting sinus rate of a person: what two records of one day may lie between."""
    centre = float(np.clip(rng.normal(74, 8), 65, 90))
    return centre - 3, centre + 3


def person(key: int) -> Person:
    """The person with this number: the same age, chest and healthy heart every time."""
    rng = np.random.default_rng([key, 0x5EED])
    age = float(np.clip(rng.normal(60, 17), 18, 95).round())
    sex = "female" if rng.random() < 0.5 else "male"
    frame = 1.0 if sex == "male" else 0.9
    size = frame * float(np.clip(np.exp(0.13 * rng.standard_normal()), 0.78, 1.25))
    lie = rotation(1, rng.normal(0, 7)) @ rotation(0, rng.normal(0, 5))
    qrs = varied(NORMAL_QRS, rng, 0.10).turned(lie).scaled(size)
    p = varied(NORMAL_P, rng, 0.10).scaled(float(np.exp(0.15 * rng.standard_normal())))
    t_size = size * float(np.clip(np.exp(0.18 * rng.standard_normal()), 0.7, 1.45))
    t_vector = t_size * (np.array([0.31, 0.24, -0.15 if sex == "male" else -0.09]) + 0.02 * rng.standard_normal(3))
    heart = Heart(
        rate_range=_rates(rng),
        respiration=float(np.clip(0.055 - 0.0005 * age + 0.006 * rng.standard_normal(), 0.008, 0.05)),
        pr_ms=float(np.clip(rng.normal(156, 15), 128, 188)),
        qrs_ms=float(np.clip(rng.normal(93 if sex == "male" else 87, 6), 76, 106)),
        qtc_ms=float(np.clip(rng.normal(408 if sex == "male" else 418, 13), 378, 440)),
        p=p,
        p_ms=float(rng.uniform(96, 112)),
        premature_p=varied(ECTOPIC_P, rng, 0.15),
        qrs=qrs,
        axis_deg=float(np.clip(rng.normal(58 - 0.5 * (age - 50), 22), -18, 82)),
        t_vector=t_vector,
        premature_qrs=ventricular_qrs(rng).scaled(size),
        premature_qrs_ms=float(rng.uniform(135, 165)),
        electrodes=electrode_vectors(rng.normal(0, 0.13, 6).clip(-0.3, 0.3), np.exp(0.07 * rng.standard_normal(6))),
    )
    return Person(key, age, sex, heart)
