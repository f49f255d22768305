"""What archives report beside the textbook's conditions: unspecific ST and T, slow conduction, voltage, Q and R waves, position.

Drawn only where a domain says so (`conditions.EXTENDED`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.random import Generator

from cmelt.simulation.complexes import axis_of
from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.conditions.conduction import left_bundle
from cmelt.simulation.conditions.infarction import INFERIOR, LATERAL, old
from cmelt.simulation.heart import ECTOPIC_P, Heart, varied
from cmelt.simulation.wave import rotation, wave


def unspecific_t(heart: Heart, rng: Generator) -> Heart:
    """T low and off its direction: flat in some leads, a little negative in others."""
    size = float(np.linalg.norm(heart.t_vector))
    stray = rng.standard_normal(3) * np.array([1.0, 0.8, 0.7])
    return replace(heart, t_vector=float(rng.uniform(0.1, 0.4)) * heart.t_vector + 0.22 * size * stray)


def low_t(heart: Heart, rng: Generator) -> Heart:
    """T low everywhere, upright still."""
    return replace(heart, t_vector=float(rng.uniform(0.12, 0.32)) * heart.t_vector)


def slight_st_depression(heart: Heart, rng: Generator) -> Heart:
    """ST down by less than 0.1 mV in some left and inferior leads."""
    away = np.array([-0.8, float(rng.uniform(-0.8, -0.1)), float(rng.uniform(-0.1, 0.3))])
    st = float(rng.uniform(0.06, 0.11)) * away / float(np.linalg.norm(away))
    return replace(heart, st_vector=0.3 * heart.st_vector + st, t_vector=float(rng.uniform(0.6, 1.0)) * heart.t_vector)


def digitalis(heart: Heart, rng: Generator) -> Heart:
    """ST sags away from the QRS, T flat, QT short, PR a little longer."""
    st = float(rng.uniform(0.07, 0.15)) * np.array([-0.80, -0.45, 0.05])
    return replace(
        heart,
        st_vector=0.2 * heart.st_vector + st,
        t_vector=0.4 * heart.t_vector + 0.5 * st,
        qtc_ms=heart.qtc_ms - float(rng.uniform(20, 45)),
        pr_ms=min(heart.pr_ms + 10, 198.0) if heart.pr_ms < 200 else heart.pr_ms,
    )


def early_repolarisation(heart: Heart, rng: Generator) -> Heart:
    """ST raised from J on in V2 to V5, T tall."""
    st = float(rng.uniform(0.12, 0.22)) * np.array([0.45, 0.35, -0.80])
    return replace(heart, st_vector=heart.st_vector + st, t_vector=1.25 * heart.t_vector + 0.6 * st)


def slow_ventricles(heart: Heart, rng: Generator) -> Heart:
    """QRS of 112 to 130 ms that is neither bundle's: slurred, notched anywhere."""
    notch = wave((float(rng.uniform(50, 75)), float(rng.uniform(5, 8)), tuple(0.22 * heart.size * rng.standard_normal(3))))
    return replace(
        heart, qrs=heart.qrs.plus(notch), qrs_ms=float(rng.uniform(112, 130)), discordance=0.12, t_vector=0.8 * heart.t_vector
    )


def incomplete_left_bundle(heart: Heart, rng: Generator) -> Heart:
    """As the complete block, narrower: no septal q, R slurred in the left leads."""
    changed = left_bundle(heart, rng)
    return replace(
        changed, qrs_ms=float(rng.uniform(108, 118)), discordance=0.22, t_vector=0.5 * heart.t_vector, qtc_ms=heart.qtc_ms + 10
    )


