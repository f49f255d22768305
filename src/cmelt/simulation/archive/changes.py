"""Conditions as archives have them: milder and more mixed than the textbook's clear cases.

Each takes the place of the textbook's change in the archive domain. How far they go was set by comparing amplitudes of QRS, ST
and T with those of PTB-XL's records of the same statements (folds 1 to 8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from cmelt.simulation.complexes import axis_of
from cmelt.simulation.conditions.chambers import left_ventricle as thick_left_ventricle
from cmelt.simulation.conditions.conduction import right_bundle
from cmelt.simulation.conditions.infarction import ANTERIOR, INFERIOR, LATERAL, Wall, old
from cmelt.simulation.conditions.repolarisation import st_depression
from cmelt.simulation.conditions.rhythm import atrial_fibrillation
from cmelt.simulation.conditions.unspecific import slow_ventricles
from cmelt.simulation.conditions.walls import ANTEROSEPTAL, REGIONS, Region, turned_away
from cmelt.simulation.heart import Heart, varied
from cmelt.simulation.wave import wave

Change = Callable[[Heart, Generator], Heart]


#: R is lost below as well as Q gained: a third, later pulse.
_INFERIOR = replace(INFERIOR, lost=(*INFERIOR.lost, (46, 11, (0.0, -0.30, 0.0))))

#: The start of r in V1 is left; what is lost lies later and farther to the left.
_ANTEROSEPTAL = replace(
    ANTEROSEPTAL, lost=((13, 6.5, (0.0, 0.02, 0.18)), (27, 8, (-0.10, 0.0, 0.52)), (42, 10, (-0.30, 0.0, 0.42)))
)


def scarred(walls: tuple[Wall, ...], heart: Heart, rng: Generator) -> Heart:
    """An old infarct of these walls: Q waves of any size, T hardly changed in most."""
    for wall in walls:
        lost = float(rng.uniform(0.6, 1.1))
        if wall is _INFERIOR:  # what is left points less down, so that a smaller Q shows
            lost *= 0.65
            heart = replace(heart, qrs=heart.qrs.scaled((0.9, float(rng.uniform(0.2, 0.6)), 1.0)))
        heart = old(wall.lessened(lost, float(rng.uniform(0.0, 0.6) ** 1.5)), heart, rng)
    return replace(heart, t_vector=float(rng.uniform(0.5, 0.95)) * heart.t_vector)


def incomplete_right_bundle(heart: Heart, rng: Generator) -> Heart:
    """A small r' in V1, S in V6 hardly deeper."""
    changed = right_bundle(False, heart, rng)
    late = None if changed.late_qrs is None else changed.late_qrs.scaled(float(rng.uniform(0.3, 0.7)))
    return replace(changed, late_qrs=late, qrs_ms=heart.qrs_ms + float(rng.uniform(6, 16)))


def right_bundle_branch(heart: Heart, rng: Generator) -> Heart:
    """R' in V1 that takes the place of S; S in I and V6 broad but not deep."""
    late = wave((62, 14, (-0.34, -0.06, -0.85)), (92, 14, (-0.20, 0.02, -0.62)))
    changed = right_bundle(True, heart, rng)
    return replace(
        changed,
        qrs=changed.qrs.scaled(0.8),
        late_qrs=varied(late, rng, 0.15).scaled(heart.size * float(rng.uniform(0.75, 1.15))),
        qrs_ms=float(rng.uniform(118, 148)),
    )


def anterior_fascicle(heart: Heart, rng: Generator) -> Heart:
    """First down, then left, last up and to the back: S to V6, a QRS only a little longer than it was."""
    qrs = wave(
        (14, 6.0, (-0.10, 0.25, -0.16)),
        (27, 8.0, (0.40, 0.20, -0.36)),
        (43, 10.0, (1.15, -0.45, 0.15)),
        (60, 9.0, (-0.05, -0.60, 0.60)),
        (74, 7.0, (-0.30, -0.25, 0.25)),
    )
    qrs = varied(qrs, rng, 0.15).scaled(0.75 * heart.size / 1.05)
    axis = float(np.clip(axis_of(qrs, heart.electrodes) + rng.normal(0, 12), -80, -40))
    return replace(heart, qrs=qrs, axis_deg=axis, qrs_ms=heart.qrs_ms + float(rng.uniform(0, 14)))


def left_ventricle(heart: Heart, rng: Generator) -> Heart:
    """The textbook's hypertrophy, part of the way."""
    changed, share = thick_left_ventricle(heart, rng), float(rng.uniform(0.3, 0.85))
    grow = float(np.abs(changed.qrs.vector).max() / np.abs(heart.qrs.vector).max())
    return replace(changed, qrs=changed.qrs.scaled((1 + share * (grow - 1)) / grow))


