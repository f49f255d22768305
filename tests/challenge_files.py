"""Files of the PhysioNet/CinC Challenges and of CPSC2018 that tests build, byte for byte in their published layouts."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cmelt.records.record import LEADS
from ecg_files import heart

#: The comments of a header, in its order; a test replaces what it is about.
COMMENTS = {"Age": "74", "Sex": "Male", "Dx": "426783006", "Rx": "Unknown", "Hx": "Unknown", "Sx": "Unknown"}


def write_challenge(
    place: Path,
    signal: np.ndarray | None = None,
    rate: float = 500.0,
    units: str = "mV",
    comments: Mapping[str, str] | None = None,
) -> Path:
    """Write `signal` [12, samples] mV as `place`.hea and .mat (MATLAB v4, read as format 16 from byte 24); returns `place`."""
    if signal is None:
        signal = heart(sum(place.name.encode()), rate, 2.0)
    place.parent.mkdir(parents=True, exist_ok=True)
    digital = np.rint(signal * 1000).astype("<i2")
    matrix = struct.pack("<5i", 30, digital.shape[0], digital.shape[1], 0, 4) + b"val\0"
    place.with_name(f"{place.name}.mat").write_bytes(matrix + digital.T.tobytes())
    lines = [f"{place.name} {len(digital)} {rate:g} {digital.shape[1]} 12-May-2020 12:33:59"]
    for row, lead in zip(digital, LEADS, strict=False):
        checksum = (int(row.sum(dtype=np.int64)) + 32768) % 65536 - 32768
        lines.append(f"{place.name}.mat 16+24 1000/{units} 16 0 {row[0]} {checksum} 0 {lead}")
    said = COMMENTS | dict(comments or {})
    place.with_name(f"{place.name}.hea").write_text(
        "\n".join([*lines, *(f"#{key}: {value}" for key, value in said.items())]) + "\n"
    )
    return place


def write_cpsc_struct(path: Path, signal: np.ndarray, sex: str = "Male", age: float = 74) -> Path:
    """Write CPSC2018's own struct `ECG` of sex, age and data [12, samples] mV."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"ECG": {"sex": sex, "age": np.array([[age]]), "data": signal.astype(np.float64)}})
    return path


def write_reference(path: Path, rows: Mapping[str, Sequence[int]]) -> Path:
    """Write REFERENCE.csv: record → its class numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join([name, *map(str, numbers), *[""] * (3 - len(numbers))]) for name, numbers in rows.items()]
    path.write_text("Recording,First_label,Second_label,Third_label\n" + "\n".join(lines) + "\n")
    return path


def write_split_list(
    path: Path, rows: Mapping[str, Sequence[str]], columns: Sequence[str], record_column: str = "filename"
) -> Path:
    """Write a list of records with a column of zeros and ones for each of `columns`."""
    lines = [",".join([record_column, *columns])]
    lines += [",".join([name, *(str(int(column in held)) for column in columns)]) for name, held in rows.items()]
    path.write_text("\n".join(lines) + "\n")
    return path
