"""Twelve faults put into 500 clean real records: how many are found, what is wrongly accused, and people's verdicts on quality.

Run: OMP_NUM_THREADS=1 python benchmarks/faults/record_faults.py [DATA] [--records 500] [--json FILE]

Clean is what PTB-XL's own table complains of nothing in, and whose twelve leads all carry something. All such records of folds 9
and 10 are taken, which no weight and no threshold was fitted on, and of folds 1 to 8 as many as are missing from 500, those whose
numbers' SHA-256 come first. Figures for the former alone stand beside. A fault is *found* where the flag that names it is there,
or where the record is refused, as it then is by `cmelt prepare`. A false alarm is any flag of the twelve faults on a record as it
is. People's verdicts are those of the Challenge 2011, of the half that nothing was chosen on.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.leads import select_leads
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, LIMB_LEADS, Record
from cmelt.records.standard import standardise

sys.path.append(str(Path(__file__).resolve().parents[1]))
from measuring import Figure, options, tell, verdict
from quality import clean_numbers, share, share_figure
from quality_records import (
    FIT_FOLDS,
    HELD_FOLDS,
    NONE_HERE,
    challenge,
    challenge_2011,
    data_folder,
    halves,
    ptb_xl,
    rate_misstated,
)

REFUSED = "refused"
#: Flags, up to their colon, that name one of the twelve faults.
NAMES_A_FAULT = frozenset({
    "nan", "flat", "clipped", "missing", "duplicated", "limb-swapped", "limb-inverted", "limb-inconsistent", "chest-inverted",
    "upside-down", "unit-suspect", "rate-suspect", "short", REFUSED,
})  # fmt: skip
#: A changed record, and the flag that has to name the change.
Change = Callable[[Record, np.random.Generator], tuple[Record, str]]


def _with_row(record: Record, row: int, values: np.ndarray) -> Record:
    signal = record.signal.copy()
    signal[row] = values
    return replace(record, signal=signal)


def _nan_run(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    row, samples = int(rng.integers(12)), record.signal.shape[1]
    length = int(record.rate * rng.uniform(0.05, 5))
    begin = int(rng.integers(0, samples - length))
    values = record.signal[row].copy()
    values[begin : begin + length] = np.nan
    return _with_row(record, row, values), f"nan:{LEADS[row]}"


def _infinite(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    row = int(rng.integers(12))
    values = record.signal[row].copy()
    values[int(rng.integers(values.size))] = rng.choice([np.inf, -np.inf])
    return _with_row(record, row, values), f"nan:{LEADS[row]}"


def _flat(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    row = int(rng.integers(12))
    return _with_row(record, row, np.full(record.signal.shape[1], rng.uniform(-1, 1))), f"flat:{LEADS[row]}"


def _saturated(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    """A baseline that wanders ±2 mV against rails at ±1.5 mV."""
    row = int(rng.integers(12))
    time = np.arange(record.signal.shape[1]) / record.rate
    wandering = record.signal[row] + 2 * np.sin(2 * np.pi * 0.25 * time + rng.uniform(0, 2 * np.pi))
    return _with_row(record, row, np.clip(wandering, -1.5, 1.5)), f"clipped:{LEADS[row]}"


def _missing(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    gone = LEADS[int(rng.integers(12))]
    return select_leads(record, [lead for lead in LEADS if lead != gone]), f"missing:{gone}"


def _duplicated(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    one, other = sorted(rng.choice(12, 2, replace=False).tolist())
    return _with_row(record, other, record.signal[one]), f"duplicated:{LEADS[one]}/{LEADS[other]}"


def _labels_swapped(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    one, other = sorted(rng.choice(6, 2, replace=False).tolist())
    names = list(LEADS)
    names[one], names[other] = names[other], names[one]
    return replace(record, leads=tuple(names)), f"limb-swapped:{LIMB_LEADS[one]}/{LIMB_LEADS[other]}"


def _inverted(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    row = int(rng.integers(6))
    return _with_row(record, row, -record.signal[row]), f"limb-inverted:{LEADS[row]}"


def _chest_inverted(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    row = int(rng.integers(6, 12))
    return _with_row(record, row, -record.signal[row]), f"chest-inverted:{LEADS[row]}"


def _scaled(factor: float, flag: str, record: Record, _: np.random.Generator) -> tuple[Record, str]:
    return replace(record, signal=(record.signal * np.float32(factor)).astype(np.float32)), flag


def _misstated(factor: float, flag: str, record: Record, _: np.random.Generator) -> tuple[Record, str]:
    return rate_misstated(record, factor), flag


def _too_short(record: Record, rng: np.random.Generator) -> tuple[Record, str]:
    return replace(record, signal=record.signal[:, : int(record.rate * rng.uniform(0.5, 4.9))]), "short"


#: The twelve, an inverted lead as two and a wrong rate as two; each with what it must reach, in percent.
FAULTS: Mapping[str, tuple[Change, str]] = {
    "NaN run, 0.05 to 5 s": (_nan_run, "≥ 99"),
    "one infinite sample": (_infinite, "≥ 99"),
    "flat lead": (_flat, "≥ 99"),
    "saturated lead": (_saturated, "≥ 99"),
    "missing lead": (_missing, "≥ 99"),
    "duplicated lead": (_duplicated, "≥ 99"),
    "two limb labels swapped": (_labels_swapped, "≥ 99"),
    "limb lead inverted": (_inverted, "≥ 99"),
    "chest lead inverted": (_chest_inverted, "≥ 99"),
    "µV read as mV": (partial(_scaled, 1000.0, REFUSED), "≥ 99"),
    "mV read as µV": (partial(_scaled, 0.001, "unit-suspect"), "≥ 99"),
    "rate × 2": (partial(_misstated, 2.0, "rate-suspect:×2"), "≥ 90"),
    "rate ÷ 2": (partial(_misstated, 0.5, "rate-suspect:÷2"), "≥ 90"),
    "too short, 0.5 to 4.9 s": (_too_short, "≥ 99"),
}


def flags_of(record: Record) -> set[str]:
    """What is said of a record, and `REFUSED` where it would not be prepared."""
    flags = set(quality_flags(record))
    try:
        standardise(record, record.rate)
    except RecordError:
        flags.add(REFUSED)
    return flags


def found(flags: set[str], flag: str) -> bool:
    """Whether the fault is named, or the record refused."""
    return flag in flags or REFUSED in flags


def alarms(records: Sequence[Record]) -> list[set[str]]:
    """Which of the twelve faults each record is accused of, as it is."""
    return [{flag.split(":")[0] for flag in flags_of(record)} & NAMES_A_FAULT for record in records]


def clean_records(data: Path, count: int) -> tuple[list[Record], int]:
    """`count` clean records, those of the held folds first, and how many of these there are."""
    clean = clean_numbers(data)

    def of(folds: range) -> list[Record]:
        records = [record for record in ptb_xl(data, 100, folds) if int(record.identifier[:5]) in clean]
        return sorted(records, key=lambda record: hashlib.sha256(record.identifier.encode()).digest())

    held = of(HELD_FOLDS)[:count]
    more = of(FIT_FOLDS)[: count - len(held)] if len(held) < count else []
    return held + more, len(held)


def shares_found(records: Sequence[Record]) -> dict[str, tuple[list[bool], list[bool]]]:
    """For each fault and record: whether it is found, and whether it is named."""
    shares = {}
    for number, (name, (change, _)) in enumerate(FAULTS.items()):
        rng = np.random.default_rng(number)
        told = [(flags_of(changed), flag) for changed, flag in (change(record, rng) for record in records)]
        shares[name] = [found(flags, flag) for flags, flag in told], [flag in flags for flags, flag in told]
    return shares


def fault_figures(records: Sequence[Record], held: int) -> list[Figure]:
    """The table of faults and false alarms, printed, and its figures."""
    print(f"\n## Faults put into {len(records)} clean records, {held} of them of folds 9 and 10\n")
    print("| fault | found | named | found, folds 9 and 10 alone |\n|---|---|---|---|")
    figures = []
    for name, (hits, named) in shares_found(records).items():
        print(f"| {name} | {share(hits)} | {share(named)} | {share(hits[:held])} |")
        target = FAULTS[name][1]
        figure = share_figure(f"found: {name}", hits)
        figures.append(replace(figure, target=target, met=verdict(figure.value, target)))
        if name.startswith(("rate", "chest")):
            figures.append(share_figure(f"found: {name}, folds 9 and 10 alone", hits[:held]))
    accused = alarms(records)
    for kind in sorted(set().union(*accused)):
        print(f"| false alarm: {kind} | {share([kind in those for those in accused])} | | |")
    wrong = [bool(those) for those in accused]
    print(f"| false alarm: any of the twelve | {share(wrong)} | | {share(wrong[:held])} |")
    figure = share_figure("false alarms, any of the twelve faults", wrong)
    figures.append(replace(figure, target="≤ 1", met=verdict(figure.value, "≤ 1")))
    return [*figures, share_figure("false alarms, folds 9 and 10 alone", wrong[:held])]


def elsewhere_figures(data: Path) -> list[Figure]:
    """The same on other hospitals' records, which are not chosen for being clean: where the rate check is weaker."""
    figures = []
    print("\n## Records of other hospitals, all at hand whose leads all carry something\n")
    print("| records | fault | found |\n|---|---|---|")
    for place, part in (("Chapman–Ningbo", "chapman-ningbo"), ("CPSC 2018", "cpsc2018*")):
        records = [
            record for record in challenge(data, part) if not any(flag.startswith("flat") for flag in quality_flags(record))
        ]
        for name, (hits, _) in shares_found(records).items():
            if not all(hits):
                print(f"| {place} | {name} | {share(hits)} |")
                figures.append(share_figure(f"found: {name}, {place}", hits))
        wrong = [bool(those) for those in alarms(records)]
        print(f"| {place} | false alarm: any of the twelve | {share(wrong)} |")
        figures.append(share_figure(f"false alarms, {place}", wrong))
    return figures


