"""One record: a person, conditions, beats, the heart vector, electrodes and amplifier, the truth and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from zlib import crc32

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cmelt.errors import ConfigError
from cmelt.records.record import LEADS, Record
from cmelt.simulation.complexes import Complex, conducted, heartbeat, premature
from cmelt.simulation.condition import Condition, chosen, clash, with_implied
from cmelt.simulation.conditions import EXTENDED
from cmelt.simulation.domain import Domain, domain_of
from cmelt.simulation.heart import Heart
from cmelt.simulation.languages import checked_languages, report_in
from cmelt.simulation.languages.leads import LeadFindings, lead_findings
from cmelt.simulation.noise import band_limited, electrode_noise
from cmelt.simulation.report import Measured, content_of
from cmelt.simulation.timeline import Timeline
from cmelt.simulation.torso import LEADS_FROM_ELECTRODES
from cmelt.simulation.wave import Wave, sampled

Array = NDArray[np.float64]

#: Seconds simulated before and after the record, so that its ends are in mid-rhythm and no filter sees an edge.
MARGIN = 1.0

#: The heart vector is computed at this rate or above, then band-limited to the rate asked for.
INNER_RATE = 500.0

# Purposes of randomness: each has its own stream, so that a change in one leaves the others alone.
_BEATS, _NOISE, _WORDS, _DRAW, _LANGUAGE = range(5)


def simulate(
    seed: int,
    conditions: Sequence[str] | None = None,
    *,
    patient: int | None = None,
    rate: float = 500,
    seconds: float = 10.0,
    noise: float = 1.0,
    languages: Sequence[str] = ("en",),
    domain: str = "textbook",
) -> Record:
    """Compute a 12-lead ECG, its truth and its report.

    Args:
        seed: everything random follows from it; the same seed gives the same record.
        conditions: names out of `EXTENDED` ([] is normal); None draws them as the domain does, about a third normal.
        patient: whose heart and chest; None makes it the seed's own. Two records of a patient look alike.
        rate: samples a second, at least 50; the same record at another rate.
        seconds: length, 2 to 600.
        noise: factor on all noise; 0 for none.
        languages: of the report, out of `LANGUAGES`; of several the seed draws one, each as often as it is named.
        domain: "textbook", "extended" or "archive"; see `DOMAINS`.

    Returns:
        A record with signal [12, round(rate * seconds)] float32 mV, labels "sim:NAME", report, age, sex and truth: rhythm,
        rate_bpm, pr_ms (None where no P wave is conducted), qrs_ms, qt_ms (to where 4 % of T are left), qtc_ms (Fridericia),
        axis_deg, p_times and qrs_times (onsets, s), r_times and premature_r_times (greatest QRS vector, s), conditions.

    Raises:
        ConfigError: unknown conditions, languages or domain, an impossible combination, or values out of range.
    """
    _check(seed, patient, rate, seconds, noise)
    language, whence = _language(seed, checked_languages(languages)), domain_of(domain)
    who = whence.person(seed if patient is None else patient)
    held = _drawn(seed, who.key, whence) if conditions is None else chosen(conditions or ["normal"], EXTENDED)
    heart = who.heart
    for condition in held:
        heart = whence.changed(heart, condition, np.random.default_rng([who.key, crc32(condition.name.encode())]))
    rng = np.random.default_rng([seed, _BEATS])
    normal, early, beats = conducted(heart), premature(heart), _beats(heart, rng, seconds)
    pulses, qt = heartbeat(heart, beats, normal, early, rng)
    recorder = _Recorder(whence, rate, round(rate * seconds), noise)
    measured = _measured(beats, normal, qt, seconds)
    labelled = _labelled(held)
    covered = frozenset({"atrial-flutter"} if any("atrial-flutter" in c.implies for c in held) else ())
    findings = LeadFindings() if language == "en" else lead_findings(normal, heart)
    words = np.random.default_rng([seed, _WORDS])
    return Record(
        signal=_recorded(heart, pulses, np.random.default_rng([seed, _NOISE]), recorder),
        rate=float(rate),
        leads=LEADS,
        identifier=f"sim-{seed}",
        report=report_in(language, content_of(labelled, covered, measured, words), findings, words),
        patient=f"sim-{who.key}",
        age=who.age,
        sex=who.sex,
        labels=tuple(f"sim:{c.name}" for c in labelled),
        origin=f"simulated, seed {seed}",
        truth=_truth(beats, normal, early, measured, held, seconds),
    )


def _check(seed: int, patient: int | None, rate: float, seconds: float, noise: float) -> None:
    if seed < 0 or (patient is not None and patient < 0):
        raise ConfigError("seed", "seed and patient must not be negative", "give integers from 0 on")
    if not 50 <= rate <= 4000:
        raise ConfigError("rate", f"{rate} Hz", "give 50 to 4000 Hz")
    if not 2 <= seconds <= 600:
        raise ConfigError("seconds", f"{seconds} s", "give 2 to 600 s")
    if not 0 <= noise <= 100:
        raise ConfigError("noise", f"a factor of {noise}", "give 0 (none) to 100")


def _language(seed: int, languages: tuple[str, ...]) -> str:
    """The language of this record's report: a draw of its own, so that whatever else is drawn stays the same."""
    return languages[int(np.random.default_rng([seed, _LANGUAGE]).integers(len(languages)))]


