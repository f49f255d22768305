"""One cell in a process of its own: `python -m cmelt.study.worker` reads a job on stdin and writes events, one JSON line each.

A crash, of whatever kind, takes one cell down and not the study.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cmelt.config import from_mapping, to_mapping
from cmelt.errors import TRACEBACK, CMeltError, TrainingError, unforeseen
from cmelt.study.cells import Cell, Item
from cmelt.study.folders import CELL, LOG, is_made, item_folder, missing_items

INTERRUPTED = 130

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """One cell to make and what to measure of it.

    Attributes:
        folder: the cell's.
        stores: where published text weights are looked for, as the stores are.
        parent: the process that is listened to; when it is gone, the job stops and saves.
        threads: that compute.
    """

    cell: Cell
    items: tuple[Item, ...]
    folder: str
    stores: str = ""
    parent: int = 0
    threads: int = 1


@dataclass
class _Watcher:
    """Hands the news of a run on, a few times a minute, and notices when nobody listens any more."""

    emit: Emit
    parent: int
    last: float = float("-inf")

    def say(self, message: str) -> None:
        """One line of news."""
        self.emit({"say": message})

    def step(self, done: int, steps: int, metrics: dict[str, float]) -> None:
        """A line when one is due."""
        self.stop_when_alone()
        now = time.monotonic()
        if done == steps or now - self.last >= 10.0:
            self.last = now
            self.emit({"step": done, "steps": steps, "loss": metrics["loss"], "rate": metrics["records_per_second"]})

    def stop_when_alone(self) -> None:
        """Ask this process to stop, as a signal would, when the one that started it is gone."""
        if self.parent and os.getppid() != self.parent:
            os.kill(os.getpid(), signal.SIGINT)


def main(stdin: IO[str] = sys.stdin, stdout: IO[str] = sys.stdout) -> int:
    """Do the job on stdin; 0, 1 when something of it failed, or the exit code of the signal that stopped it."""

    def emit(event: dict[str, Any]) -> None:
        stdout.write(json.dumps(event) + "\n")
        stdout.flush()

    job = from_mapping(Job, json.load(stdin), "job")
    try:
        return work(job, emit)
    except CMeltError as error:
        emit({"error": str(error)})
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # whatever its message quotes must not stay in the cell's log
        if os.environ.get(TRACEBACK):
            raise
        sys.stderr.write(unforeseen(error) + "\n")
        return 1


def work(job: Job, emit: Emit) -> int:
    """Make the cell's model, if it is not there, and measure what has not been measured."""
    import torch

    from cmelt.study.making import make_model

    torch.set_num_threads(job.threads)
    folder = Path(job.folder)
    with _sole_maker(folder):
        _describe(job.cell, folder)
        watcher = _Watcher(emit, job.parent)
        if not is_made(folder):
            begun = time.monotonic()
            code = make_model(job.cell, folder, Path(job.stores), watcher)
            _log(folder, {"what": "model", "seconds": round(time.monotonic() - begun, 2), "code": code})
            if code:
                return code
        return 0 if measure_items(job, watcher, emit) else 1


def measure_items(job: Job, watcher: _Watcher, emit: Emit) -> bool:
    """Measure what has no folder yet; whether all of it went well. A measurement that fails is told, and the next one begins."""
    from cmelt.study import outcomes
    from cmelt.study.evaluations import measure
    from cmelt.study.subject import Subject

    folder = Path(job.folder)
    missing = missing_items(folder, job.items)
    subject, well = Subject(job.cell, folder), True
    for place, item in enumerate(missing, start=1):
        watcher.stop_when_alone()
        begun = time.monotonic()
        try:
            outcome = measure(item, subject)
        except CMeltError as error:
            emit({"error": f"{item.title}: {error}"})
            well = False
            continue
        about = {"cell": job.cell.name, "item": to_mapping(item), "title": item.title}
        outcomes.publish(outcome, item_folder(folder, item), about, time.monotonic() - begun)
        value = next(iter(outcomes.figures_of(outcome).items()))
        emit({"measured": item.title, "done": place, "of": len(missing), "figure": f"{value[0]} {value[1]:.3f}"})
    return well


@contextmanager
def _sole_maker(folder: Path) -> Iterator[None]:
    """Hold a cell's folder for this process. Raises TrainingError where another one is making the cell."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(folder, "another process is making this cell", "wait for it") from None
        yield


def _describe(cell: Cell, folder: Path) -> None:
    """`cell.json`: everything that determines the cell, and where its stores lay."""
    draft = folder / f".{CELL}-{os.getpid()}"
    draft.write_text(json.dumps({"format": "cmelt-study-cell", "cell": to_mapping(cell), "identity": cell.identity}, indent=1))
    draft.replace(folder / CELL)


def _log(folder: Path, line: dict[str, Any]) -> None:
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
