"""Shards on several processes of one machine. They die with the process that started them, however that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

from cmelt.errors import StoreError
from cmelt.store.shard import ShardTask, make_shard


def run_shards(tasks: Sequence[ShardTask], workers: int) -> Iterator[ShardTask]:
    """Make every shard; yields each task as it is finished, in any order."""
    if workers == 1 or len(tasks) <= 1:
        for task in tasks:
            make_shard(task)
            yield task
        return
    # Fresh interpreters: a forked one would inherit whatever threads and locks the caller has.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_start_worker)
    try:
        futures = {pool.submit(make_shard, task): task for task in tasks}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
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
