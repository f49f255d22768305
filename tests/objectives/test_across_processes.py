"""The contrast over two real processes is the contrast of the whole batch on one: losses and gradients."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file, save_file

from cmelt.objectives.across_ranks import gather
from cmelt.objectives.ecg_alignment import ecg_alignment_loss
from cmelt.objectives.ets import ets_loss
from cmelt.objectives.info_nce import info_nce_loss
from cmelt.objectives.pairs import pairs
from tiny_runs import apart

WORLD, BATCH, WIDTH = 2, 8, 5
OWN = torch.tensor([0, 1, 2, 0, 4, 2, 6, 7])  # identical reports within a process and across
SEEN = torch.tensor([0, 1, 9, 0, 4, 2, 6, 1])  # rows 2 and 7 carry another report: one replaced row in each process …
SEEN_UNEVEN = torch.tensor([9, 1, 9, 0, 4, 2, 6, 7])  # … or both in the first


def losses(inputs: torch.Tensor, weight: torch.Tensor, own: torch.Tensor, seen: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every contrast, of embeddings that two linear towers make of the inputs [B, D]."""
    ecg, text = inputs @ weight[0], inputs.flip(1) @ weight[1]
    one, none = weight.new_ones(()), weight.new_zeros(())
    found = {}
    for identical in ("negative", "ignore", "positive"):
        truth, back = pairs(own, seen, identical), pairs(seen, own, identical)
        for balance in (False, True):
            found[f"ets {identical} {balance}"] = ets_loss(ecg, gather(text), truth, one, none, balance)
        found[f"nce {identical}"] = info_nce_loss(ecg, gather(text), truth, one) + info_nce_loss(text, gather(ecg), back, one)
    for within in (False, True):
        found[f"alignment {within}"] = ecg_alignment_loss(ecg, text, 0.5, within)
    return found


def towers() -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    inputs = torch.randn(BATCH, WIDTH, dtype=torch.float64, generator=source)
    return inputs, torch.randn(2, WIDTH, WIDTH, dtype=torch.float64, generator=source) / WIDTH


def gradients(inputs: torch.Tensor, weight: torch.Tensor, own: torch.Tensor, seen: torch.Tensor) -> dict[str, torch.Tensor]:
    leaf = weight.clone().requires_grad_()
    found = {}
    for name, loss in losses(inputs, leaf, own, seen).items():
        (gradient,) = torch.autograd.grad(loss, leaf, retain_graph=True)  # the towers are shared
        found |= {f"{name} loss": loss.detach().clone(), f"{name} gradient": gradient.contiguous()}
    return found


def one_of_two(rank: int, port: int, uneven: bool, out: str) -> None:
    """A process of the pair: its half of the batch, gradients averaged over the processes as DDP does."""
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD)
    inputs, weight = towers()
    here = slice(rank * BATCH // WORLD, (rank + 1) * BATCH // WORLD)
    found = gradients(inputs[here], weight, OWN[here], (SEEN_UNEVEN if uneven else SEEN)[here])
    for value in found.values():
        torch.distributed.all_reduce(value)
        value /= WORLD
    if rank == 0:
        save_file(found, out)
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("uneven", [False, True])
def test_two_processes_compute_what_one_computes_of_the_whole_batch(uneven: bool, tmp_path: Path) -> None:
    port = free_port()
    processes = [apart(one_of_two, rank, port, uneven, str(tmp_path / "two.safetensors")) for rank in range(WORLD)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    two, one = load_file(tmp_path / "two.safetensors"), gradients(*towers(), OWN, SEEN_UNEVEN if uneven else SEEN)
    assert two.keys() == one.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-12, rtol=1e-12, msg=lambda said, name=name: f"{name}: {said}")


def test_fault_4_another_process_s_diagonal_is_no_positive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second of two processes, two rows each: its own reports are columns 2 and 3; columns 0 and 1 are all negatives."""
    monkeypatch.setattr("cmelt.objectives.pairs.gather", lambda group: torch.cat([torch.tensor([5, 6]), group]))
    monkeypatch.setattr("cmelt.objectives.pairs.first_row", lambda rows: rows)
    for identical in ("negative", "ignore", "positive"):
        truth = pairs(torch.tensor([7, 8]), torch.tensor([7, 8]), identical)
        assert truth.positive.tolist() == [[False, False, True, False], [False, False, False, True]]
        assert truth.weight.min() == 1


def test_one_process_gathers_nothing() -> None:
    rows = torch.randn(3, 2)
    assert gather(rows) is rows
