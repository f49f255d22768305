"""Shards on several processes of one machine. They die with the process that started them, however that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Protocol

from cmelt.errors import StoreError
from cmelt.store.shard import Finished, finish_shard

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

#: Tasks handed out for each worker: the one it works on, and the one it goes on with. No more of them are in memory.
IN_FLIGHT = 2
_NUMBER = [0]


class Task(Protocol):
    """A shard to be finished: what decides its content, and the staging folder that it is written into. It can be pickled."""

    @property
    def number(self) -> int:
        """Its place among the shards."""

    @property
    def folder(self) -> str:
        """The staging folder."""

    @property
    def entries(self) -> Sequence[Any]:
        """What it is made of."""

    @property
    def source(self) -> Stamped:
        """Where entries are read."""


class Stamped(Protocol):
    """What can tell whether the files behind an entry are those that another process sees."""

    def stamp(self, entry: Any) -> str:
        """Changes when the files behind `entry` do."""


def run_shards(tasks: Iterator[Task], workers: int, finish: Callable[[Any], Finished] = finish_shard) -> Iterator[Finished]:
    """Finish every shard; yields news of each, in any order. Tasks are taken up as there is somebody to do them.

    finish: what is done with a task; a function of a module, since workers import it by name.
    """
    if workers == 1:
        yield from map(finish, tasks)
        return
    # Fresh interpreters: a forked one would inherit whatever threads and locks the caller has.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(context.Value("i", 0),))
    try:
        pending: set[Future[Finished]] = {pool.submit(finish, task) for task in islice(tasks, IN_FLIGHT * workers)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {pool.submit(finish, task) for task in islice(tasks, len(done))}
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise StoreError(
            "workers", "a worker process died", "run it again (finished shards are kept), with fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def worker_number() -> int:
    """Which of its pool's workers this process is, counted from 0; 0 in a process that is none."""
    return _NUMBER[0]


def _start_worker(started: Synchronized[int]) -> None:
    """An interrupt reaches the parent alone, which then ends its workers; a killed parent takes them with it."""
    with started.get_lock():
        _NUMBER[0] = started.value
        started.value += 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
