"""What a model was trained on, as fingerprints beside its weights: enough to refuse it as its own examiner, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

SEEN = "training_fingerprints.npy"
_BYTES = 32


def write_seen(fingerprints: Iterable[str], folder: Path) -> None:
    """The distinct fingerprints, sorted, so that no order of records is told; uint8 [n, 32]."""
    known = sorted({fingerprint for fingerprint in fingerprints if len(fingerprint) == 2 * _BYTES})
    packed = np.frombuffer(bytes.fromhex("".join(known)), dtype=np.uint8).reshape(-1, _BYTES)
    np.save(folder / SEEN, packed, allow_pickle=False)


def read_seen(folder: Path) -> tuple[str, ...]:
    """The fingerprints of a model folder; none where it has no list (models that were not trained by us)."""
    path = folder / SEEN
    if not path.is_file():
        return ()
    return tuple(row.tobytes().hex() for row in np.load(path, allow_pickle=False))
