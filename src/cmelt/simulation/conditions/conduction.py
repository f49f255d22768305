"""Conduction: AV block of three degrees, bundle branch and fascicular block, pre-excitation."""

# ruff: noqa: ARG001 (every change takes the same arguments, used or not)

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.random import Generator

from cmelt.simulation.complexes import axis_of
from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.heart import Heart, varied, ventricular_qrs
from cmelt.simulation.timeline import dissociated, mobitz, wenckebach
from cmelt.simulation.wave import wave


def first_degree(heart: Heart, rng: Generator) -> Heart:
    """PR from 215 to 320 ms; shorter where the rate leaves less room."""
    fast = heart.rate_range[1] > 100
    return replace(heart, pr_ms=float(rng.uniform(212, 228) if fast else rng.uniform(216, 310)))


def second_degree_wenckebach(heart: Heart, rng: Generator) -> Heart:
    """PR lengthens until a beat is dropped."""
    return replace(heart, conduct=wenckebach, pr_ms=float(rng.uniform(160, 195)), respiration=0.01)


def second_degree_mobitz(heart: Heart, rng: Generator) -> Heart:
    """Beats dropped at constant PR."""
    return replace(heart, conduct=mobitz, respiration=0.01)


def third_degree(heart: Heart, rng: Generator) -> Heart:
    """P waves march through a slow escape rhythm, narrow from the junction or broad from a ventricle."""
    atrial = rng.uniform(74, 95)
    heart = replace(heart, rate_range=(atrial - 4, atrial + 4), respiration=0.01)
    if heart.qrs_ms > 110 or rng.random() < 0.55:
        return replace(heart, conduct=partial(dissociated, (38, 50)))
    return replace(
        heart,
        conduct=partial(dissociated, (28, 40)),
        qrs=ventricular_qrs(rng),
        late_qrs=None,
        qrs_ms=float(rng.uniform(135, 160)),
        axis_deg=None,
        discordance=0.35,
        t_vector=0.3 * heart.t_vector,
    )


def _size(heart: Heart) -> float:
    """How large this person's QRS is against the average one."""
    return heart.size / 1.05


def left_bundle(heart: Heart, rng: Generator) -> Heart:
    """No septal q; the left ventricle late and from the right: broad notched R in I and V6, rS in V1, ST-T opposed."""
    qrs = wave(
        (18, 9, (0.16, 0.14, -0.10)),
        (46, 15, (0.62, 0.36, 0.50)),
        (72, 12, (0.50, 0.26, 0.78)),
        (98, 14, (0.85, 0.34, 0.72)),
        (120, 10, (0.20, 0.05, 0.22)),
    )
    axis = 0.0 if heart.axis_deg is None else heart.axis_deg
    return replace(
        heart,
        qrs=varied(qrs, rng, 0.06).scaled(_size(heart) * float(rng.uniform(0.95, 1.25))),
        qrs_ms=float(rng.uniform(130, 166)),
        axis_deg=float(np.clip(axis, -18, 50)) if axis >= -30 else axis,
        discordance=float(rng.uniform(0.38, 0.5)),
        t_vector=0.15 * heart.t_vector,
        qtc_ms=heart.qtc_ms + 30,
    )


def right_bundle(complete: bool, heart: Heart, rng: Generator) -> Heart:
    """The right ventricle late: rsR' in V1, a broad S in I and V6, T turned over in V1."""
    late = wave((86, 15 if complete else 10, (-0.72, -0.10, -0.78)), (106 if complete else 94, 11, (-0.30, 0.02, -0.34)))
    late = varied(late, rng, 0.08).scaled((1.0 if complete else 0.45) * float(rng.uniform(0.9, 1.25)))
    return replace(
        heart,
        qrs=heart.qrs.paced(heart.qrs_ms / 92),
        late_qrs=late,
        qrs_ms=float(rng.uniform(126, 152) if complete else rng.uniform(104, 116)),
        t_vector=heart.t_vector + (np.array([0.06, 0.0, 0.30]) if complete else np.array([0.02, 0.0, 0.10])),
        qtc_ms=heart.qtc_ms + (20 if complete else 5),
    )


def left_anterior_fascicle(heart: Heart, rng: Generator) -> Heart:
    """First down and right, then up and left: axis beyond -45°, qR in aVL, rS in II, III, aVF, S as far as V6."""
    qrs = wave(
        (14, 6.0, (-0.12, 0.30, -0.16)),
        (27, 8.0, (0.30, 0.16, -0.36)),
        (45, 10.0, (0.85, -0.70, 0.20)),
        (62, 9.0, (0.22, -0.52, 0.60)),
        (74, 6.0, (-0.05, -0.14, 0.16)),
    )
    qrs = varied(qrs, rng, 0.08).scaled(_size(heart))
    axis = float(np.clip(axis_of(qrs, heart.electrodes), -70, -47))
    return replace(heart, qrs=qrs, axis_deg=axis, qrs_ms=max(heart.qrs_ms, float(rng.uniform(96, 112))))


