"""Chambers and chest: hypertrophy, atrial enlargement, axis deviation, low voltage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.heart import Heart
from cmelt.simulation.wave import wave


def left_ventricle(heart: Heart, rng: Generator) -> Heart:
    """More to the left and back: deep S in V1-V2, tall R in V5-V6; mostly with strain (ST down, T turned over laterally)."""
    size = 1.15 / heart.size  # people differ in size; the thick ventricle is large in all
    grow = float(rng.uniform(1.65, 2.1)) * max(1.0, min(size, 1.45))
    strain = float(rng.uniform(0.5, 1.0)) if rng.random() < 0.65 else 0.0
    return replace(
        heart,
        qrs=heart.qrs.scaled((grow, 0.75 * grow, grow)),
        axis_deg=min(heart.axis_deg or 0.0, 35.0),
        qrs_ms=min(heart.qrs_ms + 8, 112.0) if heart.qrs_ms < 112 else heart.qrs_ms,
        t_vector=heart.t_vector * (1 - 0.6 * strain) + strain * np.array([-0.38, -0.02, -0.24]),
        st_vector=heart.st_vector + strain * np.array([-0.10, -0.02, -0.06]),
    )


def right_ventricle(heart: Heart, rng: Generator) -> Heart:
    """More to the right and front: axis beyond 100°, dominant R in V1, S in V5-V6, T turned over in V1-V3."""
    extra = wave((40, 9, (-0.75, 0.25, -1.05)), (60, 10, (-0.75, 0.0, -0.40)))
    return replace(
        heart,
        qrs=heart.qrs.scaled((0.8, 0.9, 0.55)).plus(extra.scaled(float(rng.uniform(0.9, 1.2)))),
        axis_deg=float(rng.uniform(104, 140)),
        t_vector=0.6 * heart.t_vector + np.array([0.10, -0.06, 0.32]),
        st_vector=heart.st_vector + np.array([0.02, -0.03, 0.06]),
    )


def left_atrium(heart: Heart, rng: Generator) -> Heart:
    """P broad and double-humped in II, its last part deep and negative in V1."""
    p = wave((34, 14, (0.020, 0.095, -0.035)), (86, 19, (0.085, 0.080, 0.105)))
    return replace(
        heart, p=p.scaled(float(rng.uniform(0.95, 1.25))), p_ms=float(rng.uniform(126, 146)), pr_ms=max(heart.pr_ms, 172.0)
    )


def right_atrium(heart: Heart, rng: Generator) -> Heart:
    """P tall and pointed in II, III, aVF (above 0.25 mV), its first part tall in V1."""
    tall = wave((44, 15, (0.02, 0.20, -0.10)))
    return replace(heart, p=heart.p.scaled(0.75).plus(tall.scaled(float(rng.uniform(1.1, 1.5)))))


def left_axis(heart: Heart, rng: Generator) -> Heart:
    """Frontal axis from -35° to -60°."""
    turned = heart.axis_deg if heart.axis_deg is not None and heart.axis_deg < -30 else float(rng.uniform(-58, -36))
    return replace(heart, axis_deg=turned)


def right_axis(heart: Heart, rng: Generator) -> Heart:
    """Frontal axis from 102° to 130°."""
    turned = heart.axis_deg if heart.axis_deg is not None and heart.axis_deg > 100 else float(rng.uniform(103, 130))
    return replace(heart, axis_deg=turned)


def low_voltage(heart: Heart, rng: Generator) -> Heart:
    """No limb lead's QRS exceeds 0.5 mV, no chest lead's 1 mV."""
    return replace(heart, voltage=heart.voltage * float(rng.uniform(0.24, 0.33)) / heart.size)


CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "left-ventricular-hypertrophy",
        left_ventricle,
        Wording(
            (
                "left ventricular hypertrophy",
                "voltage criteria for left ventricular hypertrophy",
                "left ventricular hypertrophy by voltage criteria",
            ),
            (
                "left ventricular hypertrophy",
                "voltage criteria for LVH",
                "increased left ventricular voltages suggesting LVH",
                "high QRS amplitude due to a thick left ventricle",
            ),
            ("LVH", "LVH by voltage", "LVH voltage criteria"),
            ("tall R waves in V5 and V6 with deep S waves in V1 and V2",),
        ),
        (
            "hypertrophy of the left ventricle",
            "thick left ventricle with high voltage",
            "high QRS voltages, left ventricular hypertrophy pattern",
        ),
        slot="hypertrophy",
        tags=("abnormal", "chamber"),
        excludes=(
            "voltage-loss",
            "right-axis-deviation",
            "old-anterior-infarction",
            "old-lateral-infarction",
            "t-wave-inversion",
            "ischaemic-st-depression",
        ),
        weight=6,
    ),
    Condition(
        "right-ventricular-hypertrophy",
        right_ventricle,
        Wording(
            (
                "right ventricular hypertrophy",
                "right ventricular hypertrophy with right axis deviation",
                "tall r wave in v1/v2 leads, right ventricular hypertrophy",
            ),
            (
                "right ventricular hypertrophy",
                "evidence of RVH with right axis deviation",
                "a thick right ventricle with right axis deviation",
            ),
            ("RVH", "RVH, RAD"),
            ("a dominant R wave in V1 with right axis deviation and a deep S in V6",),
        ),
        (
            "hypertrophy of the right ventricle",
            "thick right ventricle, axis to the right",
            "tall R in V1, right ventricular hypertrophy pattern",
        ),
        slot="hypertrophy",
        tags=("abnormal", "chamber"),
        excludes=("voltage-loss", "left-axis-deviation", "infarction", "repolarisation"),
        implies=("right-axis-deviation",),
        weight=3,
    ),
    Condition(
        "left-atrial-enlargement",
        left_atrium,
        Wording(
            ("left atrial enlargement", "left atrial abnormality", "abnormal p wave terminal force, left atrial enlargement"),
            ("left atrial enlargement", "a left atrial abnormality", "P mitrale", "an enlarged left atrium"),
            ("LAE", "P mitrale", "LA enlargement"),
            ("broad notched P waves in II with a deep negative terminal P in V1",),
        ),
        ("enlargement of the left atrium", "broad notched P wave, large left atrium", "left atrium enlarged, P mitrale pattern"),
        tags=("abnormal", "atrial-shape"),
        excludes=("pre-excitation", "fast", "av-dissociation"),
        weight=3,
    ),
    Condition(
        "right-atrial-enlargement",
        right_atrium,
        Wording(
            ("right atrial enlargement", "right atrial abnormality", "tall p waves in inferior leads, right atrial enlargement"),
            ("right atrial enlargement", "a right atrial abnormality", "P pulmonale", "a large right atrium"),
            ("RAE", "P pulmonale", "RA enlargement"),
            ("tall peaked P waves in the inferior leads",),
        ),
        (
            "enlargement of the right atrium",
            "tall peaked P wave, large right atrium",
            "right atrium enlarged, P pulmonale pattern",
        ),
        tags=("abnormal", "atrial-shape"),
        excludes=("voltage-loss", "av-dissociation"),
        weight=3,
    ),
    Condition(
        "left-axis-deviation",
        left_axis,
        Wording(
            ("left axis deviation", "marked left axis deviation", "abnormal left axis deviation"),
            ("left axis deviation", "an axis deviated to the left"),
            ("LAD", "left axis"),
            ("a leftward frontal QRS axis with negative QRS in II and aVF",),
        ),
        ("deviation of the QRS axis to the left", "axis deviated left, negative in aVF", "abnormal leftward frontal axis"),
        slot="axis",
        tags=("abnormal",),
        excludes=("inferior-wall",),
        weight=4,
    ),
    Condition(
        "right-axis-deviation",
        right_axis,
        Wording(
            ("right axis deviation", "abnormal right axis deviation", "marked right axis deviation"),
            ("right axis deviation", "an axis deviated to the right"),
            ("RAD", "right axis"),
            ("a rightward frontal QRS axis with negative QRS in lead I",),
        ),
        ("deviation of the QRS axis to the right", "axis deviated right, negative in lead I", "abnormal rightward frontal axis"),
        slot="axis",
        tags=("abnormal",),
        excludes=("lateral-wall",),
        weight=3,
    ),
    Condition(
        "low-voltage",
        low_voltage,
        Wording(
            (
                "low voltage",
                "generalized low qrs voltages",
                "low voltage in the extremity and precordial leads",
                "low qrs voltages in limb leads and precordial leads",
            ),
            (
                "low QRS voltage",
                "low voltage throughout",
                "generalised low voltage",
                "reduced QRS amplitude throughout",
                "small QRS complexes of low amplitude",
            ),
            ("low voltage", "low volts, low voltage"),
            ("QRS amplitudes below 0.5 mV in all limb leads, low voltage",),
        ),
        ("QRS complexes of low amplitude throughout", "small amplitude QRS in all leads", "reduced QRS amplitude, low voltages"),
        tags=("abnormal", "voltage-loss"),
        weight=3,
    ),
)
