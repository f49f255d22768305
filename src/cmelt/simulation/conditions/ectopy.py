"""Premature beats, from the atria and from the ventricles, one by one or in a fixed alternation."""

# ruff: noqa: ARG001 (every change takes the same arguments, used or not)

from __future__ import annotations

from dataclasses import replace
from functools import partial

from numpy.random import Generator

from cmelt.simulation.condition import Condition, Wording
from cmelt.simulation.heart import Heart
from cmelt.simulation.timeline import premature_ventricular


def atrial(kind: str, heart: Heart, rng: Generator) -> Heart:
    """P waves that come early and look different; `kind` is "occasional" or "bigeminy"."""
    return replace(heart, premature_atrial=kind)


def ventricular(every: int, heart: Heart, rng: Generator) -> Heart:
    """Early, broad beats without P wave, followed by a compensatory pause; `every` as in `premature_ventricular`."""
    return replace(heart, ectopy=(*heart.ectopy, partial(premature_ventricular, every)))


_REGULAR_ONLY = ("dropped-beats", "av-dissociation", "fast", "flutter")

CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "atrial-premature-beats",
        partial(atrial, "occasional"),
        Wording(
            (
                "atrial premature complexes",
                "atrial premature complex(es)",
                "sinus rhythm with atrial premature complexes",
                "supraventricular premature beats",
            ),
            (
                "premature atrial complexes",
                "atrial premature beats",
                "supraventricular extrasystoles",
                "atrial ectopic beats",
                "isolated early beats from the atria",
            ),
            ("PACs", "APCs", "PAC"),
            ("early narrow beats preceded by an ectopic P wave",),
        ),
        (
            "extrasystoles of atrial origin",
            "ectopic beats arising early in the atria",
            "isolated premature beats, narrow, atrial",
        ),
        slot="atrial-ectopy",
        tags=("abnormal",),
        excludes=("dropped-beats", "av-dissociation", "ventricular-ectopy"),
        weight=5,
        episodic=True,
    ),
    Condition(
        "atrial-bigeminy",
        partial(atrial, "bigeminy"),
        Wording(
            ("atrial bigeminy, atrial premature complexes", "bigeminal atrial premature complexes", "supraventricular bigeminy"),
            ("atrial bigeminy", "premature atrial complexes in a bigeminal pattern"),
            ("atrial bigeminy", "PACs in bigeminy"),
            ("an early ectopic P wave after each sinus beat",),
        ),
        (
            "bigeminal rhythm with atrial ectopics",
            "each sinus beat followed by a premature atrial beat",
            "bigeminy of atrial origin",
        ),
        slot="atrial-ectopy",
        tags=("abnormal", "bigeminy"),
        excludes=("dropped-beats", "av-dissociation", "ventricular-ectopy", "fast"),
        implies=("atrial-premature-beats",),
        weight=3,
        episodic=True,
    ),
    Condition(
        "ventricular-premature-beats",
        partial(ventricular, 0),
        Wording(
            (
                "ventricular premature complexes",
                "ventricular premature complex(es)",
                "multiple ventricular premature complexes",
                "ventricular extrasystole(s)",
            ),
            (
                "premature ventricular complexes",
                "ventricular premature beats",
                "ventricular extrasystoles",
                "ventricular ectopic beats",
                "isolated early beats from the ventricles",
            ),
            ("PVCs", "VPCs", "VES"),
            ("early broad beats without a preceding P wave and with a compensatory pause",),
        ),
        (
            "extrasystoles of ventricular origin",
            "ectopic beats arising early in the ventricles",
            "isolated premature beats, broad, ventricular",
        ),
        slot="ventricular-ectopy",
        tags=("abnormal",),
        excludes=("dropped-beats", "av-dissociation"),
        weight=4,
        episodic=True,
    ),
    *(
        Condition(
            f"ventricular-{word}",
            partial(ventricular, every),
            Wording(
                (
                    f"ventricular {word}",
                    f"{adjective} ventricular premature complexes",
                    f"ventricular premature complexes in a pattern of {word}",
                ),
                (
                    f"ventricular {word}",
                    f"premature ventricular complexes in a {adjective} pattern",
                    f"ventricular ectopics in {word}",
                ),
                (f"ventricular {word}", f"PVCs in {word}"),
                (f"a broad premature beat after every {count} beat",),
            ),
            (
                f"{adjective} rhythm with ventricular ectopics",
                f"{word} caused by premature ventricular beats",
                f"{word} of ventricular origin",
            ),
            slot="ventricular-ectopy",
            tags=("abnormal", "bigeminy"),
            excludes=(*_REGULAR_ONLY, "atrial-fibrillation", "paced-rhythm"),
            implies=("ventricular-premature-beats",),
            weight=3,
            episodic=True,
        )
        for word, adjective, every, count in (
            ("bigeminy", "bigeminal", 2, "normal"),
            ("trigeminy", "trigeminal", 3, "second normal"),
        )
    ),
)