def pre_excitation(heart: Heart, rng: Generator) -> Heart:
    """Kent's bundle: short PR, delta wave, broad QRS, ST-T opposed; left-sided (R in V1) or right-sided (LBBB-like)."""
    left_sided = rng.random() < 0.5
    delta = np.array([0.34, 0.34, -0.40]) if left_sided else np.array([0.50, 0.16, 0.12])
    slurred = wave(*((at, 13, tuple(part * delta)) for at, part in ((20, 0.35), (36, 0.6), (50, 0.7))))
    free_wall = heart.qrs.without(0).shifted(0.034)  # the septum is not reached first, so there is no q
    return replace(
        heart,
        pr_ms=float(rng.uniform(88, 114)),
        p_ms=min(heart.p_ms, 84.0),
        qrs=slurred.plus(free_wall.scaled((0.9, 0.9, 0.6 if left_sided else 1.1))),
        qrs_ms=float(rng.uniform(122, 146)),
        axis_deg=float(rng.uniform(-15, 75)),
        discordance=0.22,
        t_vector=0.55 * heart.t_vector,
        qtc_ms=heart.qtc_ms + 15,
    )


CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "left-anterior-fascicular-block",
        left_anterior_fascicle,
        Wording(
            (
                "left anterior fascicular block",
                "anterior fascicular block, left axis deviation",
                "left anterior fascicular block with left axis deviation",
            ),
            (
                "left anterior fascicular block",
                "left anterior hemiblock",
                "block of the left anterior fascicle",
                "a left anterior fascicular block with left axis deviation",
            ),
            ("LAFB", "LAHB", "LAFB, LAD"),
            ("marked left axis deviation with qR in aVL and rS in the inferior leads",),
        ),
        (
            "block of the anterior fascicle of the left bundle",
            "hemiblock, left anterior, with axis to the left",
            "anterior hemiblock of the left bundle",
        ),
        tags=("abnormal", "ventricular-conduction"),
        excludes=("pre-excitation", "right-axis-deviation", "right-ventricular-hypertrophy", "inferior-wall"),
        implies=("left-axis-deviation",),
        weight=3,
    ),
    Condition(
        "left-bundle-branch-block",
        left_bundle,
        Wording(
            (
                "left bundle branch block",
                "complete left bundle branch block",
                "intraventricular conduction defect, left bundle branch block",
            ),
            (
                "left bundle branch block",
                "a left bundle branch block pattern",
                "complete LBBB",
                "a wide QRS due to left bundle branch block",
            ),
            ("LBBB", "CLBBB"),
            ("a broad notched R wave in I and V6 with a wide QRS and discordant T waves",),
        ),
        (
            "block of the left bundle branch",
            "wide QRS due to block in the left bundle",
            "conduction delay, left bundle branch pattern",
        ),
        slot="bundle",
        tags=("abnormal", "ventricular-conduction", "broad"),
        excludes=(
            "pre-excitation",
            "infarction",
            "chamber",
            "repolarisation",
            "left-anterior-fascicular-block",
            "voltage-loss",
            "acute-st",
            "right-axis-deviation",
        ),
        weight=5,
    ),
    Condition(
        "right-bundle-branch-block",
        partial(right_bundle, True),
        Wording(
            (
                "right bundle branch block",
                "complete right bundle branch block",
                "intraventricular conduction defect, right bundle branch block",
            ),
            (
                "right bundle branch block",
                "a right bundle branch block pattern",
                "complete RBBB",
                "a wide QRS due to right bundle branch block",
            ),
            ("RBBB", "CRBBB"),
            ("an rsR' complex in V1 with a wide S wave in I and V6",),
        ),
        (
            "block of the right bundle branch",
            "wide QRS due to block in the right bundle",
            "conduction delay, right bundle branch pattern",
        ),
        slot="bundle",
        tags=("abnormal", "ventricular-conduction", "broad"),
        excludes=("pre-excitation", "right-ventricular-hypertrophy", "right-axis-deviation"),
        weight=5,
    ),
    Condition(
        "incomplete-right-bundle-branch-block",
        partial(right_bundle, False),
        Wording(
            ("incomplete right bundle branch block", "right ventricular conduction delay, incomplete right bundle branch block"),
            (
                "incomplete right bundle branch block",
                "an incomplete RBBB pattern",
                "incomplete RBBB",
                "a partial right bundle branch block",
            ),
            ("IRBBB", "iRBBB", "incomplete RBBB"),
            ("an rSr' pattern in V1 with a narrow QRS",),
        ),
        (
            "partial block of the right bundle",
            "right bundle branch block, incomplete form",
            "rSr' in V1, right bundle incomplete",
        ),
        slot="bundle",
        tags=("abnormal", "ventricular-conduction"),
        excludes=("pre-excitation", "right-ventricular-hypertrophy", "right-axis-deviation"),
        weight=3,
    ),
    Condition(
        "wolff-parkinson-white",
        pre_excitation,
        Wording(
            (
                "ventricular pre-excitation",
                "wolff-parkinson-white syndrome",
                "ventricular pre-excitation, wpw pattern",
                "short pr interval with ventricular pre-excitation",
            ),
            (
                "ventricular pre-excitation",
                "a Wolff-Parkinson-White pattern",
                "conduction over an accessory pathway",
                "WPW with a short PR interval and delta wave",
            ),
            ("WPW", "preexcitation", "WPW pattern"),
            ("a short PR interval with a delta wave", "delta waves with a wide QRS and short PR"),
        ),
        (
            "delta wave and short PR of pre-excitation",
            "accessory conduction, wolff-parkinson-white",
            "pre-excitation of the ventricle with delta waves",
        ),
        slot="pre-excitation",
        tags=("abnormal",),
        excludes=(
            "bundle",
            "infarction",
            "chamber",
            "repolarisation",
            "av-block",
            "left-anterior-fascicular-block",
            "acute-st",
            "voltage-loss",
            "axis",
        ),
        weight=3,
    ),
    Condition(
        "first-degree-av-block",
        first_degree,
        Wording(
            (
                "first degree atrioventricular block",
                "sinus rhythm with 1st degree a-v block",
                "prolonged pr interval",
                "first degree av block",
            ),
            (
                "first degree AV block",
                "a prolonged PR interval",
                "first-degree atrioventricular block",
                "delayed conduction from the atria to the ventricles",
            ),
            ("1st degree AVB", "1° AV block", "AVB I"),
            ("a constant PR interval of more than 200 ms",),
        ),
        (
            "delayed atrioventricular conduction with long PR",
            "long PR interval, first degree block",
            "AV block, first degree, with prolonged PR",
        ),
        slot="av-block",
        tags=("abnormal",),
        weight=5,
    ),
    Condition(
        "second-degree-av-block-wenckebach",
        second_degree_wenckebach,
        Wording(
            ("second degree atrioventricular block, mobitz i (wenckebach)", "2nd degree a-v block, mobitz i (wenckebach)"),
            (
                "second degree AV block of Wenckebach type",
                "a Mobitz type I second degree AV block",
                "Wenckebach conduction",
                "progressive lengthening of the PR interval before a dropped beat",
            ),
            ("Wenckebach", "Mobitz I", "2nd degree AVB type I"),
            ("a PR interval that lengthens until a beat is dropped",),
        ),
        (
            "wenckebach periods with progressive PR lengthening",
            "PR lengthens progressively before a dropped beat",
            "AV block, second degree, wenckebach",
        ),
        slot="av-block",
        tags=("abnormal", "dropped-beats"),
        excludes=("fast", "slow"),
        weight=3,
        episodic=True,
    ),
    Condition(
        "second-degree-av-block-mobitz-ii",
        second_degree_mobitz,
        Wording(
            ("second degree atrioventricular block, mobitz ii", "2nd degree a-v block, mobitz ii"),
            ("second degree AV block of Mobitz type II", "a Mobitz type II second degree AV block"),
            ("Mobitz II", "2nd degree AVB type II"),
            ("intermittently blocked P waves with a constant PR interval",),
        ),
        (
            "blocked P waves with constant PR, mobitz ii",
            "type II second degree block with dropped beats",
            "dropped beats without PR lengthening, mobitz",
        ),
        slot="av-block",
        tags=("abnormal", "dropped-beats"),
        excludes=("fast", "slow"),
        weight=3,
        episodic=True,
    ),
    Condition(
        "third-degree-av-block",
        third_degree,
        Wording(
            (
                "third degree atrioventricular block",
                "complete atrioventricular block",
                "3rd degree a-v block",
                "complete heart block",
            ),
            ("complete heart block", "third degree AV block", "complete AV block with an escape rhythm"),
            ("CHB", "3rd degree AVB", "AVB III"),
            ("atrioventricular dissociation with a slow escape rhythm",),
        ),
        (
            "dissociation of P waves and QRS, complete block",
            "heart block, complete, slow escape",
            "escape rhythm in third degree block",
        ),
        slot="av-block",
        tags=("abnormal", "av-dissociation"),
        excludes=(
            "fast",
            "slow",
            "infarction",
            "repolarisation",
            "chamber",
            "voltage-loss",
            "axis",
            "left-anterior-fascicular-block",
        ),
        weight=3,
        episodic=True,
    ),
)
