"""Loaders change how fast a run is and nothing of what it computes; none of them outlives it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

import cmelt.store.opened
from cmelt.batches.assemble import Batches
from cmelt.errors import StoreError
from cmelt.store import open_store
from cmelt.training.loop import pretrain
from tiny_runs import Notes, apart, losses_of, tiny_recipe, weights_of

AUGMENTED = ("augmentation.crop_seconds=5", "objectives.phrases=1", "objectives.phrase.least=2", "training.accumulate=2")


def go(store: Path, run: Path, *assignments: str, notes: Notes | None = None) -> int:
    return pretrain(tiny_recipe(*AUGMENTED, *assignments), open_store(store), run, notes or Notes())


def shared_memory() -> set[str]:
    folder = Path("/dev/shm")
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def children_of(number: int) -> list[str]:
    return [told for thread in Path(f"/proc/{number}/task").iterdir() for told in (thread / "children").read_text().split()]


@pytest.fixture(scope="module")
def undisturbed(tiny_store, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("loaded") / "run"
    assert go(tiny_store, run, "training.loaders=0") == 0
    return run


@pytest.mark.parametrize("loaders", [2, 4])
def test_loss_for_loss_and_weight_for_weight_it_is_the_run_without_loaders(
    undisturbed, tiny_store, tmp_path, loaders, monkeypatch
):
    monkeypatch.setattr("cmelt.training.loop.loaders_for", lambda wanted, _: wanted)  # whatever cores there are
    assert go(tiny_store, tmp_path / "run", f"training.loaders={loaders}") == 0
    assert losses_of(tmp_path / "run") == losses_of(undisturbed)
    assert weights_of(tmp_path / "run") == weights_of(undisturbed)


def test_stopped_with_two_loaders_it_goes_on_with_four_and_then_with_none(undisturbed, tiny_store, tmp_path, monkeypatch):
    monkeypatch.setattr("cmelt.training.loop.loaders_for", lambda wanted, _: wanted)
    for at, loaders in ((2, 2), (4, 4)):
        stop = Notes(at={at: lambda: os.kill(os.getpid(), signal.SIGTERM)})
        assert go(tiny_store, tmp_path / "run", f"training.loaders={loaders}", notes=stop) == 143
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]
    assert go(tiny_store, tmp_path / "run", "training.loaders=0") == 0
    assert losses_of(tmp_path / "run") == losses_of(undisturbed)
    assert weights_of(tmp_path / "run") == weights_of(undisturbed)


def test_the_next_step_s_batch_is_made_while_a_step_is_computed(tiny_store, tmp_path, monkeypatch):
    """Step 1 is not asked for before the watcher, which is called after step 0, has seen its batch made."""
    made = [threading.Event() for _ in range(20)]
    make = Batches.batch

    def noted(batches: Batches, step: int) -> object:
        batch = make(batches, step)
        made[step].set()
        return batch

    monkeypatch.setattr(Batches, "batch", noted)
    seen: list[bool] = []
    notes = Notes(at={1: lambda: seen.append(made[2].wait(20))})  # two batches a step: 0 and 1, then 2
    assert go(tiny_store, tmp_path / "run", "training.loaders=1", "training.steps=2", notes=notes) == 0
    assert seen == [True]


def test_an_error_inside_a_loader_ends_the_run_with_its_message_and_leaves_the_last_checkpoint(tiny_store, tmp_path, monkeypatch):
    stretches = cmelt.store.opened.Store.stretches
    calls: list[int] = []

    def failing(store: object, *arguments: object) -> object:
        calls.append(1)
        if len(calls) > 8:  # two a step: in step 5, whoever makes it
            raise StoreError("shards/00001.npy", "cannot be read (OSError)", "prepare it again")
        return stretches(store, *arguments)

    monkeypatch.setattr(cmelt.store.opened.Store, "stretches", failing)
    with pytest.raises(StoreError, match=r"00001\.npy.*cannot be read"):
        go(tiny_store, tmp_path / "run", "training.loaders=2")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000003"]
    assert len(losses_of(tmp_path / "run")) == 4


def train_until_killed(store: str, folder: str) -> None:
    """Train with four loaders; at step 3 write down what processes there are, and be killed."""

    def die() -> None:
        Path(f"{folder}-children").write_text(" ".join(children_of(os.getpid())))
        os.kill(os.getpid(), signal.SIGKILL)

    go(Path(store), Path(folder), "training.loaders=4", notes=Notes(at={3: die}))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_a_killed_run_leaves_no_process_and_no_shared_memory_behind(tiny_store, tmp_path, undisturbed):
    before = shared_memory()
    process = apart(train_until_killed, str(tiny_store), str(tmp_path / "run"))
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert Path(f"{tmp_path / 'run'}-children").read_text() == ""
    assert shared_memory() <= before
    assert go(tiny_store, tmp_path / "run", "training.loaders=2") == 0
    assert weights_of(tmp_path / "run") == weights_of(undisturbed)
