"""The real records that quality checks are fitted to and measured on."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.leads import select_leads
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record

FIT_FOLDS, HELD_FOLDS = range(1, 9), range(9, 11)


#: What PTB-XL's table complains of.
COMPLAINTS = ("baseline_drift", "static_noise", "burst_noise", "electrodes_problems")

NONE_HERE = "no real recordings here; name their folder, or set CMELT_DATA_DIR"


def data_folder(named: str | None) -> Path | None:
    """The folder of real ECGs: the one named, $CMELT_DATA_DIR, or `../shared/data` by the repository; None without one."""
    named = named or os.environ.get("CMELT_DATA_DIR")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if (folder / "ptb-xl").is_dir() else None


def read_all(paths: Iterable[Path]) -> list[Record]:
    """The 12-lead records at `paths`; others are left out."""
    found = []
    for path in sorted(paths):
        try:
            found.append(replace(select_leads(read_ecg(path), LEADS), identifier=path.stem))
        except RecordError:
            continue
    return found


@cache
def folds(data: Path) -> dict[int, int]:
    """PTB-XL's number → fold."""
    with (data / "ptb-xl/ptbxl_database.csv").open(encoding="utf-8") as table:
        return {int(row["ecg_id"]): int(row["strat_fold"]) for row in csv.DictReader(table)}


def ptb_xl(data: Path, rate: int, of: Iterable[int]) -> list[Record]:
    """PTB-XL's records at 100 or 500 Hz in these folds."""
    wanted = {number for number, fold in folds(data).items() if fold in set(of)}
    paths = (data / f"ptb-xl/records{rate}").glob("*/*.hea")
    return read_all(path for path in paths if int(path.stem[:5]) in wanted)


def clean_records(data: Path, of: Iterable[int]) -> list[Record]:
    """PTB-XL's at 100 Hz in these folds whose table complains of no noise, drift or electrode, by the SHA-256 of their names."""
    with (data / "ptb-xl/ptbxl_database.csv").open(encoding="utf-8") as table:
        clean = {int(row["ecg_id"]) for row in csv.DictReader(table) if not any(row[name].strip() for name in COMPLAINTS)}
    records = [record for record in ptb_xl(data, 100, of) if int(record.identifier[:5]) in clean]
    return sorted(records, key=lambda record: hashlib.sha256(record.identifier.encode()).digest())


def challenge(data: Path, part: str) -> list[Record]:
    """A part of the Challenge 2021."""
    return read_all((data / "challenge-2021").glob(f"{part}/*.hea"))


def challenge_2011(data: Path) -> tuple[list[Record], np.ndarray]:
    """Records that people called acceptable (1) or not (0)."""
    held = np.load(data / "challenge-2011/set-a_half.npz")
    millivolts = held["signal"].transpose(0, 2, 1).astype(np.float32) * np.float32(0.005)
    known = np.flatnonzero(held["acceptable"] >= 0)
    return [Record(millivolts[row], 500.0, LEADS) for row in known], held["acceptable"][known]


def halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A random half to choose on, and the other to measure on."""
    order = np.random.default_rng(2011).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def arms_exchanged(record: Record) -> Record:
    """As the recorder would have written it with the arm electrodes exchanged."""
    signal = record.signal.copy()
    i, ii, iii, avr, avl = (LEADS.index(lead) for lead in ("I", "II", "III", "aVR", "aVL"))
    signal[i] = -record.signal[i]
    signal[[ii, iii, avr, avl]] = record.signal[[iii, ii, avl, avr]]
    return replace(record, signal=signal)


def arm_and_leg_exchanged(record: Record) -> Record:
    """The same with the right arm's electrode and the left leg's."""
    i, ii, iii, avr, avl, avf = record.signal[:6]
    return replace(record, signal=np.stack([-iii, -ii, -i, avf, avl, avr, *record.signal[6:]]))


def rate_misstated(record: Record, factor: float) -> Record:
    """The same samples under a rate `factor` times the true one."""
    return replace(record, rate=record.rate * factor)
