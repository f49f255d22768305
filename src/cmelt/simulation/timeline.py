"""When atria and ventricles beat: sinus rhythm, fibrillation, flutter, tachycardias, the AV node, ectopic beats.

A rhythm makes a `Timeline` from the heart's rates; every time is in seconds from the record's first sample.
"""

# ruff: noqa: ARG001 (every rhythm takes the same arguments, used or not)

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cmelt.simulation.heart import Heart

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """The beats of one record.

    Attributes:
        rhythm: "sinus", "fibrillation", "flutter", "supraventricular", "ventricular", "junctional" or "paced".
        sinus_p, premature_p, retrograde_p: onsets of P waves, by kind.
        flutter, fibrillation: [n] times of atrial waves that have no onset.
        qrs: [n] onsets of conducted (or escape, or paced) QRS complexes, ascending.
        pr: [n] seconds from the P wave that led to it; NaN where none did.
        premature_qrs: onsets of ventricular ectopic beats.
    """

    rhythm: str
    qrs: Array
    pr: Array
    sinus_p: Array = field(default_factory=lambda: np.empty(0))
    premature_p: Array = field(default_factory=lambda: np.empty(0))
    retrograde_p: Array = field(default_factory=lambda: np.empty(0))
    flutter: Array = field(default_factory=lambda: np.empty(0))
    fibrillation: Array = field(default_factory=lambda: np.empty(0))
    premature_qrs: Array = field(default_factory=lambda: np.empty(0))


def drawn_rate(heart: Heart, rng: Generator) -> float:
    """Beats a minute of this record."""
    return float(rng.uniform(*heart.rate_range))


def _premature_times(kind: str, rng: Generator, end: float) -> list[float]:
    """From when on the next beat comes early: one to four times between the first and the last second and a half."""
    if kind != "occasional":
        return []
    last = max(end - 1.0, 1.0)
    count = int(rng.integers(1, 1 + max(1, min(4, round(last / 2.5)))))
    slots = np.linspace(0.4, max(last - 2.0, 0.5), count + 1)
    return list(rng.uniform(slots[:-1], 0.7 * slots[1:] + 0.3 * slots[:-1]))


def sinus(heart: Heart, rng: Generator, begin: float, end: float) -> Timeline:
    """P waves from the sinus node, breathing with respiration, with premature atrial beats where the heart has them."""
    base = 60 / drawn_rate(heart, rng)
    breath, phase, slow = rng.uniform(0.2, 0.3), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    due = _premature_times(heart.premature_atrial, rng, end)
    bigeminy = heart.premature_atrial == "bigeminy"
    coupling = float(rng.uniform(0.58, 0.68))
    time, early = begin + base * rng.random(), False
    normal: list[float] = []
    premature: list[float] = []
    while time < end:
        (premature if early else normal).append(time)
        swing = heart.respiration * np.sin(2 * np.pi * breath * time + phase)
        drift = 0.012 * np.sin(2 * np.pi * 0.09 * time + slow) + 0.006 * rng.standard_normal()
        interval = base * (1 + swing + drift)
        was_early, early = early, False
        if was_early:
            interval *= 1.12  # the sinus node is reset late: a pause, but not a compensatory one
        elif bigeminy or (due and time >= due[0]):
            early = True
            interval *= coupling
            due = due[1:]
        time += interval
    sinus_p, premature_p = np.array(normal), np.array(premature)
    onsets = np.sort(np.concatenate([sinus_p, premature_p]))
    qrs, pr = heart.conduct(heart, rng, onsets)
    return Timeline("sinus", qrs, pr, sinus_p=sinus_p, premature_p=premature_p)


def steady(heart: Heart, rng: Generator, onsets: Array) -> tuple[Array, Array]:
    """Every P wave is conducted after the same time. Returns QRS onsets and PR, seconds."""
    pr = heart.pr_ms / 1000 + 0.0015 * rng.standard_normal(len(onsets))
    return onsets + pr, pr


def wenckebach(heart: Heart, rng: Generator, onsets: Array) -> tuple[Array, Array]:
    """PR grows from beat to beat, most at the second, until one P wave is not conducted."""
    length = int(rng.integers(3, 6))  # P waves a cycle, the last one dropped
    start, first = int(rng.integers(0, length)), float(rng.uniform(60, 100)) / 1000
    position = (np.arange(len(onsets)) + start) % length
    steps = np.concatenate([[0.0, first], first + np.cumsum(first * 0.55 ** np.arange(1, length))])
    pr = heart.pr_ms / 1000 + steps[position] + 0.0015 * rng.standard_normal(len(onsets))
    kept = position < length - 1
    return (onsets + pr)[kept], pr[kept]


def mobitz(heart: Heart, rng: Generator, onsets: Array) -> tuple[Array, Array]:
    """Constant PR, and every second to fourth P wave suddenly not conducted."""
    length = int(rng.choice([2, 3, 3, 4]))
    position = (np.arange(len(onsets)) + int(rng.integers(0, length))) % length
    qrs, pr = steady(heart, rng, onsets)
    kept = position < length - 1
    return qrs[kept], pr[kept]


def dissociated(rates: tuple[float, float], heart: Heart, rng: Generator, onsets: Array) -> tuple[Array, Array]:
    """No P wave is conducted; the ventricles follow an escape rhythm of their own at `rates` a minute."""
    interval, atrial = 60 / float(rng.uniform(*rates)), float(np.diff(onsets).mean())
    if abs(interval / atrial - round(interval / atrial)) < 0.14:
        interval += 0.2 * atrial  # else the two would march in step for the whole record and look conducted
    count = int((onsets[-1] - onsets[0]) / interval) + 2
    qrs = onsets[0] + interval * rng.random() + np.cumsum(interval * (1 + 0.006 * rng.standard_normal(count)))
    return qrs, np.full(count, np.nan)