def left_posterior_fascicle(heart: Heart, rng: Generator) -> Heart:
    """First up and left, then down and right: rS in I and aVL, qR in III and aVF, axis beyond 95°."""
    qrs = wave(
        (14, 6.0, (0.22, -0.30, -0.14)),
        (27, 8.0, (0.20, 0.10, -0.36)),
        (45, 10.0, (-0.20, 1.00, 0.25)),
        (62, 9.0, (-0.25, 0.40, 0.60)),
    )
    qrs = varied(qrs, rng, 0.08).scaled(heart.size / 1.05)
    axis = float(np.clip(axis_of(qrs, heart.electrodes), 98, 125))
    return replace(heart, qrs=qrs, axis_deg=axis, qrs_ms=max(heart.qrs_ms, float(rng.uniform(94, 110))))


def high_voltage(heart: Heart, rng: Generator) -> Heart:
    """QRS large, ST and T as before: the voltage criterion of left ventricular hypertrophy and nothing else."""
    grow = float(rng.uniform(1.5, 1.8)) * max(1.0, min(1.1 / heart.size, 1.4))
    return replace(heart, qrs=heart.qrs.scaled((grow, 0.85 * grow, grow)), axis_deg=min(heart.axis_deg or 0.0, 50.0))


def abnormal_q(heart: Heart, rng: Generator) -> Heart:
    """Q waves below or at the side, T in place."""
    wall = INFERIOR if rng.random() < 0.65 else LATERAL
    return old(replace(wall, t_lost=(0.0, 0.0, 0.0)), heart, rng)


def poor_r_progression(heart: Heart, rng: Generator) -> Heart:
    """R stays small to V3 or V4, without Q waves."""
    back = wave((24, 8, (-0.08, 0.0, 0.22)), (36, 9, (-0.12, 0.0, 0.45))).scaled(heart.size / 1.05 * float(rng.uniform(0.8, 1.1)))
    return replace(heart, qrs=heart.qrs.plus(back))


def rotated(degrees: float, heart: Heart, rng: Generator) -> Heart:
    """The heart turned about its long axis: R overtakes S farther to the left (negative) or to the right."""
    turn = rotation(1, float(rng.uniform(0.8, 1.2)) * degrees)
    return replace(heart, qrs=heart.qrs.turned(turn))


def ectopic_atrial(heart: Heart, rng: Generator) -> Heart:
    """The atria are led from below: P negative in II, III and aVF, PR short of usual."""
    p = varied(ECTOPIC_P, rng, 0.1).scaled(float(rng.uniform(1.3, 1.8)))
    return replace(
        heart,
        p=p,
        p_ms=90.0,
        pr_ms=min(heart.pr_ms, float(rng.uniform(112, 140))),
        p_electrodes=heart.electrodes if heart.p_electrodes is not None else None,
    )


_NORMAL_QRS = ("bundle", "pre-excitation", "ventricular-origin", "third-degree-av-block")
_ST_T = ("fast", "broad", "pre-excitation", "hypertrophy", "flutter", "ventricular-origin", "infarction")


def _st_t(
    name: str, change: Callable[[Heart, Generator], Heart], wording: Wording, held_out: tuple[str, ...], weight: float
) -> Condition:
    return Condition(
        name,
        change,
        wording,
        held_out,
        slot="acute-st",
        tags=("abnormal", "repolarisation", "t-wave"),
        excludes=_ST_T,
        weight=weight,
        episodic=True,
    )


