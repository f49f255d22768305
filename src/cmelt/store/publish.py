"""Putting a finished folder in the place of an old one, at one instant where the system can."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from cmelt.publishing import rename, sync

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def publish(staged: Path, target: Path) -> None:
    """Rename `staged` to `target`; what was there before is removed after the new one is in place."""
    if target.exists() and _exchange(staged, target):
        shutil.rmtree(staged)
        sync(target.parent)
    else:
        # Without an exchange there is an instant with neither; the old one then lies beside, complete.
        rename(staged, target, replace=True)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names atomically (Linux's renameat2); False where the system or its file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0)
