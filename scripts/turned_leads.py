"""Fit what records/chest_leads.py expects of chest leads, and say how well a turned one is told by it.

python scripts/turned_leads.py PTBXL_STORE            weights of one part of folds 1–8 told on the rest, and fold 9 by the file's
python scripts/turned_leads.py PTBXL_STORE --fit      the same, and src/cmelt/records/chest_leads.json written anew before fold 9

The store is one of `cmelt prepare` at 100 Hz. `scripts/polarity.py` measures the flags on fold 10 and other hospitals.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from cmelt.records.beats import Beats, beats_of
from cmelt.records.chest_leads import (
    TOLD,
    TURNED_ABOVE,
    WAVES,
    Expectation,
    Waves,
    chest_fault,
    expectation,
    wave_features,
    waves_of,
)
from cmelt.records.polarity import ALL_NEEDED, CHEST, is_chest_reversed
from cmelt.records.record import LEADS, Record
from cmelt.records.reversal import FEWEST_BEATS, NEEDED, exchanged_electrodes
from cmelt.simulation import CONDITIONS, simulate

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from polarity import exchanged, records_of, reversed_chest, turned, upside_down

from quality import share  # type: ignore[import-not-found]
from quality_records import arm_and_leg_exchanged, arms_exchanged  # type: ignore[import-not-found]

FITTED = Path(__file__).resolve().parents[1] / "src" / "cmelt" / "records" / "chest_leads.json"
#: Of each simulated condition, for hearts that are rare in PTB-XL, and how much one of them counts beside a real record.
SIMULATED, SIMULATED_WEIGHT = 12, 0.1
#: What the leads are under each of the ten: as they are, with one chest lead turned, and what is not to be taken for that.
FAULTS: Sequence[Callable[[Record], Record]] = (
    lambda record: record,
    *(lambda record, lead=lead: turned(record, lead) for lead in CHEST),
    arms_exchanged,
    arm_and_leg_exchanged,
    upside_down,
)
#: Right records count as much as those with a lead turned together.
SHARES = np.array([6.0, *[1.0] * 9]) / 15
ANSWERS = np.array([0, 1, 2, 3, 4, 5, 6, 0, 0, 0])
RIDGE = 0.3
ROWS = {lead: LEADS.index(lead) for lead in ALL_NEEDED}
LIMB_ROWS = {lead: LEADS.index(lead) for lead in NEEDED}
#: What else may be wrong with leads, and its flag, if it is `chest_fault`'s.
OTHERS: Mapping[str, tuple[Callable[[Record], Record], str]] = {
    **{f"{one} and {other} exchanged": (partial(exchanged, one=one, other=other), f"chest-swapped:{one}/{other}")
       for one, other in combinations(CHEST, 2)},
    "V1 to V6 in reverse": (reversed_chest, ""),
    "arm electrodes exchanged": (arms_exchanged, ""),
    "right arm and leg exchanged": (arm_and_leg_exchanged, ""),
}  # fmt: skip
_FOLDS = 5
_GRAM_RIDGE = 1e-3
_LIMB = len(ALL_NEEDED) - len(CHEST)


def say(line: str) -> None:
    """One line of the result."""
    sys.stdout.write(line + "\n")


def middles(records: Sequence[Record]) -> list[Record]:
    """The middle beat of each record that has enough: what is done to signs and places of leads may as well be done to it."""
    beats = [beats_of(record) for record in records]
    return [Record(one.middle, one.rate, LEADS) for one in beats if one.cut.shape[1] >= FEWEST_BEATS]


def waves_under_faults(records: Sequence[Record]) -> list[list[Waves]]:
    """[records][faults] waves of middle beats."""
    rows = list(ROWS.values())
    return [[waves_of(fault(one).signal[rows].astype(np.float64), one.rate) for fault in FAULTS] for one in records]


def fit_expected(waves: Sequence[Waves], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right records → what each chest lead is expected to be of all other leads, and of the limb leads alone [2, 4, 6, 8]."""
    grams = np.array([one.grams for one in waves])  # [n, 4, 8, 8]
    power = np.trace(grams, axis1=2, axis2=3)[:, :, None, None]
    total = np.average(grams / (power + 1e-4), axis=0, weights=counts) + _GRAM_RIDGE * np.eye(len(ALL_NEEDED))
    found = np.zeros((2, len(WAVES), len(CHEST), len(ALL_NEEDED)))
    for wave, gram in enumerate(total):
        for lead in range(len(CHEST)):
            own = _LIMB + lead
            for place, others in enumerate(([one for one in range(len(ALL_NEEDED)) if one != own], list(range(_LIMB)))):
                found[place, wave, lead, others] = np.linalg.solve(gram[np.ix_(others, others)], gram[others, own])
    return found


