"""A published folder with one bit of it changed, or one file of it cut: what each way of reading it says.

One bit of a byte and not any other value: no single bit turns one blank of the manifest's JSON into another, which would be no
damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from training_campaigns import Tally

from cmelt.errors import CheckpointError
from cmelt.publishing import MANIFEST

#: What a refusal says that was checked.
CHECKS = ("SHA-256", "bytes, the manifest says", "not a manifest of ours", "missing", "not readable as safetensors")


@dataclass(frozen=True)
class Damage:
    """One bit of a byte flipped, or a file cut to a length."""

    path: Path
    place: int
    bit: int | None

    def __str__(self) -> str:
        what = f"cut to {self.place} bytes" if self.bit is None else f"bit {self.bit} of byte {self.place} flipped"
        return f"{self.path.name} {what}"


def drawn(folder: Path, flips: int, cuts: int, rng: np.random.Generator) -> list[Damage]:
    """Damages of the folder's files: half of them spread over the files evenly, half over the bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    sizes = np.array([path.stat().st_size for path in files])
    found = []
    for number in range(flips + cuts):
        chosen = number // 2 % len(files) if number % 2 else int(rng.choice(len(files), p=sizes / sizes.sum()))
        place, bit = int(rng.integers(0, sizes[chosen])), int(rng.integers(0, 8))
        found.append(Damage(files[chosen], place, bit if number < flips else None))
    return found


@contextmanager
def done(damage: Damage) -> Iterator[None]:
    """The damage is there within the block."""
    whole = damage.path.read_bytes()
    altered = bytearray(whole[: damage.place] if damage.bit is None else whole)
    if damage.bit is not None:
        altered[damage.place] ^= 1 << damage.bit
    damage.path.write_bytes(altered)
    try:
        yield
    finally:
        damage.path.write_bytes(whole)


def refused(what: str, damages: list[Damage], read: Callable[[], object]) -> Tally:
    """`read` with each damage: it must raise a CheckpointError that names the file (or the manifest over it) and the check."""
    tally = Tally(what)
    for damage in damages:
        with done(damage):
            try:
                read()
            except CheckpointError as fault:
                said = str(fault)
                faults = [] if damage.path.name in said or MANIFEST in said else [f"does not name the file: {said}"]
                faults += [] if any(check in said for check in CHECKS) else [f"does not name the check: {said}"]
            except Exception as fault:
                faults = [f"{type(fault).__name__}: {fault}"]
            else:
                faults = ["read as if it were whole"]
        tally.add(str(damage), faults)
    return tally


def refused_or_unread(what: str, damages: list[Damage], read: Callable[[], bytes]) -> Tally:
    """The same where parts are not read: what comes of it must be what the whole folder gives, to the bit, or a refusal."""
    whole, tally = read(), Tally(what)
    for damage in damages:
        faults = []
        with done(damage):
            try:
                faults = [] if read() == whole else ["gives something else"]
                tally.note("not read", 1.0)
            except CheckpointError as fault:
                faults = [] if any(check in str(fault) for check in CHECKS) else [f"does not name the check: {fault}"]
            except Exception as fault:
                faults = [f"{type(fault).__name__}: {fault}"]
        tally.add(str(damage), faults)
    return tally
