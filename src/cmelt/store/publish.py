"""Putting a finished folder in the place of an old one, at one instant where the system can."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from cmelt.store.layout import sync_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def publish(staged: Path, target: Path) -> None:
    """Rename `staged` to `target`; what was there before is removed after the new one is in place."""
    if not target.exists():
        staged.rename(target)
    elif _exchange(staged, target):
        shutil.rmtree(staged)
    else:
        # Without an atomic exchange there is an instant with neither; the old one then lies beside, complete.
        old = target.with_name(f".{target.name}.replaced")
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        staged.rename(target)
        shutil.rmtree(old)
    sync_folder(target.parent)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names atomically (Linux's renameat2); False where the system or its file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0)