def verdict_figures(data: Path) -> list[Figure]:
    """Ours on quality against people's, on the half of the Challenge 2011 that nothing was chosen on."""
    records, acceptable = challenge_2011(data)
    _, held = halves(len(records))
    poor = np.array(["poor-quality" in quality_flags(records[row]) for row in held])
    bad = acceptable[held] == 0
    figures = []
    print(f"\n## Poor quality against people's verdicts, {len(held)} records\n")
    for name, hits in (("sensitivity", poor[bad]), ("specificity", ~poor[~bad])):
        print(f"{name} {share(hits)}")
        figure = share_figure(f"poor quality against people's verdicts: {name}", hits)
        figures.append(replace(figure, target="≥ 90", met=verdict(figure.value, "≥ 90")))
    return figures


def main() -> None:
    """Everything, in the order of docs/reliability.md."""
    parser = options(__doc__)
    parser.add_argument("data", nargs="?", help="the folder of real ECGs")
    parser.add_argument("--records", type=int, default=500, help="clean records")
    chosen = parser.parse_args()
    data = data_folder(chosen.data)
    if data is None:
        tell([], chosen.json, [NONE_HERE])
        return
    records, held = clean_records(data, chosen.records)
    tell(fault_figures(records, held) + elsewhere_figures(data) + verdict_figures(data), chosen.json)


if __name__ == "__main__":
    main()
