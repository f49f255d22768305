"""Fit the checks of records/polarity.py (upside-down records, chest leads reversed or exchanged); measure these and turned leads.

python scripts/polarity.py PTBXL_STORE --fit              weights and thresholds from folds 1–8 and simulated hearts; fold 9
python scripts/polarity.py PTBXL_STORE [OTHER_STORE …]    the module as it is, on fold 10 and on other stores

Stores are those of `cmelt prepare`. Shares are printed with Wilson's 95 % intervals.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.records import chest_leads, polarity
from cmelt.records.beats import Beats, beats_of
from cmelt.records.polarity import ALL_NEEDED, CHEST, against_order, beat_gram, unlikeness, uprightness
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record
from cmelt.simulation import CONDITIONS, simulate
from cmelt.store import open_store
from cmelt.store.copies import overlap

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from quality import share  # type: ignore[import-not-found]
from quality_records import arms_exchanged  # type: ignore[import-not-found]

ROWS = {lead: LEADS.index(lead) for lead in ALL_NEEDED}
#: Share of right records of folds 1–8 that each check may accuse; that of turned chest leads is what `turned_leads.py` finds.
FALSE_ALARMS = {"upside-down": 0.002, "chest-inverted": 0.001, "chest-swapped": 0.002, "chest-reversed": 0.001}
#: Of each simulated condition, for hearts that are rare in PTB-XL.
SIMULATED = 12
#: In right ventricular hypertrophy V1 to V6 go as if in reverse: so many more such hearts, that the order of leads is learned
#: beside them, and how much each counts. Chosen on fold 9 and on the simulated hearts that `measure_simulated` asks about.
RIGHT_HEARTS, _RIGHT_WEIGHT = 60, 0.3
_FOLDS = 5
#: Inverse strength of the ridge; how much a simulated record counts beside a real one.
_INVERSE_RIDGE, _SIMULATED_WEIGHT = 3.0, 0.1

Fit = tuple[NDArray[np.float64], NDArray[np.float64]]


def say(line: str) -> None:
    """One line of the result."""
    sys.stdout.write(line + "\n")


def records_of(folder: str, split: str | None = None) -> tuple[list[Record], NDArray[np.str_]]:
    """Records of a store, of one split or all, and their patients."""
    store = open_store(folder)
    rows = np.arange(len(store)) if split is None else store.rows(split)
    signals = store.millivolts(rows).astype(np.float32)
    names, patients = (store.index[name].to_numpy(str)[rows] for name in ("record", "patient"))
    return [Record(one, store.rate, LEADS, identifier=name) for one, name in zip(signals, names, strict=True)], patients


def others_of(folder: str, ptbxl: str) -> list[Record]:
    """All records of a store that are no copies of PTB-XL's."""
    own, known = (open_store(one).index["fingerprint"].to_list() for one in (folder, ptbxl))
    copies = set(overlap(own, known)[:, 0].tolist())
    return [record for row, record in enumerate(records_of(folder)[0]) if row not in copies]


