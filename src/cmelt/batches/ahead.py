"""Batches made ahead of the training loop, by threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from cmelt.batches.batch import Batch


def loaders_for(wanted: int, processes: int) -> int:
    """How many threads load for each of the `processes` on this machine: as many as wanted, at most one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(wanted, max(1, cores // processes))


class Ahead:
    """The batches of micro-steps below `end`, the next ones made by `loaders` threads while one is trained on.

    `batch(step)` is what `make(step)` is, however many loaders there are; without any it is called on the spot. What a
    loader raises is raised by the `batch` that asks for that step.

    Threads and not processes: nearly all of a batch's time is numpy and memory copying, which release the interpreter's
    lock, so that a second thread adds what a second process would, and there is nothing to send, share or clean up.
    """

    def __init__(self, make: Callable[[int], Batch], end: int, loaders: int) -> None:
        self._make, self._end = make, end
        # One more than there are loaders: none of them waits until the loop comes for what it has finished.
        self._depth = loaders + 1
        self._pool = ThreadPoolExecutor(loaders, thread_name_prefix="loader") if loaders else None
        self._pending: dict[int, Future[Batch]] = {}

    def batch(self, step: int) -> Batch:
        """The batch of micro-step `step`; those that follow are under way when it returns."""
        if self._pool is None:
            return self._make(step)
        wanted = range(step, min(step + self._depth, self._end)) or range(step, step + 1)
        for number in self._pending.keys() - set(wanted):
            self._pending.pop(number).cancel()
        for number in wanted:
            if number not in self._pending:
                self._pending[number] = self._pool.submit(self._make, number)
        return self._pending.pop(step).result()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pending.clear()
