"""Infarction: ST elevation with its reciprocal depression when acute, Q waves and turned-over T waves when old.

One dipole makes both: what points towards the injured wall points away from the opposite one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.random import Generator

from cmelt.simulation.complexes import aligned, kept_axis
from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.heart import Heart
from cmelt.simulation.wave import wave


@dataclass(frozen=True)
class Wall:
    """A wall of the left ventricle.

    Attributes:
        name: "anterior", "inferior" or "lateral".
        injury: [3] unit ST vector towards it, in mV of the leads that face it.
        lost: pulses (ms, ms, mV) that the QRS has for want of that wall: away from it, early.
        t_lost: [3] T wave away from it when it is scarred.
        leads, opposite: the leads that face it and those that see the reverse, in words.
    """

    name: str
    injury: tuple[float, float, float]
    lost: tuple[tuple[float, float, tuple[float, float, float]], ...]
    t_lost: tuple[float, float, float]
    leads: str
    opposite: str

    def lessened(self, qrs: float, t: float) -> Wall:
        """The wall with these shares of what its scar takes from QRS and from T."""
        lost = tuple((at, width, (qrs * x, qrs * y, qrs * z)) for at, width, (x, y, z) in self.lost)
        x, y, z = self.t_lost
        return replace(self, lost=lost, t_lost=(t * x, t * y, t * z))


ANTERIOR = Wall(
    "anterior",
    (0.080, -0.090, -0.185),
    ((13, 6.5, (0.06, 0.03, 0.30)), (28, 9, (-0.22, -0.06, 0.66))),
    (-0.34, -0.02, 0.36),
    "V1 to V4",
    "inferior leads",
)
INFERIOR = Wall(
    "inferior",
    (-0.050, 0.215, 0.035),
    ((15, 7, (0.10, -0.36, 0.05)), (30, 10, (0.06, -0.62, 0.10))),
    (0.02, -0.44, 0.02),
    "II, III and aVF",
    "I and aVL",
)
LATERAL = Wall(
    "lateral",
    (0.260, -0.085, 0.060),
    ((15, 7, (-0.34, 0.06, -0.02)), (30, 9, (-0.62, 0.12, -0.05))),
    (-0.52, 0.0, -0.06),
    "I, aVL, V5 and V6",
    "III and aVF",
)


def acute(wall: Wall, heart: Heart, rng: Generator) -> Heart:
    """ST elevation over the wall, large T waves, small Q waves; depression opposite."""
    heart, axis = aligned(heart), heart.axis_deg
    injury = np.array(wall.injury) * float(rng.uniform(1.0, 1.8))
    q = wave(*wall.lost).scaled(float(rng.uniform(0.15, 0.45)))
    return replace(
        heart,
        st_vector=heart.st_vector + injury,
        t_vector=0.6 * heart.t_vector + 0.9 * injury,
        qrs=heart.qrs.plus(q),
        axis_deg=kept_axis(heart.qrs.plus(q), axis, heart),
    )


def old(wall: Wall, heart: Heart, rng: Generator) -> Heart:
    """Broad Q waves over the wall, R waves lost, T waves flat or turned over."""
    heart, axis = aligned(heart), heart.axis_deg
    size = heart.size / 1.05
    q = wave(*wall.lost).scaled(size * float(rng.uniform(1.0, 1.3)))
    turned = float(rng.uniform(0.5, 1.1))
    qrs = heart.qrs.plus(q)
    t_vector = heart.t_vector + turned * np.array(wall.t_lost)
    return replace(heart, qrs=qrs, t_vector=t_vector, axis_deg=kept_axis(qrs, axis, heart))


def _acute(wall: Wall) -> Condition:
    name = wall.name
    return Condition(
        f"acute-{name}-infarction",
        partial(acute, wall),
        Wording(
            (
                f"acute {name} myocardial infarction",
                f"{name} st segment elevation, acute {name} myocardial infarction",
                f"{name} injury, acute {name} infarct",
                f"acute {name} st segment elevation myocardial infarction",
            ),
            (
                f"an acute {name} myocardial infarction",
                f"an acute {name} STEMI",
                f"raised ST segments over the {name} wall",
                f"an acute phase {name} infarct",
                f"acute {name} infarction with reciprocal ST depression in {wall.opposite}",
            ),
            (f"{name} STEMI", f"acute {name} MI", f"acute {name} infarct"),
            (f"ST elevation in {wall.leads} with reciprocal ST depression",),
        ),
        (
            f"{name} wall infarction, acute phase",
            f"elevation of the ST segment over the {name} wall",
            f"acute injury of the {name} wall with raised ST segment",
        ),
        slot="acute-st",
        tags=("abnormal", "infarction", "repolarisation", f"{name}-wall"),
        excludes=(f"old-{name}-infarction", "flutter"),
        weight=3,
        episodic=True,
    )


def _old(wall: Wall) -> Condition:
    name = wall.name
    return Condition(
        f"old-{name}-infarction",
        partial(old, wall),
        Wording(
            (
                f"old {name} myocardial infarction",
                f"{name} infarct - age undetermined, old",
                f"{name} q waves, old {name} myocardial infarction",
                f"possible old {name} infarct",
            ),
            (
                f"an old {name} myocardial infarction",
                f"a previous {name} infarction",
                f"a healed {name} myocardial infarction",
                f"a scar of the {name} wall",
            ),
            (f"old {name} MI", f"old {name} infarct", f"prior {name} MI"),
            (f"pathological Q waves in {wall.leads} without ST elevation",),
        ),
        (
            f"{name} wall scar from a previous infarction",
            f"healed infarct of the {name} wall with Q waves",
            f"previous myocardial infarction of the {name} wall",
        ),
        tags=("abnormal", "infarction", f"{name}-wall"),
        excludes=("left-bundle-branch-block",),
        weight=2.5,
    )


CONDITIONS: tuple[Condition, ...] = tuple(make(wall) for make in (_old, _acute) for wall in (ANTERIOR, INFERIOR, LATERAL))