def _labelled(held: Sequence[Condition]) -> list[Condition]:
    """The conditions that the record is labelled with: those held, and what they imply."""
    names = with_implied((c.name for c in held), EXTENDED)
    return [condition for name, condition in EXTENDED.items() if name in names]


def _pick(rng: Generator, options: list[Condition], counts: Sequence[float], held: list[Condition], domain: Domain) -> None:
    """Add as many of the options as `counts` (probabilities of 0, 1, 2, …) says, each compatible with all held."""
    for _ in range(int(rng.choice(len(counts), p=counts))):
        free = [c for c in options if c not in held and not any(clash(c, h) for h in held)]
        weights = np.array([domain.weight(c) for c in free])
        if not weights.sum():
            return
        held.append(free[int(rng.choice(len(free), p=weights / weights.sum()))])


def _drawn(seed: int, patient: int, domain: Domain) -> tuple[Condition, ...]:
    """What this patient has for good and what this record caught; normal where that is nothing (about a third)."""
    held: list[Condition] = []
    chronic = [c for c in domain.conditions.values() if not c.episodic]
    episodic = [c for c in domain.conditions.values() if c.episodic]
    _pick(np.random.default_rng([patient, 0xC0]), chronic, domain.chronic, held, domain)
    _pick(np.random.default_rng([seed, _DRAW]), episodic, domain.episodic, held, domain)
    return chosen([c.name for c in held] or ["normal"], EXTENDED)


def _beats(heart: Heart, rng: Generator, seconds: float) -> Timeline:
    """The rhythm over the record and its margins, ectopic beats put in."""
    beats = heart.rhythm(heart, rng, -MARGIN - 2.0, seconds + MARGIN + 1.0)
    for insert in heart.ectopy:
        beats = insert(heart, rng, beats)
    return beats


@dataclass(frozen=True)
class _Recorder:
    """What a record is taken with: the domain's devices, samples a second, how many, and the factor on all noise."""

    domain: Domain
    rate: float
    samples: int
    noise: float


def _recorded(heart: Heart, pulses: Wave, rng: Generator, recorder: _Recorder) -> NDArray[np.float32]:
    """[12, samples] millivolts: heart vector → electrodes, noise, leads."""
    rate, samples = recorder.rate, recorder.samples
    whole = samples + 2 * round(MARGIN * rate)
    factor = max(1, ceil(INNER_RATE / rate))
    vector = sampled(pulses, -MARGIN, rate * factor, whole * factor)
    amplifier = recorder.domain.amplifier(rng)
    kept = slice(round(MARGIN * rate), round(MARGIN * rate) + samples)
    electrodes = heart.views @ band_limited(vector, amplifier, rate, whole)[:, kept]
    disturbance = recorder.domain.disturbance(rng, recorder.noise)
    if recorder.noise:
        electrodes += electrode_noise(disturbance, amplifier, rng, rate, samples, 0.0)
    return (LEADS_FROM_ELECTRODES @ electrodes).astype(np.float32)


def _within(times: Array, seconds: float) -> NDArray[np.bool_]:
    return (times >= 0) & (times < seconds)


def _measured(beats: Timeline, normal: Complex, qt: Array, seconds: float) -> Measured:
    """Intervals of the beats inside the record."""
    inside = _within(beats.qrs, seconds)
    if not inside.any():
        inside[:] = True
    r = np.sort(np.concatenate([beats.qrs, beats.premature_qrs]))
    seen = r[_within(r, seconds)]
    interval = float(np.diff(seen if len(seen) > 1 else r).mean())
    pr = beats.pr[inside & ~np.isnan(beats.pr)]
    qt_s = float(np.median(qt[inside]))
    return Measured(
        rhythm=beats.rhythm,
        rate_bpm=60 / interval,
        pr_ms=1000 * float(np.median(pr)) if len(pr) else None,
        qrs_ms=1000 * normal.duration,
        qt_ms=1000 * qt_s,
        qtc_ms=1000 * qt_s / float(np.cbrt(interval)),
        axis_deg=normal.axis_deg,
        regular=not len(pr) or float(np.ptp(pr)) < 0.02,
    )


def _truth(
    beats: Timeline, normal: Complex, early: Complex, measured: Measured, held: tuple[Condition, ...], seconds: float
) -> MappingProxyType[str, object]:
    """What the simulator knows, read-only."""

    def visible(times: Array) -> tuple[float, ...]:
        return tuple(float(t) for t in np.sort(times[_within(times, seconds)]))

    p = np.concatenate([beats.sinus_p, beats.premature_p])
    return MappingProxyType(
        {
            "conditions": tuple(c.name for c in held),
            "rhythm": measured.rhythm,
            "rate_bpm": measured.rate_bpm,
            "pr_ms": measured.pr_ms,
            "qrs_ms": measured.qrs_ms,
            "qt_ms": measured.qt_ms,
            "qtc_ms": measured.qtc_ms,
            "axis_deg": measured.axis_deg,
            "qrs_times": visible(beats.qrs),
            "r_times": visible(beats.qrs + normal.peak),
            "premature_r_times": visible(beats.premature_qrs + early.peak),
            "p_times": visible(p),
        }
    )
