"""By wall of the left ventricle: ischaemia, subendocardial injury, inverted T waves, and infarcts that span two walls.

Drawn only where a domain says so (`conditions.EXTENDED`). Each is a change along the direction in which the wall lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.conditions.infarction import ANTERIOR, INFERIOR, LATERAL, Wall, old
from cmelt.simulation.heart import Heart
from cmelt.simulation.wave import wave

Array = NDArray[np.float64]
Change = Callable[[Heart, Generator], Heart]


@dataclass(frozen=True)
class Region:
    """Where something is seen: its name, the direction in which it lies (x left, y to the feet, z back), its leads in words."""

    name: str
    towards: tuple[float, float, float]
    leads: str

    @property
    def unit(self) -> Array:
        """[3] the direction, of length 1."""
        return np.array(self.towards) / float(np.linalg.norm(self.towards))


REGIONS: tuple[Region, ...] = (
    Region("anteroseptal", (0.05, 0.05, -1.0), "V1 to V3"),
    Region("anterior", (0.40, 0.0, -0.92), "V2 to V4"),
    Region("anterolateral", (0.95, -0.05, -0.25), "I and V3 to V6"),
    Region("lateral", (0.95, -0.30, 0.05), "I, aVL, V5 and V6"),
    Region("inferior", (0.0, 1.0, 0.10), "II, III and aVF"),
    Region("inferolateral", (0.75, 0.65, -0.05), "II, aVF, V5 and V6"),
)

ANTEROSEPTAL = Wall(
    "anteroseptal",
    (0.0, -0.02, -0.20),
    ((13, 6.5, (0.02, 0.02, 0.34)), (27, 8, (-0.05, -0.02, 0.58))),
    (-0.04, 0.0, 0.26),
    "V1 to V3",
    "V6",
)


def turned_away(vector: Array, unit: Array, depth: float) -> Array:
    """The vector with what it has along `unit` replaced by `depth` mV away from it."""
    return np.asarray(vector - (vector @ unit + depth) * unit)


def ischaemia(region: Region, heart: Heart, rng: Generator) -> Heart:
    """ST somewhat down over the wall, T flat or turned over there."""
    st = -float(rng.uniform(0.06, 0.15)) * region.unit
    t_vector = turned_away(0.8 * heart.t_vector, region.unit, float(rng.uniform(0.0, 0.2)))
    return replace(heart, st_vector=0.5 * heart.st_vector + st, t_vector=t_vector)


def injury(region: Region, heart: Heart, rng: Generator) -> Heart:
    """ST well down over the wall; T less so."""
    st = -float(rng.uniform(0.16, 0.30)) * region.unit
    return replace(heart, st_vector=0.3 * heart.st_vector + st, t_vector=0.7 * heart.t_vector + 0.4 * st)


def inverted(region: Region, heart: Heart, rng: Generator) -> Heart:
    """T turned over in the leads of the wall, ST in place."""
    return replace(heart, t_vector=turned_away(heart.t_vector, region.unit, float(rng.uniform(0.12, 0.32))), t_symmetry=0.6)


def of_two_walls(first: Wall, second: Wall, share: float, heart: Heart, rng: Generator) -> Heart:
    """Q waves and T changes of both walls, each smaller than alone."""
    heart = old(first.lessened(share, share), heart, rng)
    return old(second.lessened(share, share), heart, rng)


def posterior(heart: Heart, rng: Generator) -> Heart:
    """The mirror image in front: tall R and upright T in V1 to V3."""
    front = wave((25, 8, (0.0, 0.0, -0.45)), (44, 11, (-0.05, 0.0, -0.60))).scaled(
        heart.size / 1.05 * float(rng.uniform(0.9, 1.2))
    )
    return replace(heart, qrs=heart.qrs.plus(front), t_vector=heart.t_vector + np.array([0.0, 0.0, -0.16]))


def aneurysm(heart: Heart, rng: Generator) -> Heart:
    """ST stays raised over the anterior scar."""
    heart = old(ANTERIOR, heart, rng)
    st = float(rng.uniform(0.8, 1.3)) * np.array(ANTERIOR.injury)
    return replace(heart, st_vector=heart.st_vector + st, t_vector=0.7 * heart.t_vector)


_ST_EXCLUDES = ("infarction", "fast", "broad", "pre-excitation", "hypertrophy", "voltage-loss", "flutter", "ventricular-origin")


def _st(kind: str, region: Region) -> Condition:
    name, where = region.name, region.leads
    words = {
        "ischaemia": Wording(
            (f"{name} st-t changes, possible myocardial ischemia", f"st and t wave abnormality, {name} ischemia"),
            (f"{name} ischaemia", f"ST and T changes of {name} ischaemia", f"ischaemic ST-T changes in {where}"),
            (f"{name} ischemia", f"ST-T {where}"),
            (f"depressed ST and flat or inverted T waves in {where}",),
        ),
        "injury": Wording(
            (f"{name} subendocardial injury", f"marked st depression, {name} subendocardial injury"),
            (f"{name} subendocardial injury", f"marked ST depression in {where}"),
            (f"{name} subendocardial injury",),
            (f"ST depression of more than 0.15 mV in {where}",),
        ),
        "t-inversion": Wording(
            (f"{name} t wave inversion", f"t wave abnormality, inverted t waves in {where}"),
            (f"{name} T wave inversion", f"inverted T waves in {where}"),
            (f"{name} TWI", f"T neg. {where}"),
            (f"negative T waves in {where}",),
        ),
    }
    held_out = {
        "ischaemia": (
            f"{name} wall short of blood, ST-T changed",
            f"ischaemic changes over the {name} wall",
            f"{name} region ischaemic",
        ),
        "injury": (
            f"inner layer injured, {name}",
            f"subendocardium of the {name} wall injured",
            f"deep ST sinking, {name} region",
        ),
        "t-inversion": (
            f"T turned over, {name}",
            f"negative T over the {name} wall",
            f"{name} region with inverted repolarization",
        ),
    }
    change = {"ischaemia": ischaemia, "injury": injury, "t-inversion": inverted}[kind]
    return Condition(
        f"{name}-{kind}",
        partial(change, region),
        words[kind],
        held_out[kind],
        slot="acute-st",
        tags=("abnormal", "repolarisation", "t-wave"),
        excludes=_ST_EXCLUDES,
        weight=1.0,
        episodic=True,
    )


_OLD: dict[str, tuple[Change, str, tuple[str, ...]]] = {
    "anteroseptal": (partial(old, ANTEROSEPTAL), "V1 to V3", ("anterior-wall",)),
    "anterolateral": (partial(of_two_walls, ANTERIOR, LATERAL, 0.75), "I, aVL and V2 to V6", ("anterior-wall", "lateral-wall")),
    "inferolateral": (
        partial(of_two_walls, INFERIOR, LATERAL, 0.75),
        "II, III, aVF, V5 and V6",
        ("inferior-wall", "lateral-wall"),
    ),
    "posterior": (posterior, "V1 to V3 as tall R", ()),
}


def _old(name: str) -> Condition:
    change, leads, walls = _OLD[name]
    seen = "tall R waves in V1 to V3" if name == "posterior" else f"pathological Q waves in {leads}"
    return Condition(
        f"old-{name}-infarction",
        change,
        Wording(
            (f"old {name} myocardial infarction", f"{name} infarct - age undetermined", f"possible old {name} infarct"),
            (f"an old {name} myocardial infarction", f"a previous {name} infarction", f"a scar of the {name} wall"),
            (f"old {name} MI", f"prior {name} MI"),
            (seen,),
        ),
        (f"{name} scar after an infarct", f"{name} region infarcted long ago", f"healed infarct, {name} region"),
        tags=("abnormal", "infarction", *walls),
        excludes=("left-bundle-branch-block", "anterior-wall", "inferior-wall", "lateral-wall", "hypertrophy", "bundle"),
        weight=2.0,
    )


ANEURYSM = Condition(
    "ventricular-aneurysm",
    aneurysm,
    Wording(
        (
            "st elevation persisting after infarction, ventricular aneurysm",
            "anterior st elevation, consider ventricular aneurysm",
        ),
        ("a ventricular aneurysm", "persisting ST elevation over an anterior scar"),
        ("LV aneurysm", "aneurysm"),
        ("ST elevation over old anterior Q waves",),
    ),
    ("aneurysm of the left ventricle", "bulging scar with raised ST segments", "ST stays raised long after anterior infarct"),
    slot="acute-st",
    tags=("abnormal", "repolarisation", "infarction"),
    excludes=(
        "inferior-wall",
        "lateral-wall",
        "broad",
        "pre-excitation",
        "hypertrophy",
        "t-wave",
        "flutter",
        "old-anteroseptal-infarction",
    ),
    implies=("old-anterior-infarction",),
    weight=1.0,
)

INFARCTS: tuple[Condition, ...] = tuple(_old(name) for name in _OLD)
ST_AND_T: tuple[Condition, ...] = (
    ANEURYSM,
    *(_st("ischaemia", r) for r in REGIONS),
    *(_st("injury", r) for r in REGIONS if r.name in ("anteroseptal", "anterolateral", "inferior")),
    *(_st("t-inversion", r) for r in REGIONS if r.name in ("anteroseptal", "anterolateral", "lateral", "inferior")),
)
