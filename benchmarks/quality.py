"""What the quality checks find and what they wrongly accuse, on records that they were not fitted to, with Wilson 95 % intervals.

Run: OMP_NUM_THREADS=1 python benchmarks/quality.py [DATA]
DATA holds ptb-xl, challenge-2011 and challenge-2021 as docs/quality.md describes. Weights and thresholds come from
`scripts/fit_quality.py`: PTB-XL folds 1–8 and a random half of Challenge 2011. Everything here is from folds 9–10, the other
half, other hospitals, or the simulator. Printed are the tables of docs/quality.md; the figures told at the end sum them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmelt.records.quality import quality_flags
from cmelt.records.record import Record
from cmelt.simulation import CONDITIONS, simulate
from measuring import Figure, in_turns, options, tell
from quality_records import (
    HELD_FOLDS,
    NONE_HERE,
    arm_and_leg_exchanged,
    arms_exchanged,
    challenge,
    challenge_2011,
    clean_records,
    data_folder,
    halves,
    ptb_xl,
    rate_misstated,
)
from record_changes import flags_of, shares_found

Hits = Sequence[bool] | np.ndarray

EXCHANGES = {"arms-reversed", "electrodes-exchanged:right-arm/leg"}
#: These say what a record is like, not that it is at fault.
REMARKS = ("mains", "derived", "cropped", "padded")


def interval(hits: Hits) -> tuple[float, float, float]:
    """A share, and Wilson's 95 % interval for it."""
    count, total = int(np.sum(hits)), len(hits)
    z, rate = 1.96, count / total
    middle = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * float(np.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total)))
    return rate, max(middle - half, 0.0), min(middle + half, 1.0)


def share(hits: Hits) -> str:
    """A share as "0.970 (0.951–0.982), 485/500" with Wilson's interval."""
    if not len(hits):
        return "–"
    rate, low, high = interval(hits)
    return f"{rate:.3f} ({low:.3f}–{high:.3f}), {int(np.sum(hits))}/{len(hits)}"


def share_figure(what: str, hits: Hits) -> Figure:
    """A share as a figure, its spread Wilson's interval."""
    rate, low, high = (100 * one for one in interval(hits))
    return Figure(what, rate, "%", low=low, high=high, note=f"{int(np.sum(hits))} of {len(hits)}; spread: 95 % interval")


def report_faults(chosen: Sequence[Record]) -> list[Figure]:
    """Each fault in every clean record, and all that is said of the same records as they are."""
    print(f"\n## Faults put into {len(chosen)} clean records (PTB-XL folds 9–10, 100 Hz, no complaint in its table)\n")
    by_fault = {name: hits for name, (hits, _) in shares_found(chosen).items()}
    for name, hits in by_fault.items():
        print(f"| {name} | {share(hits)} |")
    flags = [{flag.split(":")[0] for flag in flags_of(record)} - set(REMARKS) for record in chosen]
    for kind in sorted(set().union(*flags)):
        print(f"| false alarm: {kind} | {share([kind in those for those in flags])} |")
    alarms = [bool(those) for those in flags]
    print(f"| false alarm: any | {share(alarms)} |")
    hardest = min(by_fault, key=lambda name: sum(by_fault[name]))
    return [
        share_figure(f"faults put into clean records found, all {len(by_fault)} kinds", np.concatenate(list(by_fault.values()))),
        share_figure(f"the kind found least: {hardest}", by_fault[hardest]),
        share_figure("false alarm of any kind in clean records", alarms),
    ]


def report_arms(sets: dict[str, list[Record]]) -> list[Figure]:
    """Exchanged electrodes: sensitivity with an exchange made, specificity without."""
    figures = []
    for title, flag, exchange in (
        ("Arm electrodes", "arms-reversed", arms_exchanged),
        ("Right arm's and left leg's electrodes", "electrodes-exchanged:right-arm/leg", arm_and_leg_exchanged),
    ):
        print(f"\n## {title} exchanged\n\n| records | named | named, or the other exchange | specificity |\n|---|---|---|---|")
        for name, records in sets.items():
            flags = [flags_of(exchange(record)) for record in records]
            alarms = [flag in flags_of(record) for record in records]
            hits, either = [flag in those for those in flags], [bool(those & EXCHANGES) for those in flags]
            print(f"| {name} | {share(hits)} | {share(either)} | {share(~np.array(alarms))} |")
            if flag == "arms-reversed":
                figures.append(share_figure(f"exchanged arm electrodes named: {name}", hits))
    return figures


