"""Shards on a Dask cluster: the same tasks, done by whichever worker is there. Files are shared, which is checked before.

A worker that dies loses nothing: its task is done again elsewhere, and a shard made twice is the same shard. A scheduler that
dies ends the preparation with an error; what is finished is kept for the next one.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt import __version__
from cmelt.errors import CMeltError, StoreError, unforeseen
from cmelt.store.layout import DRAFT, write_synced
from cmelt.store.shard import Finished, finish_shard
from cmelt.store.workers import IN_FLIGHT, Stamped, Task

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"
_CONNECT_SECONDS = 15
_WORKERS_SECONDS = 60
_CLOSE_SECONDS = 5
#: The entries of the first task by which a worker shows that it sees the same files.
_LOOKED_AT = 3

_RERUN = "start it again, then run the same command: finished shards are kept"
_SHARE = "start the workers where source and store are mounted, under the same path, and give absolute paths"


@dataclass(frozen=True)
class Probe:
    """What a worker must see before it may work: else each of its records would be one that cannot be read.

    Attributes:
        token: the content of a file in `folder`, the staging folder.
        seen: entries, each with its stamp as the main process sees it.
    """

    token: str
    folder: str
    source: Stamped
    seen: tuple[tuple[Any, str], ...]

    @property
    def path(self) -> Path:
        """The file with the token."""
        return Path(self.folder) / f"probe{DRAFT}"


def run_on_dask(
    tasks: Iterator[Task], address: str, workers: int, finish: Callable[[Any], Finished] = finish_shard
) -> Iterator[Finished]:
    """Finish every shard on the workers of the scheduler at `address`, "local" for a cluster of `workers` processes here.

    finish: as for `run_shards`.

    Raises:
        StoreError: `distributed` is not installed; no scheduler, no workers; a worker has another version of cmelt, or
            does not see the files; the scheduler is lost on the way, or a shard ends every worker that tries it.
    """
    first = next(tasks, None)
    if first is None:
        return
    probe = _probe_of(first)
    with _connected(address, workers) as client:
        _check_workers(client, probe)
        yield from _finished(client, chain([first], tasks), probe, address, finish)


def _finished(
    client: Client, tasks: Iterator[Task], probe: Probe, address: str, finish: Callable[[Any], Finished]
) -> Iterator[Finished]:
    """Hand out tasks as workers become free, and yield what comes back."""
    from distributed import as_completed

    run = uuid.uuid4().hex[:8]

    def submitted(count: int) -> list[Future]:
        some = list(islice(tasks, max(count, 0)))
        return [client.submit(finish_on_worker, task, probe, finish, key=f"cmelt-{run}-shard-{task.number}") for task in some]

    try:
        running = as_completed(submitted(IN_FLIGHT * _threads(client)), loop=client.loop)
        for future in running:
            yield _news(future, address)
            del future  # else its result stays on the cluster
            for more in submitted(IN_FLIGHT * _threads(client) - running.count()):
                running.add(more)
    except OSError as error:
        raise _lost(address) from error


def _news(future: Future, address: str) -> Finished:
    """What a worker says of its shard. Raises what went wrong there."""
    from distributed import KilledWorker

    if future.status not in ("finished", "error"):
        raise _lost(address)
    try:
        finished: Finished = future.result()
    except CMeltError:
        raise
    except ImportError as error:
        raise StoreError(address, f"a worker lacks {error.name}", f"install cmelt {__version__} on every worker") from error
    except OSError as error:
        if future.status != "error":
            raise
        fault = f"a worker could not go on ({type(error).__name__}: {error.strerror})"
        raise StoreError(address, fault, "see its log; run the same command again: finished shards are kept") from error
    except KilledWorker as error:
        fault = "a shard ended every worker that tried it"
        raise StoreError(address, fault, "see the workers' logs; give them more memory, or fewer threads") from error
    return finished


def finish_on_worker(task: Task, probe: Probe, finish: Callable[[Any], Finished] = finish_shard) -> Finished:
    """`finish` on a worker that may have come after the others were checked, or have lost sight of the files since."""
    fault = fault_of_sight(probe)
    if fault:
        raise StoreError("a worker", fault, _SHARE)
    try:
        return finish(task)
    except (CMeltError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:  # Dask writes it into the worker's log as it stands, and what it says may quote a report
        raise StoreError("a worker", unforeseen(error), "report it; finished shards are kept") from None


def fault_of_sight(probe: Probe) -> str:
    """What this process does not see, or ""."""
    try:
        if probe.path.read_text() != probe.token:
            return "sees another folder under the staging folder's path"
    except OSError as error:
        return f"does not see the staging folder ({error.strerror})"
    if any(probe.source.stamp(entry) != stamp for entry, stamp in probe.seen):
        return "does not see the source's files as they are here"
    return ""


def fault_here(probe: Probe) -> str:
    """Why this process cannot work on the store, or "". Leaves a file behind for the main process to see."""
    fault = fault_of_sight(probe)
    if fault:
        return fault
    try:
        write_synced(probe.path.with_name(f"answer-{probe.token}-{uuid.uuid4().hex[:8]}{DRAFT}"), probe.token.encode())
    except StoreError as error:
        return f"cannot write into the staging folder ({error.fault})"
    return ""


def _probe_of(task: Task) -> Probe:
    seen = tuple((entry, task.source.stamp(entry)) for entry in task.entries[:_LOOKED_AT])
    probe = Probe(uuid.uuid4().hex, task.folder, task.source, seen)
    write_synced(probe.path, probe.token.encode())
    return probe


def _check_workers(client: Client, probe: Probe) -> None:
    """Refuse workers of another version, and those that do not share the files; each is named."""

    # Sent by its code and not by its name: a worker without cmelt, or with another one, must be able to run it.
    def version_there() -> str | None:
        from importlib import import_module

        try:
            return str(import_module("cmelt").__version__)
        except (ImportError, AttributeError):
            return None

    for worker, version in _everywhere(client, version_there).items():
        if version != __version__:
            there = f"has cmelt {version}" if version else "has no cmelt"
            raise StoreError(f"worker {worker}", f"{there}, this is {__version__}", f"install cmelt {__version__} there")
    answered = _everywhere(client, fault_here, probe)
    for worker, fault in answered.items():
        if fault:
            raise StoreError(f"worker {worker}", fault, _SHARE)
    answers = list(Path(probe.folder).glob(f"answer-{probe.token}-*"))
    if len(answers) < len(answered):
        fault = f"what {len(answered) - len(answers)} workers wrote into it is not here"
        raise StoreError(probe.folder, fault, _SHARE)
    for answer in answers:
        answer.unlink()


def _everywhere(client: Client, question: Any, *arguments: Any) -> dict[str, Any]:
    """The answer of each worker."""
    try:
        answers: dict[str, Any] = client.run(question, *arguments)
    except ImportError as error:
        raise StoreError("a worker", f"lacks {error.name}", f"install cmelt {__version__} on every worker") from error
    except OSError as error:
        raise StoreError("a worker", "was lost while it was checked", _RERUN) from error
    return answers


def _threads(client: Client) -> int:
    """Tasks that the cluster works on at once; one while it has no worker, since others may come."""
    return max(sum(client.nthreads().values()), 1)


@contextmanager
def _connected(address: str, workers: int) -> Iterator[Client]:
    """A client of the cluster, which has a worker at least."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise StoreError("--dask", "the package distributed is not installed", "pip install 'cmelt[dask]'") from error
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        try:
            there = address
            if address == LOCAL:
                local = LocalCluster(workers, threads_per_worker=1, processes=True, dashboard_address=None)
                there = stack.enter_context(local).scheduler_address
            client = Client(there, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise StoreError(address, "no Dask scheduler answers there", "give its address, such as tcp://host:8786") from error
        stack.callback(client.close, timeout=_CLOSE_SECONDS)
        try:
            client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
        except TimeoutError as error:
            raise StoreError(address, "the scheduler has no workers", f"start some: dask worker {there}") from error
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own lines about lost connections say less than our errors. Some of its loggers have levels of their own."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    before = {logger: logger.level for logger in map(logging.getLogger, ("distributed", *names))}
    for logger in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def _lost(address: str) -> StoreError:
    return StoreError(address, "the Dask scheduler was lost", _RERUN)
