"""Is a chest lead turned, or are two under each other's names? Einthoven says nothing of them; the other leads do.

Turned: P, QRS, ST and T of each chest lead stand beside what the other seven independent leads make one expect, and beside what I
and II alone do, and they go one way or the other: a weighted sum of all that is the logit of being turned. A QRS downwards is
everyone's in V1 to V3 and the sick one's in V4 to V6, whose limb leads and whose neighbouring leads tell so.

Exchanged: each chest lead is much like what the other five make one expect. Two that have changed places are unlike it; put
right, they are like it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import Beats, beat_time, stretch
from cmelt.records.polarity import _EXPECTED, ALL_NEEDED, CHEST, EXCHANGED_BELOW, beat_gram, unlikeness
from cmelt.records.reversal import FEWEST_BEATS

#: P, QRS, ST and T: the stretch whose mean is their level, and their own (s from the steepest point of QRS), as in `reversal.py`.
WAVES = (
    ((-0.3, -0.235), (-0.26, -0.06)),
    ((-0.09, -0.055), (-0.06, 0.08)),
    ((-0.09, -0.055), (0.06, 0.16)),
    ((-0.09, -0.055), (0.14, 0.42)),
)
#: What is told of each wave of a lead: likeness by the seven others, by I and II; the odds by both; area; height.
TOLD = 6
#: Logit of being turned from which a lead is called so: as likely as not. Of 1,510 records of folds 1–8 one is accused by weights
#: that have not seen it (`scripts/turned_leads.py`).
TURNED_ABOVE = 0.0
#: Two leads are called exchanged instead where that explains the chest leads so many times better than a turned one does, and no
#: lead is called turned where this little speaks for it once others that look misplaced are put back. Both chosen on folds 1–8.
EXCHANGED_BETTER = 2.0
PUT_BACK_BELOW = -4.0
#: How the leads of `ALL_NEEDED` are had from a recording with V1 to V6 in reverse, or with electrodes exchanged as `reversal.py`
#: has it: [8, 8] each. Exchanged arms turn I and put III, which is II less I, in the place of II.
PUT_BACK: Mapping[str, NDArray[np.float64]] = {
    "reversed": np.eye(8)[[0, 1, 7, 6, 5, 4, 3, 2]],
    "arms": np.block([[np.array([[-1.0, 0.0], [-1.0, 1.0]]), np.zeros((2, 6))], [np.zeros((6, 2)), np.eye(6)]]),
    "right-arm/leg": np.block([[np.array([[1.0, -1.0], [0.0, -1.0]]), np.zeros((2, 6))], [np.zeros((6, 2)), np.eye(6)]]),
}
#: Of waves no larger than this nothing is told, mV.
_LEAST_MV = 1e-3
_LEAST_HEIGHT_MV = 0.02
#: What is left of a wave that is exactly as expected, and of its size, as a share of the largest lead's power.
_LEAST_MISS, _LEAST_SIZE = 1e-3, 1e-2
_OWN = np.arange(len(CHEST))
_ALL = np.arange(len(ALL_NEEDED))
_AT = _ALL[len(ALL_NEEDED) - len(CHEST) :]


@dataclass(frozen=True)
class Waves:
    """The waves of a beat, as far as anything is asked of them.

    Attributes:
        grams: [4, 8, 8] mean products of the leads of `ALL_NEEDED`, mV².
        areas: [4, 6] means of the chest leads, mV.
        heights: [4, 6] how much taller than deep these are, −1 to 1.
    """

    grams: NDArray[np.float64]
    areas: NDArray[np.float64]
    heights: NDArray[np.float64]


@dataclass(frozen=True)
class Expectation:
    """What was fitted on right records (`scripts/turned_leads.py`).

    Attributes:
        expected: [2, 4, 6, 8] what each chest lead is expected to be of the others of `ALL_NEEDED`, and of I and II alone, wave
            by wave.
        weights: [6, 4, 6] of what is told of each wave of each chest lead; `offsets` [6] go with them.
    """

    expected: NDArray[np.float64]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]

    def turned(self, waves: Waves) -> NDArray[np.float64]:
        """[6] logit of each chest lead's being turned."""
        told = wave_features(waves, self.expected) * self.weights
        return np.asarray(np.add.reduce(told, axis=(0, 1)) + self.offsets)


