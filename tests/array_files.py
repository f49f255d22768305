"""Array files that tests build: MATLAB, HDF5, NumPy archives and tables of one ECG that state all there is to know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat

from cmelt.records.record import LEADS


def write_matlab(path: Path, signal: np.ndarray, rate: float = 100.0, leads: Sequence[str] = LEADS, **more: Any) -> Path:
    """A v7 file with one struct of signal, rate, names of leads and unit."""
    record = {"signal": signal, "fs": rate, "leads": np.array(leads, dtype=object), "unit": "mV", **more}
    savemat(path, {"record": record}, do_compression=True)
    return path


def write_matlab_73(path: Path, signal: np.ndarray, rate: float = 100.0, leads: Sequence[str] = LEADS) -> Path:
    """A v7.3 file as MATLAB writes it: a user block, axes reversed, texts as UTF-16 units, cells as references."""
    with h5py.File(path, "w", userblock_size=512) as file:

        def put(name: str, values: np.ndarray, kind: str) -> h5py.Dataset:
            dataset = file.create_dataset(name, data=values)
            dataset.attrs["MATLAB_class"] = np.bytes_(kind)
            return dataset

        put("data", signal.T, "double")
        put("fs", np.array([[rate]]), "double")
        put("unit", np.array([[ord(letter)] for letter in "mV"], dtype="u2"), "char")
        units = [np.array([[ord(letter)] for letter in lead], dtype="u2") for lead in leads]
        texts = [put(f"#refs#/{number}", text, "char").ref for number, text in enumerate(units)]
        put("leads", np.array([[text] for text in texts], dtype=h5py.ref_dtype), "cell")
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    path.write_bytes(content)
    return path


def write_hdf5(path: Path, signal: np.ndarray, rate: float = 100.0, leads: Sequence[str] = LEADS, **how: Any) -> Path:
    """A file of one record: dataset "signal", its unit and leads beside it, the rate as the file's attribute."""
    with h5py.File(path, "w") as file:
        file.create_dataset("signal", data=signal, **how).attrs["unit"] = "mV"
        file.create_dataset("leads", data=list(leads))
        file.attrs["rate"] = rate
    return path


def write_npz(path: Path, signal: np.ndarray, rate: float = 100.0, leads: Sequence[str] = LEADS, **more: Any) -> Path:
    """An archive of signal, fs, leads and unit."""
    np.savez_compressed(path, signal=signal, fs=rate, leads=np.array(leads), unit="mV", **more)
    return path


def table_text(
    signal: np.ndarray, rate: float = 100.0, leads: Sequence[str] = LEADS, delimiter: str = ",", comma: str = "."
) -> str:
    """Rows of time and leads, headed by names and units."""
    heading = delimiter.join(["time (s)", *(f"{lead} (mV)" for lead in leads)])
    rows = (delimiter.join([f"{number / rate:.4f}", *(f"{value:.4f}" for value in row)]) for number, row in enumerate(signal.T))
    return heading + "\n" + "".join(row.replace(".", comma) + "\n" for row in rows)


def write_table(path: Path, signal: np.ndarray, **how: Any) -> Path:
    """`table_text` as a file."""
    path.write_text(table_text(signal, **how))
    return path
