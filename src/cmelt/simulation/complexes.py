"""From a heart and its beats to dipole pulses: P, QRS, ST and T of every beat, f and F waves, pacing spikes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cmelt.simulation.heart import Heart
from cmelt.simulation.timeline import Timeline
from cmelt.simulation.torso import LEADS_FROM_ELECTRODES, frontal_axis
from cmelt.simulation.wave import Wave, joined, peak, rotation, stretched, wave

Array = NDArray[np.float64]

#: T wave: half widths as parts of QT, and after how many of them it ends: 4 % of the peak are left, as in `wave.VISIBLE`.
T_LEFT, T_RIGHT, VISIBLE_END = 0.125, 0.072, 2.54


@dataclass(frozen=True)
class Complex:
    """A ventricular complex that recurs: QRS from 0 to `duration`, and the size of its ST segment and T wave.

    Attributes:
        qrs: the QRS, onset at 0 s.
        duration: QRS duration, s.
        st, t: [3] mV.
        t_width, t_symmetry: as in `Heart`.
        peak: seconds from onset to the greatest QRS vector.
        axis_deg: frontal axis of the net QRS, without a blocked right bundle's late forces.
    """

    qrs: Wave
    duration: float
    st: Array
    t: Array
    t_width: float
    t_symmetry: float
    peak: float
    axis_deg: float


def axis_of(qrs: Wave, electrodes: Array) -> float:
    """Frontal axis of a QRS in degrees, from its net areas in leads I and aVF."""
    leads = LEADS_FROM_ELECTRODES[[0, 5]] @ electrodes @ qrs.area()
    return frontal_axis(leads[0], leads[1])


#: Half width of a pulse, s, from which on `Heart.steepness` makes it narrower: what conditions bring along, not a person's own.
BROAD_PULSE = 0.0068


def steeper(qrs: Wave, factor: float) -> Wave:
    """The QRS with its broad pulses narrower by `factor`: as steep as recorded ones are."""
    if factor == 1.0:
        return qrs
    narrower = np.where(qrs.left > BROAD_PULSE, factor, 1.0)
    return Wave(qrs.centre, qrs.left * narrower, qrs.right * narrower, qrs.vector, qrs.flat)


#: Angles tried for a turn in the frontal plane, degrees.
_TURNS = np.arange(-180.0, 180.0, 0.25)


def turned_to_axis(qrs: Wave, axis_deg: float, electrodes: Array) -> tuple[Wave, float]:
    """The QRS turned in the frontal plane until its axis is `axis_deg`, and by how many degrees it was turned.

    The leads are not quite the plane's own directions, so the axis does not follow the angle one to one: of all angles the
    one that comes nearest is taken, and of several equally near the smallest.
    """
    x, y, z = qrs.area()
    cosine, sine = np.cos(np.deg2rad(_TURNS)), np.sin(np.deg2rad(_TURNS))
    areas = np.stack([cosine * x - sine * y, sine * x + cosine * y, np.full(len(_TURNS), z)])
    lead_i, lead_avf = LEADS_FROM_ELECTRODES[[0, 5]] @ electrodes @ areas
    axes = np.rad2deg(np.arctan2(2 * lead_avf / np.sqrt(3), lead_i))
    error = np.abs((axes - axis_deg + 180) % 360 - 180)
    angle = float(_TURNS[np.argmin(error + 0.01 * np.abs(_TURNS))])
    return qrs.turned(rotation(2, angle)), angle


def aligned(heart: Heart) -> Heart:
    """The heart with its QRS turned to its axis, and its T wave half as far."""
    if heart.axis_deg is None:
        return heart
    qrs, angle = turned_to_axis(heart.qrs, heart.axis_deg, heart.electrodes)
    t_vector = rotation(2, float(np.clip(0.5 * angle, -45, 45))) @ heart.t_vector
    return replace(heart, qrs=qrs, t_vector=t_vector, axis_deg=None)


def kept_axis(qrs: Wave, before: float | None, heart: Heart) -> float | None:
    """The axis of a changed QRS, as far as that makes no deviation that was not there (or undoes one that was).

    Args:
        before: the axis in degrees before the change, or None where the axis is not to be looked after.
    """
    if before is None:
        return None
    lowest, highest = (-75.0, -34.0) if before < -30 else (103.0, 140.0) if before > 100 else (-26.0, 88.0)
    return float(np.clip(axis_of(qrs, heart.electrodes), lowest, highest))


def conducted(heart: Heart) -> Complex:
    """The complex of a beat that came through the AV node (or of the escape or paced rhythm in its place)."""
    heart = aligned(heart)
    axis = axis_of(heart.qrs, heart.electrodes)
    qrs = heart.qrs if heart.late_qrs is None else heart.qrs.plus(heart.late_qrs)
    qrs = stretched(steeper(qrs, heart.steepness), heart.qrs_ms / 1000)
    opposed = -heart.discordance * qrs.area() * 2.5 / (heart.qrs_ms / 1000)  # 2.5 ≈ √(2π): the mean vector over the QRS
    t = heart.voltage * (heart.t_vector + opposed)
    st = heart.voltage * (heart.st_vector + 0.3 * opposed)
    qrs = qrs.scaled(heart.voltage)
    return Complex(qrs, heart.qrs_ms / 1000, st, t, heart.t_width, heart.t_symmetry, peak(qrs), axis)


def premature(heart: Heart) -> Complex:
    """A ventricular ectopic beat: broad, its T wave opposed."""
    duration = heart.premature_qrs_ms / 1000
    qrs = stretched(steeper(heart.premature_qrs, heart.steepness), duration).scaled(heart.voltage)
    opposed = -0.55 * qrs.area() * 2.5 / duration
    return Complex(qrs, duration, 0.35 * opposed, opposed, 1.0, 0.3, peak(qrs), axis_of(qrs, heart.electrodes))


def qt_seconds(qtc_ms: float, qrs: float, interval: Array) -> Array:
    """QT after Fridericia at RR `interval`, never longer than what leaves room for the next beat."""
    qt = qtc_ms / 1000 * np.cbrt(interval)
    return np.maximum(np.minimum(qt, 0.82 * interval + 0.04), qrs + 0.14)


def placed(shape: Wave, onsets: Array, gain: Array, tilt: Array) -> Wave:
    """`shape` once an onset, each time `gain` [n] times as large and turned by the small angles `tilt` [n, 3] (radians)."""
    n = len(onsets)
    vector = shape.vector[None] * gain[:, None, None]
    vector = vector + np.cross(tilt[:, None, :], vector)
    return Wave(
        (onsets[:, None] + shape.centre).ravel(),
        np.tile(shape.left, n),
        np.tile(shape.right, n),
        vector.reshape(-1, 3),
        np.tile(shape.flat, n),
    )


def repolarisation(kind: Complex, onsets: Array, qt: Array, gain: Array, tilt: Array) -> Wave:
    """ST segments (plateaus from J into the T wave) and T waves, one of each a beat; `qt` [n] seconds."""
    n = len(onsets)
    right = T_RIGHT * kind.t_width * qt
    left = (T_LEFT + (T_RIGHT - T_LEFT) * kind.t_symmetry) * kind.t_width * qt
    top = qt - VISIBLE_END * right
    room = np.maximum(top - kind.duration, 0.05)
    st = np.multiply.outer(gain, kind.st)
    t = np.multiply.outer(gain, kind.t)
    vector = np.concatenate([st, t])
    vector = vector + np.cross(np.concatenate([tilt, tilt]), vector)
    return Wave(
        np.concatenate([onsets + kind.duration + 0.47 * room, onsets + top]),
        np.concatenate([0.40 * room, left]),
        np.concatenate([0.60 * room, right]),
        vector,
        np.repeat([True, False], n),
    )


def _beating(rng: Generator, onsets: Array, breath: Array) -> tuple[Array, Array]:
    """Gain [n] and tilt [n, 3] of each beat: the heart swings with respiration and is never twice the same."""
    swing = np.sin(2 * np.pi * breath[0] * onsets + breath[1])
    gain = 1 + breath[2] * swing + 0.012 * rng.standard_normal(len(onsets))
    tilt = np.outer(swing, [0.03, 0.02, 0.05]) * breath[2] / 0.03 + 0.006 * rng.standard_normal((len(onsets), 3))
    return gain, tilt


def _slow(intervals: Array) -> Array:
    """RR as the ventricles' repolarisation follows it: mostly the mean, a little the last interval."""
    return 0.75 * intervals.mean() + 0.25 * intervals