def report_rates(sets: dict[str, list[Record]]) -> None:
    """Rates misstated, and right ones suspected."""
    print("\n## Sampling rate misstated\n\n| records | ×2 found | ÷2 found | falsely suspected |\n|---|---|---|---|")
    for name, records in sets.items():
        doubled = ["rate-suspect:×2" in flags_of(rate_misstated(record, 2.0)) for record in records]
        halved = ["rate-suspect:÷2" in flags_of(rate_misstated(record, 0.5)) for record in records]
        alarms = [any(flag.startswith("rate-suspect") for flag in flags_of(record)) for record in records]
        print(f"| {name} | {share(doubled)} | {share(halved)} | {share(alarms)} |")


def report_conditions() -> None:
    """False alarms on each simulated condition."""
    print("\n## Simulated conditions, false alarms of 100 each\n\n| condition | electrodes | rate-suspect |\n|---|---|---|")
    for condition in CONDITIONS:
        flags = [flags_of(simulate(seed, [condition], rate=100)) for seed in range(100)]
        arms = [bool(EXCHANGES & those) for those in flags]
        rates = [any(flag.startswith("rate-suspect") for flag in those) for those in flags]
        if sum(arms) + sum(rates):
            print(f"| {condition} | {sum(arms)} | {sum(rates)} |")


def report_noise(data: Path) -> list[Figure]:
    """People's verdicts against ours, on the half that nothing was chosen on."""
    records, acceptable = challenge_2011(data)
    _, held = halves(len(records))
    # By the flags alone: what is refused for its amplitude is judged here, too.
    poor = np.array(["poor-quality" in quality_flags(records[row]) for row in held])
    bad = acceptable[held] == 0
    print("\n## Poor quality against people's verdicts (Challenge 2011, the held half)\n")
    print(f"sensitivity {share(poor[bad])}; specificity {share(~poor[~bad])}")
    return [
        share_figure("poor quality, people's verdicts: sensitivity", poor[bad]),
        share_figure("poor quality, people's verdicts: specificity", ~poor[~bad]),
    ]


def report_mains(records: list[Record]) -> None:
    """Mains put into records at 500 Hz, in each lead with a phase of its own."""
    print("\n## Mains\n\n| added, µV | 50 Hz named | 60 Hz named |\n|---|---|---|")
    for microvolts in (5, 10, 20, 50):
        named = []
        for hertz in (50, 60):
            rng = np.random.default_rng(hertz)
            hits = []
            for record in records:
                at = np.arange(record.signal.shape[1]) / record.rate
                turn = 2 * np.pi * (hertz + 0.05 * rng.standard_normal()) * at + rng.uniform(0, 6.28, (12, 1))
                hum = (microvolts / 1000 * np.sin(turn)).astype(np.float32)
                hits.append(f"mains:{hertz}" in flags_of(replace(record, signal=record.signal + hum)))
            named.append(share(hits))
        print(f"| {microvolts} | {named[0]} | {named[1]} |")
    print(f"as they are: {share([any(flag.startswith('mains') for flag in flags_of(record)) for record in records])}")


def report_cost(records: list[Record]) -> list[Figure]:
    """Milliseconds of this process a record, the best of five runs."""
    taken = in_turns({"all": lambda: [quality_flags(record) for record in records]})["all"]
    times = [1000 * one.processor / len(records) for one in taken]
    samples = records[0].signal.shape[1]
    print(f"\n## Cost\n\n{min(times):.2f} ms a record of 12 × {samples} samples, all checks together\n")
    return [
        Figure("all quality checks of a record", min(times), "ms", low=min(times), high=max(times), note=f"12 × {samples}, best")
    ]


def main() -> None:
    """Everything, in the order of docs/quality.md."""
    parser = options(__doc__)
    parser.add_argument("data", nargs="?", help="the folder of real ECGs")
    chosen = parser.parse_args()
    data = data_folder(chosen.data)
    if data is None:
        tell([], chosen.json, [NONE_HERE])
        return
    tell(measured(data), chosen.json)


def measured(data: Path) -> list[Figure]:
    """Print the tables, and return what sums them up."""
    slow, fast = ptb_xl(data, 100, HELD_FOLDS), ptb_xl(data, 500, HELD_FOLDS)
    sets = {
        "PTB-XL folds 9–10, 100 Hz": slow,
        "PTB-XL folds 9–10, 500 Hz": fast,
        "Chapman–Ningbo, 500 Hz": challenge(data, "chapman-ningbo"),
        "CPSC 2018, 500 Hz": challenge(data, "cpsc2018*"),
        "simulated, drawn conditions, 250 Hz": [simulate(seed, rate=250) for seed in range(5000, 5500)],
    }
    figures = report_faults(clean_records(data, HELD_FOLDS)) + report_arms(sets)
    report_rates(sets)
    figures += report_noise(data)
    report_mains(fast)
    report_conditions()
    return report_cost(fast) + figures


if __name__ == "__main__":
    main()