def low_voltage(heart: Heart, rng: Generator) -> Heart:
    """Limb leads at or below 0.5 mV, chest leads lower than usual."""
    return replace(heart, voltage=heart.voltage * min(float(rng.uniform(0.48, 0.68)) / heart.size, 0.8))


def fibrillating(heart: Heart, rng: Generator) -> Heart:
    """The ventricles mostly between 65 and 120 a minute, T low as in the old and ill."""
    centre = float(np.clip(rng.normal(88, 22), 55, 140))
    t_vector = float(rng.uniform(0.3, 1.0)) * heart.t_vector
    return replace(atrial_fibrillation(heart, rng), rate_range=(centre - 6, centre + 6), t_vector=t_vector)


def slow_conduction(heart: Heart, rng: Generator) -> Heart:
    """The unspecific delay, a QRS of 100 to 122 ms."""
    changed = slow_ventricles(heart, rng)
    return replace(changed, qrs_ms=float(rng.uniform(100, 122)), t_vector=float(rng.uniform(0.2, 0.9)) * heart.t_vector)


def left_bundle(heart: Heart, rng: Generator) -> Heart:
    """Deep, steep S in V1 to V3 from early on; broad R of middling height in I and V6, ST and T opposed."""
    qrs = wave(
        (14, 7, (0.12, 0.10, -0.08)),
        (38, 11, (0.40, 0.24, 0.70)),
        (58, 11, (0.46, 0.25, 1.20)),
        (82, 12, (0.60, 0.30, 1.00)),
        (106, 12, (0.52, 0.20, 0.45)),
        (126, 10, (0.14, 0.05, 0.10)),
    )
    axis = 0.0 if heart.axis_deg is None else heart.axis_deg
    return replace(
        heart,
        qrs=varied(qrs, rng, 0.15).scaled(heart.size / 1.05 * float(rng.uniform(0.85, 1.3))),
        qrs_ms=float(rng.uniform(128, 162)),
        axis_deg=float(np.clip(axis, -29, 55)) if axis >= -30 else axis,
        discordance=float(rng.uniform(0.38, 0.6)),
        t_vector=0.25 * heart.t_vector,
        qtc_ms=heart.qtc_ms + 30,
    )


def unspecific_t(heart: Heart, rng: Generator) -> Heart:
    """T half as high, off its direction."""
    size = float(np.linalg.norm(heart.t_vector))
    stray = rng.standard_normal(3) * np.array([1.0, 0.7, 0.5])
    st = float(rng.uniform(0.0, 0.05)) * np.array([-0.8, -0.4, 0.1])
    return replace(
        heart, t_vector=float(rng.uniform(0.2, 0.6)) * heart.t_vector + 0.2 * size * stray, st_vector=0.7 * heart.st_vector + st
    )


def ischaemia(region: Region, heart: Heart, rng: Generator) -> Heart:
    """ST slightly down over the wall, T low, flat or turned over there."""
    st = -float(rng.uniform(0.02, 0.11)) * region.unit
    t_vector = turned_away(0.85 * heart.t_vector, region.unit, float(rng.uniform(-0.15, 0.17)))
    return replace(heart, st_vector=0.7 * heart.st_vector + st, t_vector=t_vector)


def slight_ischaemia(heart: Heart, rng: Generator) -> Heart:
    """The textbook's ST depression, half as deep."""
    changed = st_depression(heart, rng)
    share = float(rng.uniform(0.35, 0.85))
    return replace(
        heart,
        st_vector=(1 - share) * heart.st_vector + share * changed.st_vector,
        t_vector=(1 - share) * heart.t_vector + share * changed.t_vector,
    )


#: By the condition's name.
ARCHIVE_CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "old-anterior-infarction": partial(scarred, (ANTERIOR,)),
        "old-inferior-infarction": partial(scarred, (_INFERIOR,)),
        "old-lateral-infarction": partial(scarred, (LATERAL,)),
        "old-anteroseptal-infarction": partial(scarred, (_ANTEROSEPTAL,)),
        "old-anterolateral-infarction": partial(scarred, (ANTERIOR, LATERAL)),
        "old-inferolateral-infarction": partial(scarred, (_INFERIOR, LATERAL)),
        "incomplete-right-bundle-branch-block": incomplete_right_bundle,
        "left-anterior-fascicular-block": anterior_fascicle,
        "left-bundle-branch-block": left_bundle,
        "right-bundle-branch-block": right_bundle_branch,
        "intraventricular-conduction-delay": slow_conduction,
        "left-ventricular-hypertrophy": left_ventricle,
        "low-voltage": low_voltage,
        "atrial-fibrillation": fibrillating,
        "nonspecific-t-changes": unspecific_t,
        "ischaemic-st-depression": slight_ischaemia,
        **{f"{region.name}-ischaemia": partial(ischaemia, region) for region in REGIONS},
    }
)