ST_AND_T: tuple[Condition, ...] = (
    _st_t(
        "nonspecific-t-changes",
        unspecific_t,
        Wording(
            ("nonspecific t wave abnormality", "nonspecific t wave changes", "t wave abnormality, nonspecific"),
            ("nonspecific T wave changes", "non-diagnostic T wave abnormalities", "T wave changes of no specific kind"),
            ("NSTWC", "nonspecific T"),
            ("flat or slightly inverted T waves in some leads",),
        ),
        ("T waves abnormal without a diagnosis", "undetermined alteration of T", "T not quite normal, meaning unclear"),
        3.0,
    ),
    _st_t(
        "low-t-waves",
        low_t,
        Wording(
            ("low t waves", "flat t waves", "t wave flattening"),
            ("low T waves", "flattened T waves", "T waves of low amplitude"),
            ("flat T", "T low"),
            ("T waves lower than a tenth of R",),
        ),
        ("T of reduced height", "flattening of all T waves", "T waves hardly rise"),
        2.0,
    ),
    _st_t(
        "nonspecific-st-depression",
        slight_st_depression,
        Wording(
            ("nonspecific st abnormality", "minor st depression", "nonspecific st-t changes"),
            ("nonspecific ST depression", "minor ST depression", "slight nonspecific ST changes"),
            ("NSST", "minor ST depr."),
            ("ST depressed by less than 0.1 mV",),
        ),
        ("ST slightly sunk, cause unclear", "unspecific sinking of ST", "ST a little below the line"),
        2.0,
    ),
    _st_t(
        "digitalis-effect",
        digitalis,
        Wording(
            ("st-t changes suggest digitalis effect", "digitalis effect", "sagging st segments, digitalis effect"),
            ("a digitalis effect", "sagging ST depression from digitalis"),
            ("dig effect", "digitalis"),
            ("scooped ST depression with a short QT",),
        ),
        ("ST like a trough from digoxin", "drug effect of glycosides on ST", "scooped segments, glycoside"),
        1.0,
    ),
    _st_t(
        "early-repolarisation",
        early_repolarisation,
        Wording(
            ("early repolarization", "st elevation, probably early repolarization", "nonspecific st elevation"),
            ("early repolarisation", "ST elevation as a normal variant"),
            ("early repol.", "ERP"),
            ("J point elevation with tall T waves in V2 to V5",),
        ),
        ("benign raised J point", "harmless ST elevation of youth", "J point lifted, variant"),
        1.0,
    ),
)

CONDUCTION: tuple[Condition, ...] = (
    Condition(
        "intraventricular-conduction-delay",
        slow_ventricles,
        Wording(
            (
                "nonspecific intraventricular conduction delay",
                "intraventricular conduction delay",
                "nonspecific intraventricular block",
            ),
            ("a nonspecific intraventricular conduction delay", "unspecific slowing of ventricular conduction"),
            ("IVCD", "NSIVCB"),
            ("a QRS wider than 110 ms of neither bundle's form",),
        ),
        ("QRS slowed, neither left nor right block", "wide QRS of undetermined form", "ventricles conduct slowly, unspecific"),
        slot="bundle",
        tags=("abnormal", "ventricular-conduction", "broad"),
        excludes=("pre-excitation", "infarction", "repolarisation", "acute-st", "voltage-loss", "hypertrophy"),
        weight=2.5,
    ),
    Condition(
        "incomplete-left-bundle-branch-block",
        incomplete_left_bundle,
        Wording(
            ("incomplete left bundle branch block", "incomplete lbbb"),
            ("an incomplete left bundle branch block", "a partial left bundle branch block"),
            ("ILBBB", "iLBBB"),
            ("slurred R waves without q in I and V6 with a QRS below 120 ms",),
        ),
        ("partial block of the left bundle", "left bundle conducts incompletely", "left bundle branch block, incomplete form"),
        slot="bundle",
        tags=("abnormal", "ventricular-conduction", "broad"),
        excludes=(
            "pre-excitation",
            "infarction",
            "chamber",
            "repolarisation",
            "acute-st",
            "left-anterior-fascicular-block",
            "voltage-loss",
            "right-axis-deviation",
        ),
        weight=1.0,
    ),
    Condition(
        "left-posterior-fascicular-block",
        left_posterior_fascicle,
        Wording(
            ("left posterior fascicular block", "posterior fascicular block, right axis deviation"),
            ("a left posterior fascicular block", "a left posterior hemiblock"),
            ("LPFB", "LPHB"),
            ("right axis with rS in aVL and qR in the inferior leads",),
        ),
        ("block of the posterior fascicle", "hemiblock, left posterior", "posterior hemiblock of the left bundle"),
        tags=("abnormal", "ventricular-conduction"),
        excludes=(
            "pre-excitation",
            "left-axis-deviation",
            "hypertrophy",
            "infarction",
            "bundle",
            "left-anterior-fascicular-block",
        ),
        implies=("right-axis-deviation",),
        weight=1.0,
    ),
)

