"""ECGs and WFDB files that tests build: limb leads that obey Einthoven, files written by hand, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmelt.records.record import LEADS, Record

#: Seeds of hearts whose leads go on from one another as a body's do, so that no check complains of them; of others most are odd.
UNREMARKABLE = (0, 6, 12, 36, 39, 44, 48, 50, 57, 59)


def heart(seed: int = 0, rate: float = 100.0, seconds: float = 10.0) -> np.ndarray:
    """Beats in 12 leads, [12, samples] float32 mV, whose limb leads follow from I and II."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(rate * seconds)) / rate
    phase = (time * rng.uniform(0.9, 1.6) + rng.uniform()) % 1.0
    waves = np.stack(
        [np.exp(-(((phase - at) / width) ** 2)) for at, width in ((0.2, 0.03), (0.4, 0.012), (0.44, 0.015), (0.7, 0.06))]
    )
    weights = rng.normal(size=(8, 4)) * np.array([0.15, 1.0, 0.6, 0.3]) + np.array([0.1, 0.5, -0.2, 0.2])
    i, ii, *chest = weights @ waves
    limb = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2]
    return np.stack([*limb, *chest]).astype(np.float32)


def record(seed: int = 0, rate: float = 100.0, seconds: float = 10.0, leads: Sequence[str] = LEADS) -> Record:
    """`heart` as a Record with `leads`, in that order."""
    rows = [LEADS.index(lead) for lead in leads]
    return Record(heart(seed, rate, seconds)[rows], rate, tuple(leads), identifier=f"test-{seed}")


def write_wfdb(
    path: Path, signal: np.ndarray, rate: float = 100.0, leads: Sequence[str] = LEADS, gain: float = 1000.0, comments: str = ""
) -> Path:
    """Write `signal` [leads, samples] mV as a format-16 record at `path` (no extension); returns the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.where(np.isfinite(signal), np.rint(signal * gain), -32768).astype("<i2")
    path.with_name(path.name + ".dat").write_bytes(digital.T.tobytes())
    lines = [f"{path.name} {len(leads)} {rate:g} {signal.shape[1]}"]
    for row, lead in zip(digital, leads, strict=True):
        checksum = (int(row.sum(dtype=np.int64)) + 32768) % 65536 - 32768
        lines.append(f"{path.name}.dat 16 {gain:g}(0)/mV 16 0 {row[0]} {checksum} 0 {lead}")
    header = path.with_name(path.name + ".hea")
    header.write_text("\n".join(lines) + "\n" + comments)
    return header


def write_ptb_xl(folder: Path, records: int, reports: Sequence[str] = ("sinusrhythmus normales ekg",)) -> Path:
    """A small copy of PTB-XL's layout with `records` invented records, folds 1 to 10 in turn; one more row has no files."""
    statements = (
        ",description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass\n"
        "NORM,normal,1.0,,,NORM,NORM\nIMI,inferior,1.0,,,MI,IMI\nNDT,T,1.0,1.0,,STTC,STTC\nSR,sinus,,,1.0,,\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scp_statements.csv").write_text(statements)
    codes = ["{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 15.0}", "{'NDT': 0.0, 'SR': 0.0}"]
    lines = ["ecg_id,patient_id,age,sex,report,scp_codes,strat_fold,filename_lr,filename_hr"]
    for number in range(1, records + 2):
        places = f"records100/00000/{number:05d}_lr,records500/00000/{number:05d}_hr"
        report = reports[number % len(reports)]
        row = f'{number},{1000 + number // 2}.0,{300.0 if number == 2 else 50.0 + number % 30},{number % 2},"{report}"'
        lines.append(f'{row},"{codes[number % 3]}",{(number - 1) % 10 + 1},{places}')
        if number <= records:
            write_wfdb(folder / f"records100/00000/{number:05d}_lr", heart(number), 100)
    (folder / "ptbxl_database.csv").write_text("\n".join(lines) + "\n")
    return folder
