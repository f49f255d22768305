"""Fixtures shared by every room: where real recordings lie, and few threads."""

from __future__ import annotations

import os
from pathlib import Path

# Two cores are shared with whatever else runs: one thread a process keeps the suite's time steady.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real ECGs: $CMELT_DATA_DIR, or `../shared/data` beside the repository."""
    named = os.environ.get("CMELT_DATA_DIR")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "MANIFEST.md").exists():
        pytest.skip(f"no real recordings: neither $CMELT_DATA_DIR nor {folder} holds them")
    return folder


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared store of simulated ECGs, 10 s at 100 Hz, for runs of `tiny_runs.TINY`."""
    from tiny_runs import tiny_store_at

    return tiny_store_at(tmp_path_factory.mktemp("tiny") / "store")
