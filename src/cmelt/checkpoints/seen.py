"""What a model was trained on, as hashes beside its weights: enough to refuse it as its own examiner, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cmelt.store.patients import PERSON

SEEN, PEOPLE = "training_fingerprints.npy", "training_patients.npy"
_FINGERPRINT_BYTES, _PERSON_BYTES = 32, 16


def write_seen(seen: Iterable[str], folder: Path) -> None:
    """The distinct fingerprints [n, 32] and names of patients (`Store.people`) [m, 16], uint8, sorted: no order is told."""
    told = set(seen)
    _write(folder / SEEN, told, _FINGERPRINT_BYTES)
    people = {name.removeprefix(PERSON) for name in told if name.startswith(PERSON)}
    if people:
        _write(folder / PEOPLE, people, _PERSON_BYTES)


def read_seen(folder: Path) -> tuple[str, ...]:
    """The fingerprints and patients of a model folder; none where it has no list (models that were not trained by us)."""
    return (*_read(folder / SEEN), *(f"{PERSON}{name}" for name in _read(folder / PEOPLE)))


def _write(path: Path, names: Iterable[str], size: int) -> None:
    known = sorted(name for name in names if len(name) == 2 * size)
    packed = np.frombuffer(bytes.fromhex("".join(known)), dtype=np.uint8).reshape(-1, size)
    np.save(path, packed, allow_pickle=False)


def _read(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    return tuple(row.tobytes().hex() for row in np.load(path, allow_pickle=False))
