"""What several processes compute, by threads in one process: the arithmetic of ring and gathering, every step of it, quickly.

That real processes do the same, over gloo, is held by `test_across_processes.py`.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from cmelt.objectives.ets import ets_loss
from cmelt.objectives.ets_ring import Groups, ets_loss_by_ring
from cmelt.objectives.info_nce import info_nce_loss
from cmelt.objectives.mem import mem_loss
from cmelt.objectives.pairs import pairs
from group_of_threads import GroupOfThreads

WIDTH = 5


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def numbers(world: int) -> tuple[Tensor, Tensor]:
    """Numbers of the own and of the seen reports of three rows a process: some identical, within and across, some replaced."""
    own = torch.arange(3 * world) % (2 * world)
    seen = own.clone()
    seen[[1, 3 * world - 1]] = 99
    return own, seen


def gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def contrast(world: int, rank: int | None, loss_of, inputs: list[Tensor], identical: str, balance: bool) -> list[Tensor]:
    """Loss and gradients of one process's three rows; of all rows where `rank` is None."""
    here = slice(3 * world) if rank is None else slice(3 * rank, 3 * rank + 3)
    own, seen = numbers(world)
    leaves = [inputs[0][here], inputs[1][here], inputs[2], inputs[3]]
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    # A factor before the loss, as that of an objective's weight, is in every gradient.
    return gradients(0.7 * loss_of(leaves, Groups(own[here], seen[here], identical), balance), leaves)


def whole(leaves: list[Tensor], groups: Groups, balance: bool) -> Tensor:
    ecg, text, scale, bias = leaves
    return ets_loss(ecg, text, pairs(groups.own, groups.seen, groups.identical), scale, bias, balance)


def ring(leaves: list[Tensor], groups: Groups, balance: bool) -> Tensor:
    ecg, text, scale, bias = leaves
    return ets_loss_by_ring(ecg, text, groups, scale, bias, balance)


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("identical", ["negative", "ignore", "positive"])
def test_the_ring_finds_what_one_process_finds_in_value_and_every_gradient(
    world: int, balance: bool, identical: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [drawn(3 * world, WIDTH, seed=1), drawn(3 * world, WIDTH, seed=2), torch.tensor(1.7), torch.tensor(-0.4)]
    inputs = [one.double() for one in inputs]
    one = contrast(world, None, whole, inputs, identical, balance)
    group = GroupOfThreads(world, monkeypatch)
    several = group.run(lambda rank: contrast(world, rank, ring, inputs, identical, balance))
    # Losses and gradients are averaged over the processes, a process's rows by the others' nothing.
    mean = [sum(parts[place] for parts in several) / world for place in (0, 3, 4)]
    rows = [torch.cat([parts[place] for parts in several]) / world for place in (1, 2)]
    for found, true in zip((mean[0], *rows, *mean[1:]), one, strict=True):
        torch.testing.assert_close(found, true, atol=1e-12, rtol=1e-12)
    # Every block goes to all others, and its gradient follows it home: nothing is sent that nobody needs.
    assert set(group.transfers.values()) == {2 * (world - 1)}
    assert len(group.transfers) == world


def test_half_types_go_round_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [drawn(6, WIDTH, seed=1).bfloat16(), drawn(6, WIDTH, seed=2).bfloat16(), torch.tensor(1.5), torch.tensor(-0.5)]
    one = contrast(2, None, whole, [part.double() for part in inputs], "ignore", True)
    several = GroupOfThreads(2, monkeypatch).run(lambda rank: contrast(2, rank, ring, inputs, "ignore", True))
    assert {parts[0].dtype for parts in several} == {torch.float32}
    torch.testing.assert_close(sum(parts[0] for parts in several).double() / 2, one[0], atol=1e-6, rtol=1e-6)
    assert several[0][1].dtype == torch.bfloat16  # gradients are of the type of what they belong to


def nce(inputs: list[Tensor], rank: int, world: int) -> list[Tensor]:
    from cmelt.model.across_ranks import gather

    here = slice(3 * rank, 3 * rank + 3) if world > 1 else slice(9)
    own, seen = (part[here] for part in numbers(3))
    leaves = [part[here].detach().clone().requires_grad_() for part in inputs]
    return gradients(info_nce_loss(leaves[0], gather(leaves[1]), pairs(own, seen, "ignore"), torch.tensor(2.0).double()), leaves)


def mem(inputs: list[Tensor], rank: int, world: int) -> list[Tensor]:
    here = slice(3 * rank, 3 * rank + 3) if world > 1 else slice(9)
    measured = torch.tensor([[1, 0], [1, 1], [0, 1], [0, 0], [1, 1], [1, 0], [1, 1], [1, 1], [0, 1]]).bool()
    kept = torch.arange(9)[:, None] % 3
    leaf = inputs[0].unflatten(1, (2, 4))[here].detach().clone().requires_grad_()
    return gradients(mem_loss(leaf, inputs[1].unflatten(1, (3, 4))[here], kept[here], measured[here]), [leaf])


@pytest.mark.parametrize(("objective", "widths"), [(nce, (WIDTH, WIDTH)), (mem, (8, 12))])
def test_a_share_of_a_count_that_three_processes_cannot_halve_is_exact(objective, widths, monkeypatch) -> None:
    """Seven rows, or 13 leads, by three processes: a third in single precision would show in double."""
    inputs = [drawn(9, width, seed=place) for place, width in enumerate(widths)]
    one = objective(inputs, 0, 1)
    several = GroupOfThreads(3, monkeypatch).run(partial(objective, inputs, world=3))
    found = [sum(parts[0] for parts in several) / 3]
    found += [torch.cat([parts[place] for parts in several]) / 3 for place in range(1, len(one))]
    for mine, true in zip(found, one, strict=True):
        torch.testing.assert_close(mine, true, atol=1e-13, rtol=1e-13)
