"""One small study, made once for all tests that only look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmelt.sources.simulated import Simulated
from cmelt.store import ShardSettings, prepare_store
from cmelt.study.cells import Plan
from tiny_runs import RATE, SAMPLES
from tiny_studies import EVALUATE, made, tiny_plan


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path) -> tuple[Plan, Path]:
    """A plan, and its two cells made: a model, and the same with fresh weights."""
    folder = tmp_path_factory.mktemp("study")
    models = {"ours": {"recipe": "tiny.yaml"}, "random": {"kind": "random", "recipe": "tiny.yaml"}}
    plan = tiny_plan(folder, tiny_store, models=models, cells=[{"models": ["ours"], "data": ["all"]}], evaluate=EVALUATE)
    for start in ("ours", "random"):
        made(plan, folder / "out", start)
    return plan, folder / "out"


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of other people than those of the tiny one."""
    folder = tmp_path_factory.mktemp("elsewhere") / "other"
    prepare_store(Simulated(40, seed=77, rate=RATE), folder, ShardSettings(RATE, SAMPLES / RATE, "first", "another key"))
    return folder
