"""A tree laid out as MIMIC-IV-ECG 1.0, byte for byte: tables, folders, headers with the leads in the order of the carts."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmelt.records.record import LEADS
from ecg_files import heart

#: The order of the files: aVF before aVL.
FILE_ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
MEASURED = ("rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end", "p_axis", "qrs_axis", "t_axis")
SOUND = (659, 40, 128, 170, 258, 518, 81, 77, 79)
REPORTS = (
    ("Sinus rhythm", "Possible right atrial abnormality", "", "Borderline ECG"),
    ("Sinus tachycardia", "", "Normal ECG except for rate"),
    ("Atrial fibrillation with PVC(s) or aberrant ventricular conduction.", "Left ventricular hypertrophy", "Abnormal ECG"),
)
_MEASUREMENT_COLUMNS = (
    "subject_id", "study_id", "cart_id", "ecg_time", *(f"report_{k}" for k in range(18)), "bandwidth", "filtering", *MEASURED,
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """One study. `measured` None: the machine's table has no row of it."""

    number: int
    subject: int
    report: Sequence[str] = REPORTS[0]
    measured: Sequence[object] | None = SOUND
    signal: np.ndarray | None = None
    time: str = "2180-07-23 08:44:00"

    @property
    def path(self) -> str:
        """As in `record_list.csv`."""
        return f"files/p{str(self.subject)[:4]}/p{self.subject}/s{self.number}/{self.number}"


def studies(count: int, of_each: int = 3) -> list[Study]:
    """`count` studies, `of_each` a patient; numbers of the published ranges, not in the patients' order."""
    return [
        Study(40_000_000 + (k * 7919) % 1_000_003, 10_000_032 + 997 * (k // of_each), REPORTS[k % len(REPORTS)])
        for k in range(count)
    ]


def write_study(root: Path, study: Study, seed: int = 0) -> Path:
    """Header and samples of one study; the path without extension."""
    signal = heart(seed, 500.0) if study.signal is None else study.signal
    digital = np.where(np.isfinite(signal), np.rint(np.nan_to_num(signal) * 200), -32768).astype("<i2")
    digital = digital[[LEADS.index(lead) for lead in FILE_ORDER]]
    stem = root / study.path
    stem.parent.mkdir(parents=True, exist_ok=True)
    Path(f"{stem}.dat").write_bytes(digital.T.tobytes())
    lines = [f"{stem.name} 12 500 {signal.shape[1]} 12:04:00 22/09/2182"]
    for row, lead in zip(digital, FILE_ORDER, strict=True):
        lines.append(f"{stem.name}.dat 16 200.0(0)/mV 16 0 {row[0]} {int(row.sum(dtype=np.int64)) % 65536} 0 {lead}")
    Path(f"{stem}.hea").write_text("\n".join(lines) + f"\n# <subject_id>: {study.subject}\n")
    return stem


def write_tables(root: Path, listed: Sequence[Study], extension: str = "") -> None:
    """`record_list.csv`, and `machine_measurements.csv` in another order."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "record_list.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("subject_id", "study_id", "file_name", "ecg_time", "path"))
        table.writerows((study.subject, study.number, study.number, study.time, study.path + extension) for study in listed)
    with (root / "machine_measurements.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(_MEASUREMENT_COLUMNS)
        for study in sorted(listed, key=lambda study: study.number):
            if study.measured is not None:
                cells = (*study.report, *[""] * (18 - len(study.report)))
                filters = ("0.005-150 Hz", "60 Hz notch Baseline filter")
                table.writerow((study.subject, study.number, 6848296, study.time, *cells, *filters, *study.measured))


def write_mimic(root: Path, listed: Sequence[Study], extension: str = "") -> Path:
    """The whole tree."""
    write_tables(root, listed, extension)
    for seed, study in enumerate(listed):
        write_study(root, study, seed)
    return root
