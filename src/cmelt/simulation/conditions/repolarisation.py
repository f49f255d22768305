"""ST and T: ischaemia, inverted T waves, long QT, hyperkalaemia, pericarditis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.heart import Heart


def st_depression(heart: Heart, rng: Generator) -> Heart:
    """Subendocardial ischaemia: ST down in I, II, V4-V6, up in aVR; T flattened."""
    vector = np.array([-0.125, -0.085, 0.035]) * float(rng.uniform(0.95, 1.7))
    return replace(heart, st_vector=heart.st_vector + vector, t_vector=0.55 * heart.t_vector + 0.5 * vector)


def t_inversion(heart: Heart, rng: Generator) -> Heart:
    """T turned over in the chest leads V2-V6 and, more or less, in the limb leads."""
    size = float(np.linalg.norm(heart.t_vector))
    away = np.array([-0.62, float(rng.uniform(-0.55, 0.1)), 0.35]) * size
    return replace(heart, t_vector=away * float(rng.uniform(0.9, 1.4)), t_symmetry=0.7, qtc_ms=heart.qtc_ms + 10)


def long_qt(heart: Heart, rng: Generator) -> Heart:
    """QTc from 490 to 560 ms."""
    return replace(heart, qtc_ms=float(rng.uniform(492, 560)))


def hyperkalaemia(heart: Heart, rng: Generator) -> Heart:
    """T tall, narrow and pointed; P flat; PR and QRS somewhat longer."""
    direction = heart.t_vector + np.array([0.0, 0.0, -0.10])
    tall = float(rng.uniform(1.05, 1.5)) / float(np.linalg.norm(direction))
    return replace(
        heart,
        t_vector=tall * direction,
        t_width=0.62,
        t_symmetry=0.8,
        p=heart.p.scaled(float(rng.uniform(0.3, 0.6))),
        pr_ms=max(heart.pr_ms, min(heart.pr_ms + 12, 194.0)),
        qrs_ms=min(heart.qrs_ms + float(rng.uniform(6, 18)), 118.0),
        qtc_ms=min(heart.qtc_ms, 410.0),
    )


def pericarditis(heart: Heart, rng: Generator) -> Heart:
    """ST raised and concave in nearly all leads, down in aVR and V1; PR segment the other way round."""
    st = np.array([0.140, 0.125, -0.060]) * float(rng.uniform(0.85, 1.45))
    return replace(heart, st_vector=heart.st_vector + st, pr_vector=-0.35 * st, t_vector=0.85 * heart.t_vector)


CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "ischaemic-st-depression",
        st_depression,
        Wording(
            (
                "st segment depression",
                "lateral st segment depression, myocardial ischemia",
                "anterolateral st segment depression",
                "marked st segment depression, myocardial ischemia",
            ),
            (
                "ischaemic ST depression",
                "ST segment depression suggesting ischemia",
                "horizontal ST depression in the lateral leads",
                "depressed ST segments due to subendocardial ischemia",
            ),
            ("ST depression", "ST depr., ischemia"),
            ("ST depression in II and V4 to V6 consistent with ischemia",),
        ),
        (
            "depression of the ST segment from ischemia",
            "ischemia with depressed ST segments",
            "depressed lateral ST segment, subendocardial ischemia",
        ),
        slot="acute-st",
        tags=("abnormal", "repolarisation"),
        excludes=("fast",),
        weight=4,
        episodic=True,
    ),
    Condition(
        "t-wave-inversion",
        t_inversion,
        Wording(
            (
                "inverted t wave",
                "anterolateral t wave inversion",
                "t wave inversion",
                "t wave abnormality, t wave inversion in anterolateral leads",
            ),
            ("T wave inversion", "inverted T waves", "T wave inversion in the precordial leads", "negative precordial T waves"),
            ("TWI", "T inversion", "neg. T waves, T inversion"),
            ("inverted T waves in V2 to V6",),
        ),
        (
            "inversion of the T wave in the precordial leads",
            "negative T waves in anterolateral leads",
            "precordial T waves are negative",
        ),
        tags=("abnormal", "repolarisation", "t-wave"),
        excludes=("acute-st", "old-lateral-infarction", "old-anterior-infarction", "right-bundle-branch-block"),
        weight=4,
        episodic=True,
    ),
    Condition(
        "long-qt",
        long_qt,
        Wording(
            ("prolonged qt interval", "long qtc interval", "qt interval prolonged"),
            ("a prolonged QT interval", "QT prolongation", "a long QTc", "an abnormally long QTc"),
            ("long QT", "prolonged QTc", "LQT"),
            ("a QTc above 480 ms",),
        ),
        ("prolongation of the QT", "QT interval too long, prolonged repolarization", "abnormally long QT interval"),
        tags=("abnormal", "repolarisation"),
        excludes=("fast", "hyperkalaemia"),
        weight=3,
        episodic=True,
    ),
    Condition(
        "hyperkalaemia",
        hyperkalaemia,
        Wording(
            ("tall t wave, hyperkalemia", "hyperkalemia", "tall peaked t waves, consider hyperkalemia"),
            (
                "hyperkalemia",
                "tall peaked T waves suggesting hyperkalaemia",
                "changes of hyperkalemia",
                "pointed T waves due to high potassium",
            ),
            ("hyperK", "hyperkalemia, peaked T"),
            ("tall narrow peaked T waves with flat P waves",),
        ),
        (
            "peaked narrow T waves of hyperkalemia",
            "T waves tall and peaked, high potassium",
            "hyperkalemia with tall pointed T waves",
        ),
        tags=("abnormal", "repolarisation", "t-wave"),
        excludes=(
            "acute-st",
            "t-wave-inversion",
            "hypertrophy",
            "infarction",
            "voltage-loss",
            "atrial-shape",
            "bundle",
            "pre-excitation",
        ),
        weight=3,
        episodic=True,
    ),
    Condition(
        "pericarditis",
        pericarditis,
        Wording(
            (
                "acute pericarditis",
                "pericarditis",
                "extensive st elevation, acute pericarditis",
                "diffuse st elevation, pericarditis",
            ),
            (
                "acute pericarditis",
                "diffuse concave ST elevation suggesting pericarditis",
                "changes of acute pericarditis",
                "raised ST segments in all leads from pericarditis",
            ),
            ("pericarditis", "acute pericarditis"),
            ("diffuse concave ST elevation with PR depression",),
        ),
        (
            "pericarditis with diffuse raised ST segments",
            "inflammation of the pericardium",
            "concave ST elevation in all leads with PR depression, pericarditis pattern",
        ),
        slot="acute-st",
        tags=("abnormal", "repolarisation"),
        excludes=("infarction", "hypertrophy", "broad", "pre-excitation", "no-sinus", "voltage-loss", "t-wave"),
        weight=3,
        episodic=True,
    ),
)