def fit_upright(features: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right records [n, ways, leads] → weights [ways, leads] of the logit of being upside down; turned ones are the others.

    Of `against_order` [n, ways, 3] → [ways, 3] likewise of having V1 to V6 in reverse.

    counts: [n] how much each record counts.
    """
    from sklearn.linear_model import LogisticRegression

    flat = features.reshape(len(features), -1)
    both, wrong = np.concatenate([flat, -flat]), np.repeat([0, 1], len(flat))
    model = LogisticRegression(C=_INVERSE_RIDGE, fit_intercept=False, max_iter=5000)
    return np.asarray(model.fit(both, wrong, sample_weight=np.tile(counts, 2)).coef_.reshape(features.shape[1:]))


def fit_expected(grams: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right records [n, 6, 6] → what of each other chest lead one is expected to be [6, 6]: least squares."""
    total = np.average(grams, axis=0, weights=counts) + 1e-4 * np.eye(len(CHEST))
    found = np.zeros_like(total)
    for row in range(len(CHEST)):
        others = [other for other in range(len(CHEST)) if other != row]
        found[row, others] = np.linalg.solve(total[np.ix_(others, others)], total[others, row])
    return found


def scores_of(
    beats: Sequence[Beats], upright: NDArray[np.float64], order: NDArray[np.float64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[n, 4]: logit of being upside down; lowest ratio with a lead turned, with two exchanged; logit of V1 to V6 in reverse."""
    ratios = np.array([unlikeness(beat_gram(one, ROWS), expected) for one in beats])
    ways = np.array([uprightness(one, ROWS) for one in beats])
    logits = [(features * weights).sum(axis=(1, 2)) for features, weights in ((ways, upright), (against_order(ways), order))]
    return np.stack([logits[0], ratios[:, :6].min(axis=1), ratios[:, 6:].min(axis=1), logits[1]], axis=1)


def right_hearts() -> NDArray[np.float64]:
    """[n, ways, 3] `against_order` of simulated hearts with right ventricular hypertrophy, their leads right."""
    place = list(CONDITIONS).index("right-ventricular-hypertrophy")
    records = [simulate(1000 * place + seed, [list(CONDITIONS)[place]], rate=100) for seed in range(520, 520 + RIGHT_HEARTS)]
    beats = [one for one in map(beats_of, records) if one.cut.shape[1] >= 3]
    return against_order(np.array([uprightness(one, ROWS) for one in beats]))


def fit(folder: str) -> None:
    """Print what goes into the module, thresholds by scores that weights have not seen, and the share of fold 9 beyond them."""
    from sklearn.model_selection import GroupKFold

    records, patients = records_of(folder, "train")
    real = [beats_of(record) for record in records]
    simulated = [beats_of(one) for place, name in enumerate(CONDITIONS) for one in
                 (simulate(1000 * place + seed, [name], rate=100) for seed in range(500, 500 + SIMULATED))]  # fmt: skip
    enough = [one.cut.shape[1] >= 3 for one in real]
    real, patients = [one for one, kept in zip(real, enough, strict=True) if kept], patients[enough]
    beats = real + [one for one in simulated if one.cut.shape[1] >= 3]
    upright = np.array([uprightness(one, ROWS) for one in beats])
    grams = np.array([beat_gram(one, ROWS) for one in beats])
    counts = np.where(np.arange(len(beats)) < len(real), 1.0, _SIMULATED_WEIGHT)
    right = right_hearts()
    orders = np.concatenate([against_order(upright), right])
    order_counts = np.concatenate([counts, np.full(len(right), _RIGHT_WEIGHT)])
    always = np.arange(len(beats), len(orders))
    scores = np.empty((len(real), 4))
    for learned, asked in GroupKFold(_FOLDS, shuffle=True, random_state=0).split(real, groups=patients):
        seen = np.concatenate([learned, np.arange(len(real), len(beats))])
        scores[asked] = scores_of(
            [real[row] for row in asked],
            fit_upright(upright[seen], counts[seen]),
            fit_upright(orders[[*seen, *always]], order_counts[[*seen, *always]]),
            fit_expected(grams[seen], counts[seen]),
        )
    weights, expected = fit_upright(upright, counts).round(2), fit_expected(grams, counts).round(3)
    order = fit_upright(orders, order_counts).round(2)
    above = np.quantile(scores[:, 0], 1 - FALSE_ALARMS["upside-down"])
    backwards = np.quantile(scores[:, 3], 1 - FALSE_ALARMS["chest-reversed"])
    exchanged = np.quantile(scores[:, 2], FALSE_ALARMS["chest-swapped"])
    say(f"_UPRIGHT_WEIGHTS = {weights.tolist()}\n_EXPECTED = {expected.tolist()}")
    say(f"UPSIDE_DOWN_ABOVE, EXCHANGED_BELOW = {above:.2f}, {exchanged:.3f}")
    say(f"_ORDER_WEIGHTS = {order.tolist()}\nREVERSED_ABOVE = {backwards:.2f}")
    polarity._UPRIGHT_WEIGHTS, chest_leads._EXPECTED = weights, expected
    polarity._ORDER_WEIGHTS, polarity.REVERSED_ABOVE = order, backwards
    polarity.UPSIDE_DOWN_ABOVE, chest_leads.EXCHANGED_BELOW = above, exchanged
    measure("validation (fold 9)", records_of(folder, "validation")[0])


def upside_down(record: Record) -> Record:
    """Every lead turned."""
    return replace(record, signal=-record.signal)


def turned(record: Record, lead: str) -> Record:
    """One lead turned."""
    signal = record.signal.copy()
    signal[LEADS.index(lead)] *= -1
    return replace(record, signal=signal)


def exchanged(record: Record, one: str, other: str) -> Record:
    """Two leads under each other's names."""
    order = list(LEADS)
    first, second = order.index(one), order.index(other)
    order[first], order[second] = order[second], order[first]
    return replace(record, signal=record.signal[[LEADS.index(lead) for lead in order]])


def reversed_chest(record: Record) -> Record:
    """V1 to V6 in reverse."""
    return replace(record, signal=record.signal[[*range(6), *range(11, 5, -1)]])


def measure(title: str, records: list[Record]) -> None:
    """Print sensitivities by fault, and what is said of the same records as they are."""
    say(f"\n## {title}, {len(records)} records\n\n| fault | named | named, or another of these faults |\n|---|---|---|")
    faults: dict[str, tuple[Callable[[Record], Record], str]] = {"upside down": (upside_down, "upside-down")}
    faults |= {f"{lead} turned": (partial(turned, lead=lead), f"chest-inverted:{lead}") for lead in CHEST}
    faults |= {
        f"{a} and {b} exchanged": (partial(exchanged, one=a, other=b), f"chest-swapped:{a}/{b}")
        for a, b in combinations(CHEST, 2)
    }
    faults["V1 to V6 in reverse"] = (reversed_chest, "chest-reversed")
    counted: dict[str, list[bool]] = {}
    for name, (make, flag) in faults.items():
        found = [own_flags(make(record)) for record in records]
        named = [flag in flags for flags in found]
        counted.setdefault(flag.partition(":")[0], []).extend(named)
        say(f"| {name} | {share(named)} | {share([bool(flags) for flags in found])} |")
    for kind in ("chest-inverted", "chest-swapped"):
        say(f"| all {kind} | {share(counted[kind])} | |")
    alarms = [own_flags(record) for record in records]
    for kind in FALSE_ALARMS:
        say(f"| false alarm: {kind} | {share([any(flag.startswith(kind) for flag in flags) for flags in alarms])} | |")
    say(f"| false alarm: any | {share([bool(flags) for flags in alarms])} | |")
    say(
        "accused: "
        + ", ".join(f"{one.identifier} ({', '.join(flags)})" for one, flags in zip(records, alarms, strict=True) if flags)
    )
    arms = [own_flags(arms_exchanged(record)) for record in records]
    say(f"arm electrodes exchanged, taken for one of these: {share([bool(flags) for flags in arms])}")


def own_flags(record: Record) -> list[str]:
    """The flags of this module that a record gets."""
    return [flag for flag in quality_flags(record) if flag.startswith(tuple(FALSE_ALARMS))]


def measure_simulated() -> None:
    """Conditions whose simulated records are accused, of 40 each that nothing was fitted on."""
    say("\n## Simulated, false alarms of 40 each\n")
    for place, name in enumerate(CONDITIONS):
        found = [own_flags(simulate(1000 * place + seed, [name], rate=100)) for seed in range(40)]
        if any(found):
            say(f"| {name} | {sum(map(bool, found))} | {', '.join(sorted({flag for flags in found for flag in flags}))} |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ptbxl", help="a store of PTB-XL")
    parser.add_argument("others", nargs="*", help="stores of other hospitals")
    parser.add_argument("--fit", action="store_true", help="fit on folds 1–8 and look at fold 9")
    chosen = parser.parse_args()
    if chosen.fit:
        fit(chosen.ptbxl)
        return
    measure("PTB-XL fold 10", records_of(chosen.ptbxl, "test")[0])
    for folder in chosen.others:
        measure(Path(folder).name, others_of(folder, chosen.ptbxl))
    measure_simulated()


if __name__ == "__main__":
    main()
