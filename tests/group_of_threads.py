"""Threads that take themselves for the processes of a group: what they send each other goes through memory, in milliseconds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

import pytest
import torch
from torch import Tensor

Found = TypeVar("Found")

#: A thread whose partner has failed waits no longer, in seconds.
PATIENCE = 20.0


class GroupOfThreads:
    """The functions of `torch.distributed` that the package calls, for `world` threads; `transfers`: how often each one sends."""

    def __init__(self, world: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.transfers = world, Counter[int]()
        self._here, self._table, self._meeting = threading.local(), [None] * world, threading.Barrier(world)
        self._mail: dict[tuple[int, int], SimpleQueue[Tensor]] = {
            (there, here): SimpleQueue() for there in range(world) for here in range(world)
        }
        for name in ("all_reduce", "all_gather", "all_to_all_single", "batch_isend_irecv", "get_rank"):
            monkeypatch.setattr(torch.distributed, name, getattr(self, name))
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: hasattr(self._here, "rank"))
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world)
        monkeypatch.setattr(torch.distributed, "P2POp", lambda way, tensor, peer: (way, tensor, peer))

    def run(self, work: Callable[[int], Found]) -> list[Found]:
        """What `work(rank)` returns in each thread, or the first thing that was raised in one."""
        found: dict[int, Found] = {}
        raised: list[BaseException] = []

        def one(rank: int) -> None:
            self._here.rank = rank
            try:
                found[rank] = work(rank)
            except BaseException as error:
                raised.append(error)
                self._meeting.abort()

        threads = [threading.Thread(target=one, args=(rank,), daemon=True) for rank in range(self.world)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if raised:
            raise raised[0]
        return [found[rank] for rank in range(self.world)]

    def get_rank(self) -> int:
        return int(self._here.rank)

    def all_reduce(self, tensor: Tensor) -> None:
        tensor.copy_(sum(self._everyone_s([tensor.clone()]), start=torch.zeros_like(tensor)))

    def all_gather(self, pieces: Sequence[Tensor], rows: Tensor) -> None:
        for piece, theirs in zip(pieces, self._everyone_s([rows.clone()]), strict=True):
            piece.copy_(theirs)

    def all_to_all_single(self, found: Tensor, sent: Tensor) -> None:
        found.copy_(torch.cat(self._everyone_s(list(sent.clone().chunk(self.world)), own_place=True)))

    def batch_isend_irecv(self, asked: Sequence[tuple[Callable, Tensor, int]]) -> list[Transfer]:
        rank, transfers = self.get_rank(), []
        for way, tensor, peer in asked:
            if way is torch.distributed.isend:
                self.transfers[rank] += 1
                self._mail[rank, peer].put(tensor.clone())
                transfers.append(Transfer(None, tensor))
            else:
                transfers.append(Transfer(self._mail[peer, rank], tensor))
        return transfers

    def _everyone_s(self, parts: list[Tensor], own_place: bool = False) -> list[Tensor]:
        """The first part that each thread brings, or with `own_place` the one at this thread's place; all must come."""
        rank = self.get_rank()
        self._table[rank] = parts
        self._meeting.wait(PATIENCE)
        found = [theirs[rank if own_place else 0] for theirs in self._table]
        self._meeting.wait(PATIENCE)
        return found


class Transfer:
    """A tensor on its way: it is there once it was waited for, as with processes."""

    def __init__(self, mail: SimpleQueue[Tensor] | None, tensor: Tensor) -> None:
        self.mail, self.tensor = mail, tensor

    def wait(self) -> None:
        if self.mail is not None:
            self.tensor.copy_(self.mail.get(timeout=PATIENCE))