def chest_fault(beats: Beats, rows: dict[str, int], *, looks: Sequence[str] = (), known: Expectation | None = None) -> str:
    """The flag: "chest-inverted:V3", "chest-swapped:V1/V2", or "" where nothing speaks for one, or there are too few beats.

    Args:
        rows: where the leads of `ALL_NEEDED` are in `beats`.
        looks: what else the leads look like, of `PUT_BACK`: one is called turned only if it still is with that put back.
        known: what to expect; by default what lies beside this file.
    """
    if beats.cut.shape[1] < FEWEST_BEATS:
        return ""
    known = known or expectation()
    beat = beats.middle[[rows[lead] for lead in ALL_NEEDED]].astype(np.float64)
    logits = known.turned(waves_of(beat, beats.rate))
    ratios = unlikeness(beat_gram(beats, rows), _EXPECTED)
    turned, exchanged = float(ratios[: len(CHEST)].min()), float(ratios[len(CHEST) :].min())
    if logits.max() > TURNED_ABOVE and exchanged >= min(EXCHANGED_BELOW, turned / EXCHANGED_BETTER):
        if any(known.turned(waves_of(PUT_BACK[what] @ beat, beats.rate)).max() < PUT_BACK_BELOW for what in looks):
            return ""
        return f"chest-inverted:{CHEST[int(logits.argmax())]}"
    if exchanged < min(EXCHANGED_BELOW, turned):
        return f"chest-swapped:{'/'.join(list(combinations(CHEST, 2))[int(ratios[len(CHEST) :].argmin())])}"
    return ""


def waves_of(beat: NDArray[np.float64], rate: float) -> Waves:
    """The waves of a middle beat [8, samples], the leads of `ALL_NEEDED`, at `rate` Hz."""
    cuts, lengths = _wave_cuts(rate)
    waves = (beat @ cuts).reshape(len(beat), len(WAVES), -1).transpose(1, 0, 2)  # [4, 8, samples], zeros after the shorter ones
    chest = waves[:, _AT]
    highest, lowest = np.maximum.reduce(chest, axis=2), np.minimum.reduce(chest, axis=2)
    highest, lowest = np.maximum(highest, 0), np.minimum(lowest, 0)
    return Waves(
        waves @ waves.transpose(0, 2, 1) / lengths[:, None, None],
        np.add.reduce(chest, axis=2) / lengths[:, None],
        (highest + lowest) / (np.maximum(highest, -lowest) + _LEAST_HEIGHT_MV),
    )


def wave_features(waves: Waves, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """[6, 4, 6]: what is told of the four waves of each chest lead, lead last; all of it changes its sign with the lead's.

    expected: [2, 4, 6, 8], as in `Expectation`.
    """
    told = np.empty((TOLD, len(WAVES), len(CHEST)))
    power = waves.grams[:, _ALL, _ALL]  # [4, 8]
    largest = np.maximum.reduce(power, axis=1)[:, None] + _LEAST_MV**2
    own = power[:, _AT]
    products = expected @ waves.grams  # [2, 4, 6, 8]
    along = products[:, :, _OWN, _AT]
    size = np.maximum(np.add.reduce(products * expected, axis=3), 0)
    told[:2] = along / (np.sqrt(own * size) + _LEAST_SIZE * largest)
    both, along = own + size + _LEAST_MISS * largest, 2 * along
    told[2:4] = np.log((both + along) / (both - along)) / 2
    told[4] = waves.areas / np.sqrt(largest)
    told[5] = waves.heights
    return told


@cache
def expectation() -> Expectation:
    """What lies beside this file."""
    told = json.loads(files("cmelt.records").joinpath("chest_leads.json").read_text(encoding="utf-8"))
    return Expectation(**{name: np.array(told[name], np.float64) for name in ("expected", "weights", "offsets")})


@lru_cache(maxsize=16)
def _wave_cuts(rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What cuts the waves out of a beat, [samples, waves · longest], their level taken off, zeros after the shorter ones.

    With it their lengths [waves] in samples.
    """
    parts = [stretch(rate, *part) for _, part in WAVES]
    lengths = [part.stop - part.start for part in parts]
    identity = np.eye(beat_time(rate).size)
    cuts = np.zeros((len(identity), len(WAVES), max(lengths)))
    for wave, (part, (level, _)) in enumerate(zip(parts, WAVES, strict=True)):
        cuts[:, wave, : lengths[wave]] = identity[:, part] - identity[:, stretch(rate, *level)].mean(axis=1, keepdims=True)
    return cuts.reshape(len(identity), -1), np.array(lengths, np.float64)
