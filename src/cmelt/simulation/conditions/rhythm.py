"""Rhythms: the sinus node too slow, too fast or irregular; fibrillation, flutter, tachycardias, a pacemaker."""

# ruff: noqa: ARG001 (every change takes the same arguments, used or not)

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.random import Generator

from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.heart import Heart, ventricular_qrs
from cmelt.simulation.timeline import fibrillation, flutter, paced, regular
from cmelt.simulation.wave import wave


def healthy(heart: Heart, rng: Generator) -> Heart:
    """The heart as it is."""
    return heart


def bradycardia(heart: Heart, rng: Generator) -> Heart:
    """Sinus rate well below 60."""
    centre = rng.uniform(43, 54)
    return replace(heart, rate_range=(centre - 2.5, centre + 2.5))


def tachycardia(heart: Heart, rng: Generator) -> Heart:
    """Sinus rate above 100; AV conduction a little faster."""
    centre = rng.uniform(108, 138)
    return replace(heart, rate_range=(centre - 4, centre + 6), pr_ms=max(0.87 * heart.pr_ms, 124.0), respiration=0.006)


def sinus_arrhythmia(heart: Heart, rng: Generator) -> Heart:
    """RR swings with respiration by a tenth to a fifth each way."""
    return replace(heart, respiration=float(rng.uniform(0.11, 0.19)))


def atrial_fibrillation(heart: Heart, rng: Generator) -> Heart:
    """No P waves; the ventricles at any rate."""
    centre = rng.choice([58, 85, 85, 100, 125, 135])
    return replace(heart, rhythm=fibrillation, rate_range=(centre - 6, centre + 8))


def atrial_flutter(ratios: tuple[int, ...], heart: Heart, rng: Generator) -> Heart:
    """Sawtooth waves at 270 to 320 a minute, conducted in `ratios`; T waves stay small beside them."""
    return replace(heart, rhythm=partial(flutter, ratios), t_vector=0.7 * heart.t_vector)


def supraventricular_tachycardia(heart: Heart, rng: Generator) -> Heart:
    """Regular, narrow, 155 to 205 a minute; rate-related ST depression."""
    centre = rng.uniform(162, 198)
    st = 0.05 * np.array([-0.8, -0.8, 0.3])
    return replace(heart, rhythm=partial(regular, "supraventricular", 0.002), rate_range=(centre - 6, centre + 6), st_vector=st)


def ventricular_tachycardia(heart: Heart, rng: Generator) -> Heart:
    """Regular, broad, 140 to 200 a minute, out of one ventricle."""
    centre = rng.uniform(148, 192)
    return replace(
        heart,
        rhythm=partial(regular, "ventricular", 0.006),
        rate_range=(centre - 6, centre + 6),
        qrs=ventricular_qrs(rng),
        qrs_ms=float(rng.uniform(140, 175)),
        axis_deg=None,
        discordance=0.4,
        t_vector=0.1 * heart.t_vector,
    )


def junctional_rhythm(heart: Heart, rng: Generator) -> Heart:
    """The AV node leads at 42 to 56: narrow, regular, no P before."""
    centre = rng.uniform(45, 53)
    return replace(heart, rhythm=partial(regular, "junctional", 0.006), rate_range=(centre - 3, centre + 3))


def paced_rhythm(heart: Heart, rng: Generator) -> Heart:
    """Right ventricular apical pacing: spike, broad QRS like LBBB with a superior axis, opposed T."""
    qrs = wave(
        (20, 11, (0.20, -0.15, -0.10)),
        (52, 18, (0.45, -0.80, 0.55)),
        (88, 20, (0.60, -0.75, 0.85)),
        (122, 16, (0.25, -0.25, 0.40)),
    )
    centre = float(rng.choice([60, 65, 70, 75]))
    return replace(
        heart,
        rhythm=paced,
        rate_range=(centre, centre),
        qrs=qrs.scaled(float(rng.uniform(0.85, 1.2))),
        qrs_ms=float(rng.uniform(148, 178)),
        axis_deg=float(rng.uniform(-82, -50)),
        discordance=0.38,
        t_vector=0.15 * heart.t_vector,
        qtc_ms=heart.qtc_ms + 35,
        spikes=True,
    )


_NO_SINUS = ("av-block", "atrial-shape", "sinus-variability", "atrial-ectopy", "pre-excitation")

CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "normal",
        healthy,
        Wording(
            ("normal ecg", "sinus rhythm. normal ecg", "within normal limits", "otherwise normal ecg"),
            (
                "a normal ECG",
                "a normal tracing",
                "an electrocardiogram within normal limits",
                "no abnormality",
                "a completely normal ECG without any abnormality",
                "a healthy tracing",
            ),
            ("normal ECG", "WNL", "NSR, normal", "NAD"),
            ("normal sinus rhythm with normal P waves, QRS complexes and T waves",),
        ),
        (
            "healthy heart tracing, no pathology",
            "completely normal electrocardiogram recording",
            "tracing is normal without any abnormality",
        ),
        slot="normal",
        excludes=("abnormal",),
        weight=0.0,
    ),
    Condition(
        "sinus-bradycardia",
        bradycardia,
        Wording(
            ("sinus bradycardia", "marked sinus bradycardia", "sinus rhythm with bradycardia"),
            ("sinus bradycardia", "bradycardic sinus rhythm", "a slow sinus rhythm", "a slow rate of the sinus node"),
            ("sinus brady", "SB"),
            ("a sinus rate below 60 beats per minute",),
        ),
        (
            "bradycardia with slow sinus node rate",
            "heart beats slowly, sinus rate below normal",
            "slow heart rate of sinus origin",
        ),
        slot="rhythm",
        tags=("abnormal", "slow"),
        weight=4,
        episodic=True,
    ),
    Condition(
        "sinus-tachycardia",
        tachycardia,
        Wording(
            ("sinus tachycardia", "sinus rhythm with tachycardia"),
            ("sinus tachycardia", "tachycardic sinus rhythm", "a fast sinus rhythm", "a rapid rate of the sinus node"),
            ("sinus tachy", "sinus tach"),
            ("a sinus rate above 100 beats per minute",),
        ),
        (
            "tachycardia with fast sinus node rate",
            "heart beats fast, sinus rate above normal",
            "rapid heart rate of sinus origin",
        ),
        slot="rhythm",
        tags=("abnormal", "fast"),
        weight=4,
        episodic=True,
    ),
    Condition(
        "sinus-arrhythmia",
        sinus_arrhythmia,
        Wording(
            ("sinus arrhythmia", "marked sinus arrhythmia", "sinus rhythm with sinus arrhythmia"),
            (
                "sinus arrhythmia",
                "respiratory sinus arrhythmia",
                "phasic variation of the sinus rate",
                "a sinus rate that varies with respiration",
            ),
            ("sinus arrhythmia", "resp. sinus arrhythmia"),
            ("an RR interval varying with respiration with constant P waves",),
        ),
        (
            "irregular sinus rhythm varying with respiration",
            "sinus rate varies phasically, arrhythmia",
            "respiratory variation of the RR interval",
        ),
        slot="sinus-variability",
        tags=("abnormal",),
        excludes=("fast", "atrial-ectopy", "ventricular-ectopy", "dropped-beats"),
        weight=3,
        episodic=True,
    ),
    Condition(
        "atrial-fibrillation",
        atrial_fibrillation,
        Wording(
            (
                "atrial fibrillation",
                "atrial fibrillation with varying ventricular response",
                "undetermined atrial activity, atrial fibrillation",
            ),
            (
                "atrial fibrillation",
                "atrial fibrillation with an irregular ventricular response",
                "AF with variable ventricular rate",
                "fibrillation of the atria",
            ),
            ("AF", "AFib", "a-fib", "atrial fib."),
            ("an irregularly irregular ventricular rhythm without P waves", "absent P waves with irregular RR intervals"),
        ),
        (
            "irregular ventricular rhythm of atrial fibrillation without P waves",
            "atria in fibrillation, irregular RR",
            "rhythm strip showing atrial fibrillation",
        ),
        slot="rhythm",
        tags=("abnormal", "no-sinus"),
        excludes=(*_NO_SINUS, "av-dissociation"),
        weight=9,
    ),
    *(
        Condition(
            name,
            partial(atrial_flutter, ratios),
            Wording(machine, clinical, short, features),
            held_out,
            slot="rhythm",
            tags=("abnormal", "no-sinus", "flutter"),
            excludes=(*_NO_SINUS, "ventricular-ectopy", "repolarisation", "av-dissociation"),
            implies=implies,
            weight=weight,
            episodic=True,
        )
        for name, ratios, machine, clinical, short, features, held_out, implies, weight in (
            (
                "atrial-flutter",
                (2, 3, 4, 4),
                ("atrial flutter with variable av block", "atrial flutter", "atrial flutter with varied atrioventricular block"),
                ("atrial flutter with variable conduction", "atrial flutter with varying AV block"),
                ("A-flutter, variable block", "AFL variable"),
                ("sawtooth flutter waves in the inferior leads with variable conduction",),
                (
                    "sawtooth waves of atrial flutter",
                    "flutter of the atria in the inferior leads",
                    "rhythm strip showing atrial flutter",
                ),
                (),
                1.5,
            ),
            *(
                (
                    f"atrial-flutter-{n}-1",
                    (n,),
                    (f"atrial flutter with {n}:1 av block", f"atrial flutter, predominant {n}:1 atrioventricular block"),
                    (f"atrial flutter with {n}:1 conduction", f"atrial flutter with {n}:1 AV block"),
                    (f"A-flutter {n}:1", f"AFL {n}:1"),
                    (f"sawtooth flutter waves in the inferior leads with {n}:1 conduction",),
                    (
                        f"{n}:1 conduction of flutter waves",
                        f"{n}:1 block in atrial flutter",
                        f"flutter rhythm, {n}:1 atrioventricular conduction",
                    ),
                    ("atrial-flutter",),
                    1.2,
                )
                for n in (2, 3, 4)
            ),
        )
    ),
    Condition(
        "supraventricular-tachycardia",
        supraventricular_tachycardia,
        Wording(
            (
                "supraventricular tachycardia",
                "regular supraventricular rhythm, supraventricular tachycardia",
                "narrow qrs tachycardia, supraventricular tachycardia",
            ),
            ("supraventricular tachycardia", "a paroxysmal supraventricular tachycardia", "a regular narrow complex tachycardia"),
            ("SVT", "PSVT"),
            ("a regular narrow QRS tachycardia without visible P waves",),
        ),
        (
            "regular tachycardia with narrow QRS, supraventricular",
            "narrow complex supraventricular tachycardia",
            "paroxysmal tachycardia of supraventricular origin",
        ),
        slot="rhythm",
        tags=("abnormal", "no-sinus", "fast"),
        excludes=(*_NO_SINUS, "ventricular-ectopy", "repolarisation", "infarction", "chamber", "voltage-loss", "av-dissociation"),
        weight=3,
        episodic=True,
    ),
    Condition(
        "junctional-rhythm",
        junctional_rhythm,
        Wording(
            ("junctional rhythm", "atrioventricular junctional rhythm", "atrioventricular junctional (nodal) bradycardia"),
            ("a junctional rhythm", "a junctional escape rhythm", "AV nodal rhythm"),
            ("junctional", "JR, junctional"),
            ("a regular narrow QRS rhythm at a slow rate without preceding P waves",),
        ),
        (
            "slow junctional rhythm from the AV node",
            "nodal rhythm without preceding P waves",
            "narrow QRS escape rhythm, junctional",
        ),
        slot="rhythm",
        tags=("abnormal", "no-sinus", "slow"),
        excludes=(*_NO_SINUS, "ventricular-ectopy", "av-dissociation"),
        weight=3,
        episodic=True,
    ),
    Condition(
        "ventricular-tachycardia",
        ventricular_tachycardia,
        Wording(
            ("ventricular tachycardia", "wide qrs tachycardia, ventricular tachycardia", "sustained ventricular tachycardia"),
            (
                "ventricular tachycardia",
                "a monomorphic ventricular tachycardia",
                "a broad complex tachycardia of ventricular origin",
            ),
            ("VT", "wide complex tachycardia, VT"),
            ("a regular wide QRS tachycardia with atrioventricular dissociation",),
        ),
        (
            "broad QRS tachycardia with dissociation, ventricular",
            "wide complex ventricular tachycardia",
            "tachycardia from the ventricle with wide QRS",
        ),
        slot="rhythm",
        tags=("abnormal", "no-sinus", "fast", "ventricular-origin"),
        excludes=(
            *_NO_SINUS,
            "ventricular-ectopy",
            "repolarisation",
            "infarction",
            "chamber",
            "ventricular-conduction",
            "axis",
            "voltage-loss",
            "av-dissociation",
        ),
        weight=3,
        episodic=True,
    ),
    Condition(
        "paced-rhythm",
        paced_rhythm,
        Wording(
            ("ventricular-paced rhythm", "electronic ventricular pacemaker", "ventricular paced rhythm, no further analysis"),
            (
                "a ventricular paced rhythm",
                "ventricular pacing with capture",
                "a pacemaker rhythm",
                "a pacing spike before every QRS",
            ),
            ("V-paced", "paced", "pacemaker, V pacing"),
            ("pacing spikes followed by broad QRS complexes",),
        ),
        (
            "pacemaker spikes before every QRS",
            "pacing of the ventricles by a pacemaker",
            "QRS complexes paced by an electronic pacemaker",
        ),
        slot="rhythm",
        tags=("abnormal", "no-sinus", "ventricular-origin"),
        excludes=(
            *_NO_SINUS,
            "repolarisation",
            "infarction",
            "chamber",
            "ventricular-conduction",
            "axis",
            "voltage-loss",
            "av-dissociation",
            "bigeminy",
        ),
        weight=4,
    ),
)