def _atrial(heart: Heart, beats: Timeline, rng: Generator, breath: Array) -> list[Wave]:
    """P waves of every kind, flutter and fibrillation waves."""
    sinus_p = stretched(heart.p, heart.p_ms / 1000).scaled(heart.voltage)
    room = max(heart.pr_ms - heart.p_ms, 20) / 1000
    segment = Wave(
        np.array([0.8 * room]), np.array([0.7 * room]), np.array([0.7 * room]), heart.pr_vector[None], np.array([True])
    )
    if heart.pr_vector.any():
        sinus_p = sinus_p.plus(segment.shifted(heart.p_ms / 1000))
    kinds = [
        (sinus_p, beats.sinus_p),
        (stretched(heart.premature_p, 0.09).scaled(heart.voltage), beats.premature_p),
        (stretched(heart.premature_p, 0.08).scaled(heart.voltage), beats.retrograde_p),
    ]
    found = [placed(shape, onsets, *_beating(rng, onsets, breath)) for shape, onsets in kinds if len(onsets)]
    if n := len(beats.flutter):
        size = heart.voltage * float(rng.uniform(0.8, 1.3))
        tooth = wave((0, 40, (-0.01, -0.26, 0.02)), (78, 24, (0.02, 0.07, -0.10)))
        tooth = Wave(tooth.centre, tooth.left * [1.5, 1.0], tooth.right * [0.5, 1.0], tooth.vector * size, tooth.flat)
        found.append(placed(tooth, beats.flutter, 1 + 0.02 * rng.standard_normal(n), np.zeros((n, 3))))
    if n := len(beats.fibrillation):
        coarse = heart.voltage * float(np.exp(rng.uniform(np.log(0.06), np.log(0.16))))
        vector = coarse * (np.array([-0.2, 0.9, -0.9]) * rng.uniform(0.3, 1.3, (n, 1)) + 0.4 * rng.standard_normal((n, 3)))
        width = rng.uniform(0.022, 0.036, n)
        found.append(Wave(beats.fibrillation, width, width * rng.uniform(0.7, 1.3, n), vector, np.zeros(n, dtype=bool)))
    return found


