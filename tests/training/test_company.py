"""One of the processes that train together goes away: the others say so (a real one is killed in `test_processes.py`)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from cmelt.errors import TrainingError
from cmelt.training.company import in_company

#: As gloo says it (PyTorch 2.7 to 2.13).
CLOSED = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:4711"


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
