"""WFDB files that tests write byte for byte: any header, any bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def checksum(samples: np.ndarray) -> int:
    """The 16-bit sum that a header states for a signal."""
    return (int(np.asarray(samples, dtype=np.int64).sum()) + 32768) % 65536 - 32768


def signal_line(
    samples: np.ndarray | Sequence[int], file: str = "r.dat", form: str = "16", gain: str = "1000(0)/mV", lead: str = "I"
) -> str:
    """A header's line for a signal of these `samples` (steps)."""
    samples = np.asarray(samples)
    return f"{file} {form} {gain} 16 0 {samples[0]} {checksum(samples)} 0 {lead}".rstrip()


def write_header(folder: Path, first: str, lines: Sequence[str], name: str = "r") -> Path:
    """`name`.hea with the record line `first` and `lines` below it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.hea"
    path.write_text("\n".join([first, *lines]) + "\n", encoding="utf-8")
    return path


def write_format_16(folder: Path, steps: np.ndarray, leads: Sequence[str], name: str = "r", first: str = "", **line: str) -> Path:
    """A format-16 record of `steps` [leads, samples] at 100 Hz."""
    lines = [signal_line(row, f"{name}.dat", lead=lead, **line) for row, lead in zip(steps, leads, strict=True)]
    header = write_header(folder, first or f"{name} {len(leads)} 100 {steps.shape[1]}", lines, name)
    (folder / f"{name}.dat").write_bytes(steps.astype("<i2").T.tobytes())
    return header