def fibrillation(heart: Heart, rng: Generator, begin: float, end: float) -> Timeline:
    """Ventricular intervals without any order, atrial waves four to eight a second."""
    mean = 60 / drawn_rate(heart, rng)
    count = int((end - begin) / mean * 1.6) + 4
    spread = 0.20 + 0.05 * rng.random()
    intervals = mean * np.exp(spread * rng.standard_normal(count) - spread**2 / 2)
    # The node's refractory period keeps the shortest interval above about 0.3 s.
    qrs = begin + np.cumsum(np.maximum(intervals, max(0.30, 0.55 * mean)))
    waves = begin + np.cumsum(rng.uniform(0.13, 0.21) * np.exp(0.18 * rng.standard_normal(int((end - begin) / 0.11))))
    return Timeline("fibrillation", qrs[qrs < end], np.full(int((qrs < end).sum()), np.nan), fibrillation=waves[waves < end])


def flutter(ratios: tuple[int, ...], heart: Heart, rng: Generator, begin: float, end: float) -> Timeline:
    """Atria at about 300 a minute in one unbroken circle, every n-th turn conducted, n out of `ratios`."""
    cycle = float(rng.uniform(0.188, 0.222))
    turns: Array = begin + cycle * (rng.random() + np.arange(int((end - begin) / cycle) + 1, dtype=np.float64))
    steps = rng.choice(np.array(ratios), size=len(turns))
    led = np.cumsum(steps)
    qrs = turns[led[led < len(turns)]] + 0.6 * cycle + 0.002 * rng.standard_normal(int((led < len(turns)).sum()))
    return Timeline("flutter", qrs, np.full(len(qrs), np.nan), flutter=turns)


def regular(name: str, jitter: float, heart: Heart, rng: Generator, begin: float, end: float) -> Timeline:
    """A clock-like focus below the sinus node: supraventricular or ventricular tachycardia, junctional rhythm.

    P waves: hidden or just behind the QRS (retrograde) above the ventricles; dissociated and slower in ventricular tachycardia.
    """
    interval = 60 / drawn_rate(heart, rng)
    count = int((end - begin) / interval) + 1
    qrs = begin + interval * rng.random() + np.cumsum(interval * (1 + jitter * rng.standard_normal(count)))
    none = np.full(count, np.nan)
    if name == "ventricular":
        sinus_interval = float(rng.uniform(0.62, 0.85))
        free: Array = begin + sinus_interval * (rng.random() + np.arange(int((end - begin) / sinus_interval), dtype=np.float64))
        return Timeline(name, qrs, none, sinus_p=free)
    behind = rng.random() < 0.5
    return Timeline(name, qrs, none, retrograde_p=qrs + float(rng.uniform(0.10, 0.13)) if behind else np.empty(0))


def paced(heart: Heart, rng: Generator, begin: float, end: float) -> Timeline:
    """A ventricular pacemaker: behind each sinus P wave after a fixed delay, or alone over fibrillating atria."""
    if rng.random() < 0.5:
        atria = sinus(replace(heart, conduct=steady, respiration=0.01, pr_ms=float(rng.uniform(140, 180))), rng, begin, end)
        return replace(atria, rhythm="paced")
    qrs = np.arange(begin + rng.random(), end, 60 / drawn_rate(heart, rng))
    waves = begin + np.cumsum(0.17 * np.exp(0.18 * rng.standard_normal(int((end - begin) / 0.11))))
    return Timeline("paced", qrs, np.full(len(qrs), np.nan), fibrillation=waves[waves < end])


def premature_ventricular(every: int, heart: Heart, rng: Generator, beats: Timeline) -> Timeline:
    """Ventricular beats early in diastole; the next conducted beat is lost, so the pause is compensatory.

    Args:
        every: 2 for bigeminy, 3 for trigeminy, 0 for one to four beats somewhere.
    """
    qrs = beats.qrs
    if len(qrs) < 4:
        return beats
    if every:
        after = np.arange(int(rng.integers(0, every)), len(qrs) - 2, every)
    else:
        due = np.array(_premature_times("occasional", rng, float(qrs[-1])))
        after = np.unique(np.searchsorted(qrs, due).clip(0, len(qrs) - 3))
        after = after[np.concatenate([[True], np.diff(after) > 1])]
    coupling = float(rng.uniform(0.56, 0.68))
    intervals = qrs[after + 1] - qrs[after]
    # Not before the T wave has ended: about 0.4 s after the last beat, unless that beat is followed sooner.
    delay = np.minimum(np.maximum(coupling * intervals, 0.43), 0.8 * intervals)
    lost = np.zeros(len(qrs), dtype=bool)
    lost[after + 1] = True
    premature = qrs[after] + delay * (1 + 0.015 * rng.standard_normal(len(after)))
    sinus_p = beats.sinus_p
    if beats.rhythm == "paced":  # sensed, so the pacemaker neither fires nor tracks
        sinus_p = sinus_p[[not np.any(np.abs(qrs[lost] - p - 0.16) < 0.1) for p in sinus_p]] if len(sinus_p) else sinus_p
    return replace(beats, qrs=qrs[~lost], pr=beats.pr[~lost], sinus_p=sinus_p, premature_qrs=premature)
