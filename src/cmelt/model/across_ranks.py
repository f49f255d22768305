"""What a process sees of the others: their rows (embeddings, statistics), gradients included, and counts over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.distributed
from torch import Tensor
from torch.autograd.function import once_differentiable


def processes() -> int:
    """How many there are; 1 outside a process group."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    return torch.distributed.get_world_size()


def gather(rows: Tensor) -> Tensor:
    """The rows of every process one after another, [world × B, ...]; the argument itself where there is one process.

    Gradients flow back to the process that a row came from; integer rows carry none.
    """
    if processes() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows)
    return gathered


def first_row(rows: int) -> int:
    """Where this process's rows start among the gathered ones."""
    return torch.distributed.get_rank() * rows if processes() > 1 else 0


def even_share(count: Tensor) -> Tensor:
    """An even share of a count over all processes, of which there is at least 1: what this process's sum is divided by.

    Gradients are averaged over the processes afterwards. Sums divided so average to the mean over the whole batch; a mean of
    each process's own would weigh a process with few masked pieces as much as one with many. Element by element, no gradient.
    """
    if processes() == 1:
        return count.detach().clamp(min=1)
    total = count.detach().clone()
    torch.distributed.all_reduce(total)
    return total.clamp(min=1) / processes()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, rows: Tensor) -> Tensor:
        pieces = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(processes())]
        torch.distributed.all_gather(pieces, rows.contiguous())
        return torch.cat(pieces)

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:
        # Every process has found a gradient of every row: each row's go to the process that it came from, and are added there.
        gradient = gradient.contiguous()
        found = torch.empty_like(gradient)
        torch.distributed.all_to_all_single(found, gradient)
        return found.unflatten(0, (processes(), -1)).sum(0)


@dataclass(frozen=True)
class Passing:
    """Rows on their way to the next process, and the previous one's on their way here."""

    sent: Tensor  # kept alive until it has left
    received: Tensor
    transfers: list[torch.distributed.Work]

    def arrived(self) -> Tensor:
        """The previous process's rows, waited for."""
        for transfer in self.transfers:
            transfer.wait()
        return self.received


def pass_on(rows: Tensor) -> Passing:
    """Start sending `rows` to the next process of the ring and receiving as many from the previous one. Every process must.

    Two that are under way at once arrive in the order in which they were started.
    """
    rank, size = torch.distributed.get_rank(), processes()
    rows = rows.contiguous()
    received = torch.empty_like(rows)
    there = torch.distributed.P2POp(torch.distributed.isend, rows, (rank + 1) % size)
    here = torch.distributed.P2POp(torch.distributed.irecv, received, (rank - 1) % size)
    return Passing(rows, received, torch.distributed.batch_isend_irecv([there, here]))
