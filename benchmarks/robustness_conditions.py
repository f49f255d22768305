"""What is done to an ECG before the model is asked again: noise, leads that are missing or exchanged, gain, rails, time, rates.

Every change is of a record as a recorder would have written it, and is handed to the model as a user's file is. Noise is computed
(`cmelt.simulation.noise`), drawn anew for every record and the same one at every strength; it enters at the nine electrodes, so
that the limb leads still agree. The signal-to-noise ratio is 10 log10 of the record's power (the variance of each of its leads,
mean over those that carry something) over that of the noise in the twelve leads, both at the rate at which the record is given.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from cmelt.records.correction import correct_leads
from cmelt.records.leads import select_leads
from cmelt.records.record import LEADS, Record
from cmelt.records.resample import resample
from cmelt.simulation.noise import Amplifier, Disturbance, electrode_noise
from cmelt.simulation.torso import ELECTRODES, LEADS_FROM_ELECTRODES, electrodes_from_leads

Change = Callable[[Record, Generator], Record]

DECIBELS = (24, 18, 12, 6, 0, -6)
#: Hum needs a rate that can hold it: slower records are brought to this one first, Hz.
HUM_HZ = 500.0
MISSING = (1, 2, 3, 6, 9, 11)
RATES = (50, 125, 250, 360, 500, 1000)
#: Which limb electrode, or chest electrode, is found in the place of which.
EXCHANGES: dict[str, dict[str, str]] = {
    "arms (RA, LA)": {"RA": "LA", "LA": "RA"},
    "left arm and leg (LA, LL)": {"LA": "LL", "LL": "LA"},
    "right arm and leg (RA, LL)": {"RA": "LL", "LL": "RA"},
    "V1 and V2": {"V1": "V2", "V2": "V1"},
    "V1 to V6 in reverse": {f"V{place}": f"V{7 - place}" for place in range(1, 7)},
}
_WIDE = Amplifier(high_pass=0.05, low_pass=150.0, rc=False, gain=1.0)
_EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class Condition:
    """One thing that is done to every record.

    Attributes:
        group: the curve, or the table, that it belongs to.
        name: what is done, in words; no two conditions share group and name.
        at: its place along the group's axis; NaN where the group has none.
        change: does it. Conditions of one `draw` are given the same random numbers.
        corrected: whether what is done hangs on the record's flags.
    """

    group: str
    name: str
    at: float
    change: Change
    draw: str = ""
    corrected: bool = False

    def of(self, record: Record) -> Record:
        """The record so changed; always the same one."""
        seed = zlib.crc32(f"{self.draw or self.group} {record.identifier}".encode())
        return self.change(record, np.random.default_rng(seed))


def noise_of(kind: str, rng: Generator, rate: float, samples: int) -> NDArray[np.float64]:
    """[12, samples] noise as the leads have it, of any size: "baseline wander", "muscle", "50 Hz", "60 Hz", "white"."""
    if kind == "white":
        return LEADS_FROM_ELECTRODES @ rng.standard_normal((len(ELECTRODES), samples))
    sizes = {"muscle": 0.0, "wander": 0.0, "hum": 0.0, "mains": 60.0 if kind == "60 Hz" else 50.0}
    sizes[{"baseline wander": "wander", "muscle": "muscle"}.get(kind, "hum")] = 1.0
    found = Disturbance(**sizes, bursts=0, slips=0)
    return LEADS_FROM_ELECTRODES @ electrode_noise(found, _WIDE, rng, rate, samples, 0.0)


def noisy(kind: str, decibels: float, record: Record, rng: Generator) -> Record:
    """`record` with noise of a kind at a signal-to-noise ratio."""
    if kind.endswith("Hz") and record.rate < HUM_HZ:
        record = at_rate(HUM_HZ, record, rng)
    noise = noise_of(kind, rng, record.rate, record.signal.shape[1])
    spread = record.signal.var(axis=1, dtype=np.float64)
    power = spread[spread > 0].mean() / 10 ** (decibels / 10)
    scaled = noise * np.sqrt(power / noise.var(axis=1).mean())
    return replace(record, signal=(record.signal + scaled).astype(np.float32))


def without(leads: Sequence[str], record: Record, _: Generator) -> Record:
    """`record` without these leads, as a file that does not have them."""
    return select_leads(record, [lead for lead in record.leads if lead not in leads])


def without_any(count: int, record: Record, rng: Generator) -> Record:
    """`record` without `count` leads drawn at random; the more are those that the fewer are, and others."""
    return without(rng.permutation(LEADS)[:count].tolist(), record, rng)


def exchanged(places: dict[str, str], record: Record, _: Generator) -> Record:
    """`record` as electrodes in each other's places give it."""
    eight = record.signal[[record.leads.index(lead) for lead in _EIGHT]].astype(np.float64)
    electrodes = electrodes_from_leads(eight)[[ELECTRODES.index(places.get(name, name)) for name in ELECTRODES]]
    return replace(record, signal=(LEADS_FROM_ELECTRODES @ electrodes).astype(np.float32), leads=LEADS)


def named_wrongly(leads: Sequence[str], record: Record, rng: Generator) -> Record:
    """`record` with two of `leads`, drawn at random, under each other's names."""
    one, other = rng.choice(list(leads), 2, replace=False).tolist()
    told = {one: other, other: one}
    return replace(record, leads=tuple(told.get(lead, lead) for lead in record.leads))


