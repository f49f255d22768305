"""Faults put into records, each with the flag that has to name it, for every script that counts what is found.

`FAULTS` change a record, `flags_of` is what is said of it, `found` whether that finds the fault, and `alarms` which flags of a
record as it is are false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.leads import select_leads
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, LIMB_LEADS, Record
from cmelt.records.standard import standardise
from quality_records import rate_misstated

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


def shares_found(records: Sequence[Record]) -> dict[str, tuple[list[bool], list[bool]]]:
    """For each fault and record: whether it is found, and whether it is named."""
    shares = {}
    for number, (name, (change, _)) in enumerate(FAULTS.items()):
        rng = np.random.default_rng(number)
        told = [(flags_of(changed), flag) for changed, flag in (change(record, rng) for record in records)]
        shares[name] = [found(flags, flag) for flags, flag in told], [flag in flags for flags, flag in told]
    return shares