CHAMBERS: tuple[Condition, ...] = (
    Condition(
        "high-qrs-voltage",
        high_voltage,
        Wording(
            ("high qrs voltage", "voltage criteria for lvh, may be normal variant", "moderate voltage criteria for lvh"),
            ("high QRS voltage", "voltage criteria of left ventricular hypertrophy without ST-T changes"),
            ("high voltage", "LVH voltage only"),
            ("high voltages in the chest leads with normal ST and T",),
        ),
        ("large QRS amplitudes alone", "amplitude of QRS above the limit", "QRS high, repolarization normal"),
        slot="hypertrophy",
        tags=("abnormal", "chamber"),
        excludes=("voltage-loss", "right-axis-deviation", "old-anterior-infarction", "old-lateral-infarction", "infarction"),
        weight=2.5,
    ),
    *(
        Condition(
            f"{word}-rotation",
            partial(rotated, degrees),
            Wording(
                (f"{word} rotation", f"r-s transition displaced to the {side}"),
                (f"{word} rotation of the heart", f"R-S transition displaced to the {side} in the chest leads"),
                (f"{word} rotation",),
                (f"R overtaking S {where}",),
            ),
            (f"{word} turn of the heart", f"heart turned {word}", f"transition zone shifted, {word}"),
            slot="rotation",
            tags=("abnormal", "r-progression"),
            excludes=(*_NORMAL_QRS, "infarction", "chamber", "left-anterior-fascicular-block", "left-posterior-fascicular-block"),
            weight=1.0,
        )
        for word, degrees, side, where in (
            ("clockwise", -28.0, "left", "in V5 or V6 only"),
            ("counterclockwise", 28.0, "right", "in V1 or V2 already"),
        )
    ),
)

WAVES: tuple[Condition, ...] = (
    Condition(
        "abnormal-q-waves",
        abnormal_q,
        Wording(
            ("abnormal q waves", "q waves, possible old infarct", "abnormal q wave"),
            ("abnormal Q waves", "Q waves of uncertain significance"),
            ("Q waves", "abn. Q"),
            ("Q waves deeper than a quarter of R",),
        ),
        ("QRS beginning with an unusual Q", "conspicuous Q, meaning unclear", "unusual Q deflections"),
        tags=("abnormal", "infarction"),
        excludes=("left-bundle-branch-block", "infarction", "bundle", "hypertrophy", "left-axis-deviation"),
        weight=2.0,
    ),
    Condition(
        "poor-r-wave-progression",
        poor_r_progression,
        Wording(
            ("poor r wave progression", "poor r-wave progression in anterior leads"),
            ("poor R wave progression", "delayed R wave progression in the chest leads"),
            ("PRWP", "poor R progression"),
            ("small R waves as far as V3 or V4",),
        ),
        ("R grows too slowly from V1 to V4", "R fails to grow in front", "insufficient growth of R"),
        tags=("abnormal", "r-progression"),
        excludes=("left-bundle-branch-block", "infarction", "bundle", "hypertrophy", "rotation"),
        weight=1.5,
    ),
)

RHYTHM: tuple[Condition, ...] = (
    Condition(
        "ectopic-atrial-rhythm",
        ectopic_atrial,
        Wording(
            ("ectopic atrial rhythm", "unusual p axis, possible ectopic atrial rhythm", "low atrial rhythm"),
            ("an ectopic atrial rhythm", "a low atrial rhythm"),
            ("EAR", "ectopic atrial"),
            ("negative P waves in the inferior leads before each QRS",),
        ),
        ("atria led from an ectopic focus", "low atrial pacemaker", "P of unusual axis, ectopic"),
        slot="rhythm",
        tags=("abnormal", "no-sinus"),
        excludes=("atrial-shape", "av-block", "av-dissociation", "dropped-beats", "atrial-ectopy", "pre-excitation"),
        weight=1.0,
        episodic=True,
    ),
)