def fit_logits(features: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features [faults, n, 6, told] → weights [6, told] and offsets [6]: which lead is turned, if any, as a softmax.

    counts: [n] how much each record counts.
    """
    leads, told = features.shape[2:]
    each = SHARES[:, None] * counts / counts.sum()  # [faults, n]
    right = np.eye(leads + 1)[ANSWERS][:, None, 1:]  # [faults, 1, leads]
    ridge = RIDGE / len(counts)

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, offsets = values[:-leads].reshape(leads, told), values[-leads:]
        logits = np.einsum("vnlf,lf->vnl", features, weights) + offsets
        logits = np.concatenate([np.zeros_like(logits[..., :1]), logits], axis=2)
        missed = -np.take_along_axis(log_softmax(logits, axis=2), ANSWERS[:, None, None], axis=2)[..., 0]
        slope = each[..., None] * (softmax(logits, axis=2)[..., 1:] - right)
        down = np.einsum("vnl,vnlf->lf", slope, features) + 2 * ridge * weights
        return float((each * missed).sum() + ridge * (weights**2).sum()), np.concatenate([down.ravel(), slope.sum(axis=(0, 1))])

    found = minimize(loss, np.zeros(leads * (told + 1)), jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    return found[:-leads].reshape(leads, told), found[-leads:]


def fitted(waves: Sequence[Sequence[Waves]], counts: NDArray[np.float64]) -> Expectation:
    """What records [n][faults] make one expect, rounded as it is kept."""
    expected = fit_expected([one[0] for one in waves], counts).round(3)
    told = np.array([[wave_features(one, expected).reshape(-1, len(CHEST)).T for one in row] for row in waves])
    weights, offsets = fit_logits(told.transpose(1, 0, 2, 3), counts)
    return Expectation(expected, weights.T.reshape(TOLD, len(WAVES), len(CHEST)).round(3), offsets.round(3))


def logits_of(waves: Sequence[Sequence[Waves]], known: Expectation) -> NDArray[np.float64]:
    """[faults, n, 6]."""
    return np.array([[known.turned(one) for one in row] for row in waves]).transpose(1, 0, 2)


def tell(title: str, logits: NDArray[np.float64]) -> None:
    """Print what is named and accused at several thresholds, the module's among them."""
    say(
        f"\n## {title}, {logits.shape[1]} records\n\n"
        "| logit above | turned lead named | right ones accused | arms, leg exchanged, all turned |"
    )
    say("|---|---|---|---|")
    for above in sorted({-1.0, -0.5, TURNED_ABOVE, 0.5, 1.0}):
        named = [(one.argmax(axis=1) == lead) & (one.max(axis=1) > above) for lead, one in enumerate(logits[1:7])]
        accused = logits.max(axis=2) > above
        others = ", ".join(f"{one.mean():.4f}" for one in accused[7:])
        say(f"| {above:g} | {share(np.concatenate(named))} | {share(accused[0])} | {others} |")


def flag_of(middle: Record, known: Expectation) -> str:
    """What the module says of the chest leads of a middle beat."""
    beats = Beats(middle.signal, middle.rate, np.zeros(0, np.int64))
    beats.__dict__["cut"] = np.repeat(middle.signal[:, None], FEWEST_BEATS, axis=1)  # so many beats, all like the middle one
    looks = ["reversed" if is_chest_reversed(beats, ROWS) else "", exchanged_electrodes(beats, LIMB_ROWS)]
    return chest_fault(beats, ROWS, looks=[one for one in looks if one], known=known)


def tell_flags(flags: Mapping[str, Sequence[str]]) -> None:
    """Print how often each fault gets its own flag, and that of a turned lead. flags: by fault, those of all records."""
    say("\n| fault | named | called a turned lead |\n|---|---|---|")
    wanted = {f"{lead} turned": f"chest-inverted:{lead}" for lead in CHEST} | {name: flag for name, (_, flag) in OTHERS.items()}
    groups: dict[str, list[str]] = {}
    for name in flags:
        kind = wanted.get(name, "").partition(":")[0]
        groups.setdefault(f"{kind}, all of them" if kind else name, []).append(name)
    for title, names in groups.items():
        told = [(flag, wanted.get(name, "")) for name in names for flag in flags[name]]
        right, called = [flag == own for flag, own in told], [flag.startswith("chest-inverted") for flag, _ in told]
        say(f"| {title} | {share(right)} | {share(called)} |")


def write(known: Expectation) -> None:
    """Put it where the package reads it, a line for each wave of a lead."""
    parts = (f' "{name}": {_lines(getattr(known, name).tolist())}' for name in ("expected", "weights", "offsets"))
    FITTED.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
    expectation.cache_clear()


def _lines(values: list[Any], indent: int = 2) -> str:
    """Nested lists as JSON, the innermost a line each."""
    if not isinstance(values[0], list):
        return json.dumps(values)
    if isinstance(values[0][0], list):
        return "[\n" + ",\n".join(" " * indent + _lines(one, indent + 1) for one in values) + "]"
    return "[" + f",\n{' ' * indent}".join(map(json.dumps, values)) + "]"


def main() -> None:
    """Read the command line."""
    from sklearn.model_selection import GroupKFold

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ptbxl", help="a store of PTB-XL at 100 Hz")
    parser.add_argument("--fit", action="store_true", help="write chest_leads.json anew")
    chosen = parser.parse_args()
    records, patients = records_of(chosen.ptbxl, "train")
    patients = patients[[beats_of(record).cut.shape[1] >= FEWEST_BEATS for record in records]]
    real = middles(records)
    simulated = middles(
        [simulate(1000 * place + seed, [name], rate=100) for place, name in enumerate(CONDITIONS)
         for seed in range(500, 500 + SIMULATED)]
    )  # fmt: skip
    everyone = waves_under_faults(real + simulated)
    counts = np.where(np.arange(len(everyone)) < len(real), 1.0, SIMULATED_WEIGHT)
    logits = np.empty((len(FAULTS), len(real), len(CHEST)))
    changes = {"none": FAULTS[0], **{f"{lead} turned": fault for lead, fault in zip(CHEST, FAULTS[1:], strict=False)},
               **{name: change for name, (change, _) in OTHERS.items()}}  # fmt: skip
    flags: dict[str, list[str]] = {name: [] for name in changes}
    for learned, asked in GroupKFold(_FOLDS, shuffle=True, random_state=0).split(real, groups=patients):
        seen = np.concatenate([learned, np.arange(len(real), len(everyone))])
        known = fitted([everyone[row] for row in seen], counts[seen])
        logits[:, asked] = logits_of([everyone[row] for row in asked], known)
        for name, change in changes.items():
            flags[name] += [flag_of(change(real[row]), known) for row in asked]
    tell("Folds 1–8, by weights that have not seen them", logits)
    tell_flags(flags)
    if chosen.fit:
        write(fitted(everyone, counts))
    tell("Fold 9", logits_of(waves_under_faults(middles(records_of(chosen.ptbxl, "validation")[0])), expectation()))


if __name__ == "__main__":
    main()
