"""CODE's two datasets in their native layout, tracings simulated: HDF5 parts and tables as they are published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from cmelt.records.record import LEADS
from ecg_files import heart

#: Order of the leads in CODE-test.
TEST_ORDER = ("I", "II", "III", "aVL", "aVF", "aVR", "V1", "V2", "V3", "V4", "V5", "V6")

EXAMS_HEADING = (
    "exam_id,age,is_male,nn_predicted_age,1dAVb,RBBB,LBBB,SB,ST,AF,patient_id,death,timey,normal_ecg,trace_file"  # SB, ST, AF
)
#: The exams of `write_code_15`: id, part, diagnoses. Not in the order of the parts, as published.
EXAMS = (
    (4042, 1, ("AF",)),
    (1169160, 0, ()),
    (7, 0, ("1dAVb", "RBBB")),
    (2873686, 1, ("ST",)),
    (168405, 0, ("SB",)),
)


def tracing(seed: int, seconds: float = 10.0, order: Sequence[str] = LEADS) -> np.ndarray:
    """A simulated recording as CODE stores it: [4096, 12] float32 mV at 400 Hz, zeros before and behind, leads in `order`."""
    signal = heart(seed, 400.0, seconds)[[LEADS.index(lead) for lead in order]]
    padded = np.zeros((4096, 12), dtype=np.float32)
    start = (4096 - signal.shape[1]) // 2
    padded[start : start + signal.shape[1]] = signal.T
    return padded


def write_part(path: Path, ids: Sequence[int], tracings: Sequence[np.ndarray]) -> None:
    """A part: exams' ids and tracings, and one row more of zeros. A new file, as a download makes one."""
    path.unlink(missing_ok=True)
    with h5py.File(path, "w") as file:
        file["exam_id"] = np.array([*ids, 0], dtype=np.int64)
        file["tracings"] = np.stack([*tracings, np.zeros((4096, 12), dtype=np.float32)])


def write_code_15(folder: Path, order: Sequence[str] = LEADS) -> Path:
    """Two of CODE-15 %'s parts and the table, which names an exam of a third part that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [EXAMS_HEADING]
    for number, (exam, part, found) in enumerate(EXAMS):
        flags = ",".join(str(name in found) for name in ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"))
        male, patient = number % 2 == 0, 500 + number // 2
        lines.append(f"{exam},{30 + number},{male},31.5,{flags},{patient},False,2.1,{not found},exams_part{part}.hdf5")
    lines.append("99,50,True,31.5,False,False,False,False,False,False,900,,,True,exams_part2.hdf5")
    (folder / "exams.csv").write_text("\n".join(lines) + "\n")
    for part in (0, 1):
        mine = sorted(exam for exam, of, _ in EXAMS if of == part)  # again another order
        write_part(folder / f"exams_part{part}.hdf5", mine, [tracing(exam, 7.0 if exam == 7 else 10.0, order) for exam in mine])
    return folder


def write_code_test(folder: Path, records: int = 4, order: Sequence[str] = TEST_ORDER) -> Path:
    """CODE-test with a few tracings: everything by position, no ids."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "ecg_tracings.hdf5", "w") as file:
        file["tracings"] = np.stack([tracing(n, 7.0 if n == 1 else 10.0, order) for n in range(records)]).astype(np.float64)
    gold = [
        "1dAVb,RBBB,LBBB,SB,AF,ST",
        *("0,1,0,0,0,0" if n == 0 else "1,0,0,0,1,0" if n == 2 else "0,0,0,0,0,0" for n in range(records)),
    ]
    (folder / "annotations/gold_standard.csv").write_text("\n".join(gold) + "\n")
    (folder / "attributes.csv").write_text("\n".join(["age,sex", *(f"{34 + n},{'MF'[n % 2]}" for n in range(records))]) + "\n")
    return folder
