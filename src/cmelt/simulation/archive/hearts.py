"""Healthy hearts that differ as people in an archive do: QRS, ST, T, and how each electrode sees them.

What `hearts.json` holds was fitted to the normal ECGs of PTB-XL's folds 1 to 8 by scripts/fit_archive_hearts.py: the mean, how it
moves with age and sex, and the leading directions in which people differ beyond that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cmelt.simulation.complexes import axis_of
from cmelt.simulation.heart import ECTOPIC_P, Heart, Person, varied, ventricular_qrs
from cmelt.simulation.torso import DOWER, electrodes_from_leads
from cmelt.simulation.wave import VISIBLE, Wave, trace, wave

Array = NDArray[np.float64]

FILE = Path(__file__).with_name("hearts.json")

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

#: A QRS is 13 bells of one width at these times, ms from its middle, in a heart of scale 1.
CENTRES_MS: Array = np.arange(-42.0, 43.0, 7.0)
WIDTH_MS = 4.6

#: Nobody is farther from the mean than so many standard deviations in any direction.
FARTHEST = 2.3

#: In people without a deviation of the axis it lies between these, degrees.
LOWEST_AXIS, HIGHEST_AXIS = -27.0, 96.0

#: The T wave's breadth and symmetry against `complexes.T_LEFT` and `T_RIGHT`.
T_WIDTH, T_SYMMETRY = 1.28, 0.35


@dataclass(frozen=True)
class HeartModel:
    """The fitted numbers; v values a heart, k directions.

    Attributes:
        mean, per_15_years, female_less_male: [v], at 60 years and between the sexes.
        components: [k, v] one standard deviation along each direction.
    """

    mean: Array
    per_15_years: Array
    female_less_male: Array
    components: Array


def names_of_values() -> Iterator[str]:
    """What each of the v values is: logarithms of scale and size, then vectors and leads; QRS, T and ST in parts of the size."""
    yield from ("log scale", "log size")
    yield from (f"qrs {at:g} ms {axis}" for at in CENTRES_MS for axis in "xyz")
    yield from (f"lead {lead} beyond Dower {axis}" for lead in EIGHT for axis in "xyz")
    yield from (f"{name} {lead}" for name in ("t", "st", "p right", "p left") for lead in EIGHT)


@lru_cache(maxsize=1)
def heart_model() -> HeartModel:
    """The model of `hearts.json`, read once a process."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return HeartModel(*(np.array(content[name]) for name in ("mean", "per_15_years", "female_less_male", "components")))


def _onset_and_length(shape: Wave) -> tuple[float, float]:
    """When the wave becomes visible, and for how long it is, in seconds."""
    times, vector = trace(shape)
    size = np.sqrt((vector * vector).sum(axis=1))
    seen = np.flatnonzero(size > VISIBLE * size.max())
    return float(times[seen[0]]), float(times[seen[-1]] - times[seen[0]])


def _qrs(pulses: Array, scale: float) -> tuple[Wave, float]:
    """The QRS of these pulses [13, 3] in mV, begun at 0 s, and its length in ms."""
    centre = CENTRES_MS / 1000 * scale
    width = np.full(len(centre), WIDTH_MS / 1000 * scale)
    shape = Wave(centre, width, width, pulses, np.zeros(len(centre), dtype=bool))
    onset, length = _onset_and_length(shape)
    return shape.shifted(-onset), 1000 * length


def _values(rng: Generator, age: float, female: bool) -> Array:
    """[v] of one person."""
    model = heart_model()
    away = rng.standard_normal(len(model.components)).clip(-FARTHEST, FARTHEST)
    centre = model.mean + (age - 60) / 15 * model.per_15_years + (0.5 if female else -0.5) * model.female_less_male
    return np.asarray(centre + away @ model.components)


def _views_of(views: Array, leads: Array) -> tuple[Array, Array]:
    """The lead vectors [8, 3] corrected until a wave of m parts shows as it does, `leads` [m, 8]; and its vectors [m, 3].

    T and P do not look from the electrodes as QRS does: they are spread otherwise through the heart.
    """
    vectors = leads @ np.linalg.pinv(DOWER).T
    lever = vectors @ vectors.T
    lever = lever + 0.03 * np.trace(lever) / len(lever) * np.eye(len(lever))
    return views + (leads - vectors @ views.T).T @ np.linalg.solve(lever, vectors), vectors


def _p_wave(vectors: Array, rng: Generator) -> Wave:
    """A P wave of right and left atrium that has `vectors` [2, 3] 16 ms before and after its middle; atria overlap by a fifth."""
    right, left = np.array([[1.07, -0.23], [-0.23, 1.07]]) @ vectors
    shape = wave((36, 16, (0.0, 0.0, 0.0)), (62, 17, (0.0, 0.0, 0.0)))
    shape = Wave(shape.centre, shape.left, shape.right, np.stack([right, left]), shape.flat)
    return varied(shape, rng, 0.08)


def archive_person(key: int) -> Person:
    """The person with this number, as archives have them: half of them beyond 62 years."""
    rng = np.random.default_rng([key, 0xA2C])
    age = float(np.clip(rng.normal(62, 16), 18, 95).round())
    female = bool(rng.random() < 0.48)
    log_scale, log_size, *rest = _values(rng, age, female)
    size, scale = float(np.exp(np.clip(log_size, -0.9, 1.1))), float(np.exp(np.clip(log_scale, -0.25, 0.45)))
    pulses, views = np.array(rest[:39]).reshape(13, 3), DOWER + np.array(rest[39:63]).reshape(8, 3)
    t, st, p_right, p_left = np.array(rest[63:]).reshape(4, 8)  # what the leads show
    electrodes = electrodes_from_leads(views)
    qrs, qrs_ms = _qrs(size * pulses, scale)
    t_views, (t_vector,) = _views_of(views, size * t[None])
    p_views, p_vectors = _views_of(views, np.stack([p_right, p_left]))
    st_vector = np.linalg.pinv(t_views) @ (size * st)
    largest = float(np.abs(qrs.vector).max())
    _, vector = trace(qrs)
    centre_rate = float(np.clip(rng.normal(71, 10), 63.5, 94))
    heart = Heart(
        rate_range=(centre_rate - 3, centre_rate + 3),
        respiration=float(np.clip(0.065 - 0.0005 * age + 0.016 * rng.standard_normal(), 0.006, 0.075)),
        pr_ms=float(np.clip(rng.normal(150 + 0.2 * age, 18), 124, 197)),
        qrs_ms=qrs_ms,
        qtc_ms=float(np.clip(rng.normal(402 if female else 393, 17), 360, 440)),
        p=_p_wave(p_vectors, rng),
        p_ms=float(rng.uniform(98, 122)),
        premature_p=varied(ECTOPIC_P, rng, 0.2),
        qrs=qrs,
        axis_deg=float(np.clip(axis_of(qrs, electrodes), LOWEST_AXIS, HIGHEST_AXIS)),
        t_vector=t_vector,
        t_width=T_WIDTH,
        t_symmetry=T_SYMMETRY,
        st_vector=st_vector,
        premature_qrs=ventricular_qrs(rng).scaled(size),
        premature_qrs_ms=float(rng.uniform(125, 160)),
        electrodes=electrodes,
        t_electrodes=electrodes_from_leads(t_views),
        p_electrodes=electrodes_from_leads(p_views),
        overlap=float(np.abs(vector).max()) / largest,
        steepness=float(rng.uniform(0.62, 0.8)),
    )
    return Person(key, age, "female" if female else "male", replace(heart))
