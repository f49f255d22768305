"""One of the processes that train together goes away: the other says which is left, whom it misses and how the run goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cmelt.errors import TrainingError
from cmelt.store import open_store
from cmelt.training.company import in_company
from cmelt.training.loop import pretrain
from processes import free_port, started_by_torchrun
from tiny_runs import Notes, apart, tiny_recipe

#: As gloo says it (PyTorch 2.7 to 2.13).
CLOSED = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:4711"


def rank(store: str, folder: str, said: str, dies: bool) -> None:
    """One of two; the second kills itself after its third step, which nothing has saved since the second."""
    notes = Notes()
    if dies:
        import cmelt.training.loop as loop

        take = loop.train_step

        def dying(run: loop.Run, step: int):
            if step == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return take(run, step)

        loop.train_step = dying
    try:
        pretrain(tiny_recipe("training.checkpoint_every=2"), open_store(store), Path(folder), notes)
    except TrainingError as error:
        Path(said).write_text(f"{error}\n{type(error.__cause__).__name__}")
        raise SystemExit(1) from None


def test_one_of_two_processes_is_killed_and_the_other_ends_at_once_naming_both_and_the_last_checkpoint(tiny_store, tmp_path):
    port = free_port()
    pair = [
        apart(rank, str(tiny_store), str(tmp_path / "run"), str(tmp_path / f"said-{n}"), n == 1,
              environment=started_by_torchrun(n, 2, port))
        for n in (0, 1)
    ]  # fmt: skip
    pair[1].join(120)
    pair[0].join(20)
    assert [process.exitcode for process in pair] == [1, -signal.SIGKILL], "the one that is left may not wait for ever"
    error, cause = (tmp_path / "said-0").read_text().split("\n")
    assert error.startswith("rank 0 of 2: rank 1 has gone away") and cause == "RuntimeError"
    assert error.endswith("(start all processes again: the same command goes on from the last checkpoint, step-00000002)")


def of(world: int, number: int = 0) -> SimpleNamespace:
    return SimpleNamespace(world_size=world, global_rank=number)


def test_of_many_processes_the_lost_one_is_not_known_and_without_a_checkpoint_the_run_begins_anew(tmp_path):
    with (
        pytest.raises(TrainingError, match=r"rank 2 of 4: another process of the run has gone away.*begins anew"),
        in_company(of(4, 2), tmp_path),
    ):
        raise RuntimeError(CLOSED)


def test_what_pytorch_s_own_meeting_point_raises_is_the_same_loss(tmp_path):
    with pytest.raises(TrainingError, match="rank 1 of 2: rank 0 has gone away"), in_company(of(2, 1), tmp_path):
        raise torch.distributed.DistNetworkError("failed to recv, got 0 bytes")


@pytest.mark.parametrize(
    ("world", "error"),
    [
        (2, RuntimeError("mat1 and mat2 shapes cannot be multiplied")),
        (2, TrainingError("step 3", "no")),
        (1, RuntimeError(CLOSED)),
    ],
)
def test_any_other_fault_and_any_of_a_single_process_is_passed_on_as_it_is(world, error, tmp_path):
    with pytest.raises(type(error)) as raised, in_company(of(world), tmp_path):
        raise error
    assert raised.value is error
