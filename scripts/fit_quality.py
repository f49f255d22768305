"""Fit the weights in records/reversal.py, stated_rate.py and noise.py, and print them.

PTB-XL folds 1–8 at both rates, simulated records for hearts that are rare there, and half of Challenge 2011.

Run: OMP_NUM_THREADS=1 python scripts/fit_quality.py [DATA]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from cmelt.records.beats import Beats, beats_of
from cmelt.records.noise import noise_features
from cmelt.records.record import LEADS, Record
from cmelt.records.reversal import exchange_features
from cmelt.records.stated_rate import rate_features
from cmelt.simulation import CONDITIONS, simulate

# The records that the checks are measured on lie with the measurement: the fit must not see them, and shares how they are read.
sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from quality_records import (  # type: ignore[import-not-found]
    FIT_FOLDS,
    NONE_HERE,
    arm_and_leg_exchanged,
    arms_exchanged,
    challenge_2011,
    data_folder,
    halves,
    ptb_xl,
    rate_misstated,
)

ROWS = {lead: row for row, lead in enumerate(LEADS)}
#: Share of right records that may be called reversed, or of wrong rate, where thresholds are chosen.
FALSE_ALARMS = {"arms": 0.002, "leg": 0.001, "rate": 0.004}


def say(line: str) -> None:
    """One line of the result."""
    sys.stdout.write(line + "\n")


def logistic(right: np.ndarray, wrong: np.ndarray, ridge: float = 1e-3) -> tuple[np.ndarray, float]:
    """Weights and offset of the logit of being wrong."""
    both = np.concatenate([right, wrong])
    sign = np.concatenate([-np.ones(len(right)), np.ones(len(wrong))])
    middle, spread = both.mean(axis=0), both.std(axis=0)
    scaled = (both - middle) / spread

    def loss(values: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (scaled @ values[:-1] + values[-1])).mean() + ridge * (values[:-1] ** 2).sum())

    found = minimize(loss, np.zeros(both.shape[1] + 1), method="L-BFGS-B").x
    weights = found[:-1] / spread
    return weights, float(found[-1] - middle @ weights)


def noise(features: np.ndarray, poor: np.ndarray, ridge: float = 0.01) -> tuple[np.ndarray, float]:
    """Weights and offset of a lead's logit, from verdicts on records: [records, leads, features], [records]."""
    middle, spread = features.mean(axis=(0, 1)), features.std(axis=(0, 1))
    scaled = (features - middle) / spread
    sign = np.where(poor, 1, -1)

    def loss(values: np.ndarray) -> float:
        scores = np.logaddexp.reduce(scaled @ values[:-1] + values[-1], axis=1)
        return float(np.logaddexp(0, -sign * scores).mean() + ridge * (values[:-1] ** 2).sum())

    found = minimize(loss, np.zeros(features.shape[2] + 1), method="L-BFGS-B").x
    weights = found[:-1] / spread
    return weights, float(found[-1] - middle @ weights)


def left_out_scores(features: np.ndarray, poor: np.ndarray, parts: int = 10) -> np.ndarray:
    """Each record's score by weights that were fitted without its tenth: a threshold chosen on these is not too hopeful."""
    scores = np.empty(len(poor))
    part = np.random.default_rng(1).permutation(len(poor)) % parts
    for number in range(parts):
        weights, offset = noise(features[part != number], poor[part != number])
        scores[part == number] = np.logaddexp.reduce(features[part == number] @ weights + offset, axis=1)
    return scores


def told(name: str, weights: np.ndarray, offset: float) -> tuple[np.ndarray, float]:
    """Print what goes into the module, rounded as it goes there."""
    weights, offset = weights.round(3), round(offset, 3)
    say(f"{name}: {', '.join(f'{weight:g}' for weight in weights)}; offset {offset:g}")
    return weights, offset


def whole(records: list[Record]) -> list[Beats]:
    """Beats of the records that have enough of them."""
    return [beats for beats in map(beats_of, records) if beats.cut.shape[1] >= 3 and beats.peaks.size >= 3]


def main(data: Path) -> None:
    """Fit and print."""
    records = ptb_xl(data, 100, FIT_FOLDS) + ptb_xl(data, 500, FIT_FOLDS)
    records += [
        simulate(1000 * place + seed, [name], rate=100) for place, name in enumerate(CONDITIONS) for seed in range(500, 512)
    ]

    def features(of: Callable[[Beats], np.ndarray], changed: list[Record]) -> np.ndarray:
        return np.array([of(beats) for beats in whole(changed)])

    for name, turned, exchange in (("arms", 0, arms_exchanged), ("leg", 1, arm_and_leg_exchanged)):
        of = partial(exchange_features, rows=ROWS, turned=turned)
        right, wrong = features(of, records), features(of, [exchange(record) for record in records])
        weights, offset = told(name, *logistic(right, wrong))
        above = np.quantile(right @ weights + offset, 1 - FALSE_ALARMS[name])
        say(f"  above: {above:.2f}, sensitivity there {np.mean(wrong @ weights + offset > above):.3f}")
    right = features(rate_features, records)
    for name, factor in (("doubled", 2.0), ("halved", 0.5)):
        wrong = features(rate_features, [rate_misstated(record, factor) for record in records])
        weights, offset = told(name, *logistic(right, wrong))
        above = np.quantile(right @ weights + offset, 1 - FALSE_ALARMS["rate"])
        say(f"  above: {above:.2f}, sensitivity there {np.mean(wrong @ weights + offset > above):.3f}")
    heard, acceptable = challenge_2011(data)
    chosen, _ = halves(len(heard))
    found = np.array([noise_features(beats_of(heard[row])) for row in chosen])
    poor = acceptable[chosen] == 0
    weights, offset = told("noise", *noise(found, poor))
    scores = left_out_scores(found, poor)
    equal = min(np.sort(scores), key=lambda above: abs(np.mean(scores[poor] > above) - np.mean(scores[~poor] <= above)))
    say(f"  above: {equal:.2f}, sensitivity there {np.mean(scores[poor] > equal):.3f}")


if __name__ == "__main__":
    there = data_folder(sys.argv[1] if len(sys.argv) > 1 else None)
    if there is None:
        sys.exit(NONE_HERE)
    main(there)