def turned(leads: Sequence[str], record: Record, rng: Generator) -> Record:
    """`record` with one of `leads`, drawn at random, upside down."""
    lead = rng.choice(list(leads))
    signs = np.where(np.array(record.leads) == lead, -1, 1).astype(np.float32)
    return replace(record, signal=record.signal * signs[:, None])


def shuffled(record: Record, rng: Generator) -> Record:
    """`record` with all twelve names in another order."""
    return replace(record, leads=tuple(rng.permutation(record.leads).tolist()))


def scaled(factor: float, record: Record, _: Generator) -> Record:
    """`record` times `factor`."""
    return replace(record, signal=record.signal * np.float32(factor))


def scaled_apart(most: float, record: Record, rng: Generator) -> Record:
    """`record` with a gain of its own for each lead, between 1/`most` and `most`, even on a logarithmic scale."""
    gains = most ** rng.uniform(-1, 1, (len(record.leads), 1))
    return replace(record, signal=(record.signal * gains).astype(np.float32))


def railed(millivolts: float, record: Record, _: Generator) -> Record:
    """`record` by an amplifier that ends `millivolts` to both sides of each lead's middle."""
    middle = np.median(record.signal, axis=1, keepdims=True)
    return replace(record, signal=np.clip(record.signal, middle - np.float32(millivolts), middle + np.float32(millivolts)))


def later(seconds: float, record: Record, _: Generator) -> Record:
    """`record` begun so much earlier: its end is put in front, and there is one seam."""
    return replace(record, signal=np.roll(record.signal, round(seconds * record.rate), axis=1))


def shortened(seconds: float, middle: bool, record: Record, _: Generator) -> Record:
    """The first `seconds` of `record`, or those in its middle."""
    length, total = round(seconds * record.rate), record.signal.shape[1]
    start = (total - length) // 2 if middle else 0
    return replace(record, signal=record.signal[:, start : start + length])


def at_rate(rate: float, record: Record, _: Generator) -> Record:
    """`record` as it would have been written at `rate` Hz."""
    return replace(record, signal=resample(record.signal, record.rate, rate), rate=float(rate))


def misstated(factor: float, record: Record, _: Generator) -> Record:
    """The samples of `record` under `factor` times their rate."""
    return replace(record, rate=record.rate * factor)


def put_right(change: Change, record: Record, rng: Generator) -> Record:
    """`record` changed, and then corrected by what its flags say."""
    return correct_leads(change(record, rng))[0]


def as_it_is(record: Record, _: Generator) -> Record:
    """`record`."""
    return record


CLEAN = Condition("as recorded", "clean", float("nan"), as_it_is)


def conditions() -> list[Condition]:
    """All of them, the clean one first."""
    found = [CLEAN]
    for kind in ("baseline wander", "muscle", "white", "50 Hz", "60 Hz"):
        found += [Condition(kind, f"{decibels} dB", decibels, partial(noisy, kind, decibels)) for decibels in DECIBELS]
    found += [Condition("one lead missing", lead, float("nan"), partial(without, [lead])) for lead in LEADS]
    found += [Condition("leads missing", f"{count} of 12", count, partial(without_any, count)) for count in MISSING]
    found += _exchanges()
    found += [Condition("gain", f"× {gain:g}", gain, partial(scaled, gain)) for gain in (0.25, 0.5, 2.0, 4.0)]
    found += [
        Condition("a gain for each lead", f"up to × {most:g}", most, partial(scaled_apart, most))
        for most in (1.25, 1.5, 2.0, 4.0)
    ]
    found += [Condition("wrong unit", name, float("nan"), partial(scaled, factor))
              for name, factor in (("µV read as mV", 1000.0), ("mV read as µV", 0.001))]  # fmt: skip
    found += [Condition("amplifier ends at", f"{rail:g} mV", rail, partial(railed, rail)) for rail in (2.0, 1.0, 0.5, 0.25, 0.1)]
    found += [Condition("begun earlier by", f"{seconds} s", seconds, partial(later, seconds)) for seconds in range(1, 6)]
    for part, middle in (("first seconds alone", False), ("middle seconds alone", True)):
        found += [Condition(part, f"{seconds} s", seconds, partial(shortened, seconds, middle)) for seconds in range(9, 0, -1)]
    found += [Condition("sampling rate", f"{rate} Hz", rate, partial(at_rate, rate)) for rate in RATES]
    found += [Condition("wrong rate", name, float("nan"), partial(misstated, factor))
              for name, factor in (("stated twice", 2.0), ("stated half", 0.5))]  # fmt: skip
    return found


def _exchanges() -> list[Condition]:
    """Exchanged and turned leads, each as it is and put right; and right ones, "put right"."""
    limb, chest = LEADS[:6], LEADS[6:]
    changes: dict[str, Change] = {name: partial(exchanged, places) for name, places in EXCHANGES.items()}
    changes |= {
        "all leads upside down": partial(scaled, -1.0),
        "names of two limb leads exchanged": partial(named_wrongly, limb),
        "names of two chest leads exchanged": partial(named_wrongly, chest),
        "a limb lead turned": partial(turned, limb),
        "a chest lead turned": partial(turned, chest),
        "all names in another order": shuffled,
    }
    found = [Condition("exchanged", name, float("nan"), change, name) for name, change in changes.items()]
    changes = {"none": as_it_is, **changes}
    return found + [
        Condition("exchanged, corrected", name, float("nan"), partial(put_right, change), name, corrected=True)
        for name, change in changes.items()
    ]
