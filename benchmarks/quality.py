"""What the quality checks find and what they wrongly accuse, on records that they were not fitted to, with Wilson 95 % intervals.

Run: OMP_NUM_THREADS=1 python benchmarks/quality.py [DATA]
DATA holds ptb-xl, challenge-2011 and challenge-2021 as docs/quality.md describes. Weights and thresholds come from
`scripts/fit_quality.py`: PTB-XL folds 1–8 and a random half of Challenge 2011. Everything here is from folds 9–10, the other
half, other hospitals, or the simulator. Printed are the tables of docs/quality.md; the figures told at the end sum them up.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.leads import select_leads
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, LIMB_LEADS, Record
from cmelt.records.units import refuse_impossible_amplitude
from cmelt.simulation import CONDITIONS, simulate
from measuring import Figure, in_turns, options, tell
from quality_records import (
    HELD_FOLDS,
    NONE_HERE,
    arm_and_leg_exchanged,
    arms_exchanged,
    challenge,
    challenge_2011,
    data_folder,
    halves,
    ptb_xl,
    rate_misstated,
)

Hits = Sequence[bool] | np.ndarray

COMPLAINTS = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")
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


def found(record: Record) -> set[str]:
    """Flags, and "refused" where the amplitude is impossible."""
    try:
        refuse_impossible_amplitude(record.signal, "record")
    except RecordError:
        return {"refused"}
    return set(quality_flags(record))


def with_row(record: Record, row: int, values: np.ndarray) -> Record:
    """The record with one lead's samples replaced."""
    signal = record.signal.copy()
    signal[row] = values
    return replace(record, signal=signal)


