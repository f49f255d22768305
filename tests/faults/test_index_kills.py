"""An index that is killed while it is written: the old one whole, or the new one, and built again it has the same bytes."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
from preparation_child import Counter, Strike, count_calls
from preparation_runs import tree_of

from cmelt.index import build_index, open_index

ROWS, WIDTH = 3000, 16


def build(place: str, number: int, seed: int) -> None:
    """In a process of its own: build an index at `place`/index and be killed at a call; 0: only count them."""
    vectors = np.random.default_rng(seed).normal(size=(ROWS, WIDTH)).astype(np.float32)
    counter = Counter(Strike("call", number, place))
    count_calls(counter)
    counter.around(build_index, lines=False)(vectors, Path(place) / "index", kind="codes")


def apart(place: Path, number: int, seed: int = 1) -> int:
    """How such a process ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preparation_child", "cmelt.index", "cmelt.index.build", "cmelt.index.codes"])
    process = context.Process(target=build, args=(str(place), number, seed))
    process.start()
    process.join(120)
    process.kill()
    process.join()
    return int(process.exitcode or 0)


def killed_at_calls(folder: Path, points: int) -> None:
    for name, seed in (("whole", 1), ("old", 2)):
        (folder / name).mkdir()
        assert apart(folder / name, 0, seed) == 0
    whole, old = tree_of(folder / "whole" / "index"), tree_of(folder / "old" / "index")
    assert whole != old
    calls, states = int((folder / "whole.counted").read_text()), []
    for at in np.linspace(1, calls, points).round().astype(int).tolist():
        place = folder / f"killed-{at}"
        shutil.copytree(folder / "old", place)
        assert apart(place, at) == -9
        found = tree_of(place / "index")
        states.append(found == whole)
        assert found in (whole, old)
        assert len(open_index(place / "index")) == ROWS
        assert apart(place, 0) == 0
        assert tree_of(place / "index") == whole
    assert not states[0]


def test_killed_while_it_is_written_an_index_is_the_old_one_or_the_new_one(tmp_path):
    killed_at_calls(tmp_path, 4)


@pytest.mark.slow
def test_and_so_it_is_at_more_calls(tmp_path):
    killed_at_calls(tmp_path, 20)
