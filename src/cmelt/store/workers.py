"""Shards on several processes of one machine. They die with the process that started them, however that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection

from cmelt.errors import StoreError
from cmelt.store.shard import Finished, ShardTask, finish_shard

#: Tasks handed out for each worker: the one it works on, and the one it goes on with. No more of them are in memory.
IN_FLIGHT = 2


def run_shards(tasks: Iterator[ShardTask], workers: int) -> Iterator[Finished]:
    """Finish every shard; yields news of each, in any order. Tasks are taken up as there is somebody to do them."""
    if workers == 1:
        yield from map(finish_shard, tasks)
        return
    # Fresh interpreters: a forked one would inherit whatever threads and locks the caller has.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        pending: set[Future[Finished]] = {pool.submit(finish_shard, task) for task in islice(tasks, IN_FLIGHT * workers)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {pool.submit(finish_shard, task) for task in islice(tasks, len(done))}
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise StoreError(
            "workers", "a worker process died", "run it again (finished shards are kept), with fewer --workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """An interrupt reaches the parent alone, which then ends its workers; a killed parent takes them with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