def _apart(shape: Wave, heart: Heart, place: int) -> Wave:
    """The wave with its vectors [k, 3] at their place among QRS (0), T (1) and P (2), where these are seen differently."""
    kinds = heart.views.shape[1] // 3
    if kinds == 1:
        return shape
    vector = np.zeros((shape.pulses, 3 * kinds))
    vector[:, 3 * place : 3 * place + 3] = shape.vector
    return Wave(shape.centre, shape.left, shape.right, vector, shape.flat)


def heartbeat(heart: Heart, beats: Timeline, normal: Complex, early: Complex, rng: Generator) -> tuple[Wave, Array]:
    """All pulses of a record, and the QT in seconds of each conducted beat [n].

    Args:
        normal, early: the conducted and the premature ventricular complex.
    """
    breath = np.array([rng.uniform(0.2, 0.3), rng.uniform(0, 2 * np.pi), rng.uniform(0.01, 0.04)])
    found = [_apart(wave, heart, 2) for wave in _atrial(heart, beats, rng, breath)]
    all_onsets = np.sort(np.concatenate([beats.qrs, beats.premature_qrs]))
    before = np.diff(all_onsets, prepend=2 * all_onsets[0] - all_onsets[1])
    # Room until the next beat bounds a T wave; the interval before it sets its length.
    after = np.diff(all_onsets, append=all_onsets[-1] + before[-1])
    length = np.minimum(qt_seconds(heart.qtc_ms, normal.duration, _slow(before)), np.maximum(after - 0.02, 0.2))
    qt = length[np.searchsorted(all_onsets, beats.qrs)]
    gain, tilt = _beating(rng, beats.qrs, breath)
    found += [_apart(placed(normal.qrs, beats.qrs, gain, tilt), heart, 0)]
    found += [_apart(repolarisation(normal, beats.qrs, qt, gain, tilt), heart, 1)]
    if len(beats.premature_qrs):
        gain, tilt = _beating(rng, beats.premature_qrs, breath)
        early_qt = length[np.searchsorted(all_onsets, beats.premature_qrs)] + 0.03
        found += [_apart(placed(early.qrs, beats.premature_qrs, gain, tilt), heart, 0)]
        found += [_apart(repolarisation(early, beats.premature_qrs, early_qt, gain, tilt), heart, 0)]
    if heart.spikes:
        size = float(np.exp(rng.uniform(np.log(0.6), np.log(2.5))))
        spike = wave((-6, 1.3, (0.45 * size, 0.6 * size, -0.2 * size)))
        found.append(_apart(placed(spike, beats.qrs, np.ones(len(beats.qrs)), np.zeros((len(beats.qrs), 3))), heart, 0))
    return joined(found), qt