def faults() -> dict[str, Callable[[Record, np.random.Generator], tuple[Record, str]]]:
    """Each fault → what makes it, and the flag that has to name it."""

    def nan_run(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        row, at = int(rng.integers(12)), int(rng.integers(0, record.signal.shape[1] * 4 // 5))
        values = record.signal[row].copy()
        values[at : at + int(record.rate)] = np.nan
        return with_row(record, row, values), f"nan:{LEADS[row]}"

    def infinite(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        row = int(rng.integers(12))
        values = record.signal[row].copy()
        values[int(rng.integers(values.size))] = np.inf
        return with_row(record, row, values), f"nan:{LEADS[row]}"

    def flat(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        row = int(rng.integers(12))
        return with_row(record, row, np.full(record.signal.shape[1], 0.2)), f"flat:{LEADS[row]}"

    def saturated(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        row = int(rng.integers(12))
        drift = 2 * np.sin(2 * np.pi * 0.25 * np.arange(record.signal.shape[1]) / record.rate + rng.uniform(0, 6.28))
        return with_row(record, row, np.clip(record.signal[row] + drift, -1.5, 1.5)), f"clipped:{LEADS[row]}"

    def missing(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        lead = LEADS[int(rng.integers(12))]
        return select_leads(record, [name for name in LEADS if name != lead]), f"missing:{lead}"

    def duplicated(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        one, other = sorted(rng.choice(np.arange(6, 12), 2, replace=False).tolist())
        return with_row(record, other, record.signal[one]), f"duplicated:{LEADS[one]}/{LEADS[other]}"

    def swapped(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        one, other = sorted(rng.choice(6, 2, replace=False).tolist())
        names = list(LEADS)
        names[one], names[other] = names[other], names[one]
        return replace(record, leads=tuple(names)), f"limb-swapped:{LIMB_LEADS[one]}/{LIMB_LEADS[other]}"

    def inverted(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
        row = int(rng.integers(6))
        return with_row(record, row, -record.signal[row]), f"limb-inverted:{LEADS[row]}"

    def scaled(factor: float, flag: str) -> Callable[[Record, np.random.Generator], tuple[Record, str]]:
        return lambda record, _: (replace(record, signal=(record.signal * factor).astype(np.float32)), flag)

    def misstated(factor: float, flag: str) -> Callable[[Record, np.random.Generator], tuple[Record, str]]:
        return lambda record, _: (rate_misstated(record, factor), flag)

    return {
        "NaN for a second": nan_run, "one infinite sample": infinite, "flat lead": flat, "saturated lead": saturated,
        "missing lead": missing, "duplicated chest lead": duplicated,
        "limb names swapped": swapped, "limb lead inverted": inverted,
        "µV read as mV": scaled(1000, "refused"), "mV read as µV": scaled(0.001, "unit-suspect"),
        "rate ×2": misstated(2, "rate-suspect:×2"), "rate ÷2": misstated(0.5, "rate-suspect:÷2"),
        "two seconds": lambda record, _: (replace(record, signal=record.signal[:, : int(2 * record.rate)]), "short"),
    }  # fmt: skip


def clean_numbers(data: Path) -> set[int]:
    """PTB-XL's records whose table complains of no noise, drift or electrode."""
    with (data / "ptb-xl/ptbxl_database.csv").open(encoding="utf-8") as table:
        return {int(row["ecg_id"]) for row in csv.DictReader(table) if not any(row[name].strip() for name in COMPLAINTS)}


def report_faults(data: Path, records: list[Record]) -> list[Figure]:
    """Each fault in every clean record, and what is said of the same records as they are."""
    clean = clean_numbers(data)
    chosen = [record for record in records if int(record.identifier[:5]) in clean]
    by_fault: dict[str, list[bool]] = {}
    print(f"\n## Faults put into {len(chosen)} clean records (PTB-XL folds 9–10, 100 Hz, no complaint in its table)\n")
    for name, make in faults().items():
        rng = np.random.default_rng(len(name))
        by_fault[name] = [flag in found(changed) for changed, flag in (make(record, rng) for record in chosen)]
        print(f"| {name} | {share(by_fault[name])} |")
    flags = [{flag.split(":")[0] for flag in found(record)} - set(REMARKS) for record in chosen]
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
            flags = [found(exchange(record)) for record in records]
            alarms = [flag in found(record) for record in records]
            hits, either = [flag in those for those in flags], [bool(those & EXCHANGES) for those in flags]
            print(f"| {name} | {share(hits)} | {share(either)} | {share(~np.array(alarms))} |")
            if flag == "arms-reversed":
                figures.append(share_figure(f"exchanged arm electrodes named: {name}", hits))
    return figures


def report_rates(sets: dict[str, list[Record]]) -> None:
    """Rates misstated, and right ones suspected."""
    print("\n## Sampling rate misstated\n\n| records | ×2 found | ÷2 found | falsely suspected |\n|---|---|---|---|")
    for name, records in sets.items():
        doubled = ["rate-suspect:×2" in found(rate_misstated(record, 2.0)) for record in records]
        halved = ["rate-suspect:÷2" in found(rate_misstated(record, 0.5)) for record in records]
        alarms = [any(flag.startswith("rate-suspect") for flag in found(record)) for record in records]
        print(f"| {name} | {share(doubled)} | {share(halved)} | {share(alarms)} |")


def report_conditions() -> None:
    """False alarms on each simulated condition."""
    print("\n## Simulated conditions, false alarms of 100 each\n\n| condition | electrodes | rate-suspect |\n|---|---|---|")
    for condition in CONDITIONS:
        flags = [found(simulate(seed, [condition], rate=100)) for seed in range(100)]
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
                hits.append(f"mains:{hertz}" in found(replace(record, signal=record.signal + hum)))
            named.append(share(hits))
        print(f"| {microvolts} | {named[0]} | {named[1]} |")
    print(f"as they are: {share([any(flag.startswith('mains') for flag in found(record)) for record in records])}")


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
    figures = report_faults(data, slow) + report_arms(sets)
    report_rates(sets)
    figures += report_noise(data)
    report_mains(fast)
    report_conditions()
    return report_cost(fast) + figures


if __name__ == "__main__":
    main()
