"""Cells side by side, each in a process of its own; what stops the study lets every one of them save first."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cmelt
from cmelt.config import to_mapping
from cmelt.study.cells import Plan
from cmelt.study.folders import WORKER_LOG, cell_folder, is_made, missing_items
from cmelt.study.settings import Selection
from cmelt.study.worker import Job
from cmelt.training.interruption import Interruption

PACKAGE_PLACE = Path(cmelt.__file__).resolve().parents[1]
_SECONDS_OF_PATIENCE = 0.25

#: Exit codes of processes that were asked to stop, by SIGINT, SIGUSR1 or SIGTERM.
_STOPPED = (130, 138, 143)

Say = Callable[[str], None]


@dataclass
class Made:
    """What became of the cells.

    Attributes:
        failures: by cell, what went wrong, in one line each.
        code: exit code of the signal that stopped the study, None where none did.
    """

    failures: dict[str, list[str]] = field(default_factory=dict)
    code: int | None = None


@dataclass
class _Child:
    """A process at work on one cell, and a thread that reads what it says."""

    job: Job
    process: subprocess.Popen[str]
    errors: list[str] = field(default_factory=list)


def jobs_of(plan: Plan, out: Path, selection: Selection) -> list[Job]:
    """The chosen cells as jobs, finished ones included."""
    chosen = [cell for cell in plan.cells if selection.holds(cell.model, cell.data, cell.seed)]
    stores, threads = str(plan.stores), plan.study.threads
    return [Job(cell, plan.items_of(cell), str(cell_folder(out, cell.name)), stores, threads=threads) for cell in chosen]


def is_done(job: Job) -> bool:
    """Whether nothing is left to do."""
    folder = Path(job.folder)
    return (job.cell.recipe is None or is_made(folder)) and not missing_items(folder, job.items)


def make_cells(jobs: Sequence[Job], workers: int, say: Say) -> Made:
    """Do the jobs, `workers` at a time, and tell of them by `say`.

    A job that fails is told and does not stop the others. SIGINT or SIGTERM lets those at work finish their step and save.
    """
    waiting = deque(job for job in jobs if not is_done(job))
    made = Made()
    events: queue.Queue[tuple[_Child, dict[str, Any] | None]] = queue.Queue()
    running: list[_Child] = []
    total, told = len(waiting), False
    with Interruption() as interruption:
        try:
            while waiting or running:
                while waiting and len(running) < workers and interruption.code is None:
                    job = waiting.popleft()
                    say(f"cell {total - len(waiting)} of {total}: {_title(job)}")
                    running.append(_start(job, events))
                if interruption.code is not None and not told:
                    told = True
                    waiting.clear()
                    _tell(running, signal.SIGINT)
                    say("stopping: the cells at work save their state; the same command goes on from there")
                _listen(events, running, made, say)
        finally:
            _tell(running, signal.SIGKILL)  # empty unless a second signal cut this short
        made.code = interruption.code
    return made


def _start(job: Job, events: queue.Queue[tuple[_Child, dict[str, Any] | None]]) -> _Child:
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / WORKER_LOG).open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cmelt.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(job.threads),
            start_new_session=True,  # a terminal's Ctrl-C reaches the study alone, which then asks each cell once
        )
    child = _Child(job, process)
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):  # it has died already: its end is told as any other
        process.stdin.write(json.dumps(to_mapping(replace(job, parent=os.getpid()))))
        process.stdin.close()
    threading.Thread(target=_read, args=(child, process.stdout, events), daemon=True).start()
    return child


def _environment(threads: int) -> dict[str, str]:
    """That of the study, with so many computing threads, and with the same cmelt to import."""
    paths = [str(PACKAGE_PLACE), *filter(None, [os.environ.get("PYTHONPATH")])]
    few = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {"GOMP_SPINCOUNT": "10000", **os.environ, **few, "PYTHONPATH": os.pathsep.join(paths)}


def _read(child: _Child, lines: Any, events: queue.Queue[tuple[_Child, dict[str, Any] | None]]) -> None:
    for line in lines:
        try:
            events.put((child, json.loads(line)))
        except ValueError:
            continue  # a library's own words
    child.process.wait()
    events.put((child, None))


def _listen(events: queue.Queue[tuple[_Child, dict[str, Any] | None]], running: list[_Child], made: Made, say: Say) -> None:
    """Take one event, if one comes soon."""
    try:
        child, event = events.get(timeout=_SECONDS_OF_PATIENCE)
    except queue.Empty:
        return
    title = _title(child.job)
    if event is not None:
        if "error" in event:
            child.errors.append(str(event["error"]))
        if line := _line(event):
            say(f"{title}: {line}")
        return
    running.remove(child)
    code = child.process.returncode
    if code not in (0, 1, *_STOPPED) or (code == 1 and not child.errors):
        log = Path(child.job.folder) / WORKER_LOG
        child.errors.append(f"the process ended with code {code}; its last words are in {log}")
        say(f"{title}: {child.errors[-1]}")
    if child.errors:
        made.failures[child.job.cell.name] = child.errors
    elif code == 0:
        say(f"{title}: done")


def _line(event: dict[str, Any]) -> str:
    if "step" in event:
        return f"step {event['step']} of {event['steps']}, loss {event['loss']:.3f}, {event['rate']:.0f} records/s"
    if "measured" in event:
        return f"{event['measured']}: {event['figure']} ({event['done']} of {event['of']})"
    return f"failed: {event['error']}" if "error" in event else str(event.get("say", ""))


def _title(job: Job) -> str:
    words = (job.cell.model, job.cell.data, f"seed {job.cell.seed}")
    return " · ".join(word for word in words if word)


def _tell(children: Sequence[_Child], what: signal.Signals) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(what)
