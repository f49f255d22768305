"""Runs of `cmelt pretrain` that are killed or told to stop, many times over, and what came of them.

Each function strikes so many times and returns a `Tally`; tests ask for a few, `benchmarks/faults/training_faults.py` for all.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from striking import Trap
from tally import Tally
from training_runs import PATIENCE, Bench, Ended, differences, furthest, leftovers

from cmelt.checkpoints.training_state import checkpoints
from cmelt.errors import CheckpointError
from cmelt.publishing import verify

#: What a user's shell or a job's script sees after each signal.
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 138}
EPOCH, SAVES = 4, 3


def killed_anywhere(bench: Bench, count: int, rng: np.random.Generator, kills: int = 1, *, anew: bool = True) -> Tally:
    """SIGKILL at lines of the run drawn at random: in each trial `kills` in a row, then the run is let finish.

    anew: from nothing, else from what a run makes before its first step.
    """
    tally = Tally(f"SIGKILL at random lines, {kills} in a row")
    lines = events_of(bench, Trap("line"))
    for number in range(count):
        name, faults, at = (bench.clear if anew else bench.begun)(f"killed-{kills}-{number}"), [], []
        for _ in range(kills):
            at.append(int(rng.integers(1, lines + 1)))
            ended = bench.command(name, Trap("line", ((at[-1], signal.SIGKILL),)))
            # What is left of the run after earlier kills may be shorter than what was drawn: then it finished.
            faults += [] if ended.codes in ((-9,), (0,)) else [f"ended with {ended.codes}"]
            tally.note("killed", float(ended.codes == (-9,)))
            faults += _lost(bench, name)
        tally.add(f"lines {at} of {lines}", faults + _finished(bench, name))
    return tally


def killed_at_epochs(bench: Bench, count: int, rng: np.random.Generator) -> Tally:
    """SIGKILL by another process as soon as the last step of an epoch, or the one before or after, has been logged."""
    tally = Tally("SIGKILL at the end of an epoch")
    for number in range(count):
        name, step = bench.begun(f"epoch-{number}"), EPOCH + int(rng.integers(-1, 2))
        processes = bench.start(name)
        _wait(lambda name=name, step=step: len(bench.losses_so_far(name)) >= step, processes)
        processes[0].kill()
        processes[0].join()
        ended = bench.ended(name, processes)
        faults = [] if ended.codes == (-9,) else [f"ended with {ended.codes}"]
        tally.add(f"step {step}", faults + _lost(bench, name) + _finished(bench, name))
    return tally


def killed_among_two(bench: Bench, count: int, rng: np.random.Generator) -> Tally:
    """Two processes: SIGKILL of the first, the second, or both; a survivor ends by itself, saying so, and the run goes on."""
    tally = Tally("SIGKILL under two processes")
    lines = events_of(bench, Trap("line", within="steps"))
    for number in range(count):
        name, rank = bench.begun(f"two-{number}"), (0, 1, None)[int(rng.integers(3))]
        at = int(rng.integers(1, int(0.9 * lines)))
        ended = bench.command(name, Trap("line", ((at, signal.SIGKILL),), within="steps", rank=rank))
        # Of two that are both to die at a line, the slower one may find the other gone before it comes there.
        faults = [] if -9 in (ended.codes if rank is None else (ended.codes[rank],)) else [f"ended with {ended.codes}"]
        faults += ["the other one hangs"] if 0x7FFF in ended.codes else []
        faults += [
            f"process {left} is silent" for left, code in enumerate(ended.codes) if code == 1 and not _says_so(ended, left)
        ]
        tally.note("seconds until the other one ended", ended.seconds)
        tally.add(f"line {at} of {lines}, process {rank}", faults + _lost(bench, name) + _finished(bench, name, 1e-6))
        if (bench.folder / name / "model").exists():
            tally.note("furthest weight", furthest(bench.course(name), bench.undisturbed))
    return tally


def _says_so(ended: Ended, rank: int) -> bool:
    """Whether the one that is left tells that the other is gone and how the run goes on, and no library's traceback."""
    told = f"cmelt: rank {rank} of 2: rank {1 - rank} has gone away"
    return told in ended.said and "the same command" in ended.said and "not foreseen" not in ended.said


def killed_in_a_save(bench: Bench, calls: Sequence[int], sizes: int, moments: int, rng: np.random.Generator) -> Tally:
    """Ended inside the writing of a checkpoint: at these calls, at bytes of a file, at moments that another process chooses."""
    tally = Tally("killed while a checkpoint is written")
    for call in calls:
        _one_save(bench, tally, f"call-{call}", Trap("call", ((call, signal.SIGKILL),)), -9)
    largest = max(len(content) for content in bench.undisturbed.state.values())
    for number in range(sizes):
        size, save = int(rng.integers(1, largest)), int(rng.integers(1, SAVES + 1))
        _one_save(bench, tally, f"byte-{number}", Trap("byte", ((save, 0),), size=size), -int(signal.SIGXFSZ))
    for number in range(moments):
        _struck_from_outside(bench, tally, f"moment-{number}", int(rng.integers(1, SAVES + 1)), float(rng.random()))
    return tally


def calls_of_saves(bench: Bench, count: int) -> list[int]:
    """So many calls, or all, of those that the saves of a run make, spread evenly; the first and the last are among them."""
    every = events_of(bench, Trap("call"))
    return sorted(set(np.linspace(1, every, min(count, every)).round().astype(int).tolist()))


def told_to_stop(bench: Bench, count: int, rng: np.random.Generator, signals: Iterable[signal.Signals] = CODES) -> Tally:
    """Each of the signals at `count` lines of the steps: saved at the step in hand, out within 10 s with its code."""
    tally = Tally("SIGTERM, SIGINT, SIGUSR1")
    lines = events_of(bench, Trap("line", within="steps"))
    for signal_ in signals:
        for number in range(count):
            name, at = bench.begun(f"{signal_.name}-{number}"), int(rng.integers(1, lines + 1))
            ended = bench.command(name, Trap("line", ((at, signal_),), within="steps"))
            faults = [] if ended.codes == (CODES[signal_],) else [f"ended with {ended.codes}"]
            faults += [] if ended.seconds <= 10 else [f"took {ended.seconds:.1f} s"]
            faults += [] if "the state is saved" in ended.said else ["does not say that the state is saved"]
            faults += _saved_what_was_done(bench, name) + _lost(bench, name) + _finished(bench, name)
            tally.note("seconds until it was out", ended.seconds)
            tally.add(f"{signal_.name} at line {at} of {lines}", faults)
    return tally


def told_twice(bench: Bench, count: int, rng: np.random.Generator, signals: Iterable[signal.Signals] = CODES) -> Tally:
    """A second signal a few lines after the first: out at once, by the system's own hand, and the run goes on as ever."""
    tally = Tally("a second signal")
    lines = events_of(bench, Trap("line", within="steps"))
    for signal_ in signals:
        for number in range(count):
            name, at = bench.begun(f"twice-{signal_.name}-{number}"), int(rng.integers(1, int(0.8 * lines)))
            # The next line of ours: nothing has been saved between the two.
            ended = bench.command(name, Trap("line", ((at, signal_), (at + 1, signal_)), within="steps"))
            expected = CODES[signal_] if signal_ is signal.SIGINT else -int(signal_)
            faults = [] if ended.codes == (expected,) else [f"ended with {ended.codes}"]
            faults += [] if ended.seconds <= 2 else [f"took {ended.seconds:.1f} s"]
            tally.note("seconds until it was out", ended.seconds)
            tally.add(f"{signal_.name} at line {at}", faults + _lost(bench, name) + _finished(bench, name))
    return tally


def events_of(bench: Bench, trap: Trap) -> int:
    """How many events of this kind an undisturbed run has."""
    name = f"counted-{trap.event}-{trap.within}"
    counted = bench.folder / f"{name}.counted"
    if not counted.exists():
        ended = bench.command(name, Trap(trap.event, (), trap.within))
        if any(ended.codes):
            raise RuntimeError(f"the counted run ended with {ended.codes}: {ended.said}")
    return int(counted.read_text())


def _one_save(bench: Bench, tally: Tally, name: str, trap: Trap, code: int) -> None:
    ended = bench.command(bench.begun(name), trap)
    faults = [] if ended.codes == (code,) else [f"ended with {ended.codes}"]
    tally.add(name, faults + _lost(bench, name) + _finished(bench, name))


def _struck_from_outside(bench: Bench, tally: Tally, name: str, save: int, share: float) -> None:
    """SIGKILL by this process at a share of the time that a save takes here; one that was over already does not count."""
    for attempt in range(10):
        own = bench.begun(f"{name}-{attempt}")
        processes = bench.start(own, Trap("save", ((save, 0),)))
        struck = bench.folder / f"{own}.struck"
        _wait(lambda struck=struck: struck.exists() and bool(struck.read_text()), processes, 0.0002)
        time.sleep(share * 0.03 / (attempt + 1))
        os.kill(processes[0].pid, signal.SIGKILL)
        processes[0].join()
        ended = bench.ended(own, processes)
        if not (bench.folder / f"{own}.survived").exists():
            faults = [] if ended.codes == (-9,) else [f"ended with {ended.codes}"]
            tally.add(own, faults + _lost(bench, own) + _finished(bench, own))
            return
    raise RuntimeError(f"{name}: every kill came after the save")


def _wait(until: Callable[[], bool], processes: list[Any], every: float = 0.005) -> None:
    end = time.monotonic() + PATIENCE
    while not until() and processes[0].is_alive() and time.monotonic() < end:
        time.sleep(every)


def _lost(bench: Bench, name: str) -> list[str]:
    """What a kill may not leave: a checkpoint that is not whole, a logged loss that is not the undisturbed run's."""
    faults = []
    for path in checkpoints(bench.folder / name / "checkpoints"):
        try:
            verify(path, CheckpointError)
        except CheckpointError as fault:
            faults.append(str(fault))
    logged = bench.losses_so_far(name)
    same = bench.undisturbed.losses[: len(logged)] == logged
    return faults + ([] if same or bench.world > 1 else ["losses before the kill differ"])


def _saved_what_was_done(bench: Bench, name: str) -> list[str]:
    """Whether the newest state is that of the last step that was done."""
    newest = checkpoints(bench.folder / name / "checkpoints")[:1]
    done = len(bench.losses_so_far(name))
    return [] if newest and newest[0].name == f"step-{done:08d}" else [f"{done} steps were done, saved is {newest}"]


def _finished(bench: Bench, name: str, tolerance: float = 0.0) -> list[str]:
    """Let the run finish with the same command; what is not as in the undisturbed run."""
    run = bench.folder / name
    whole = [int(path.name.removeprefix("step-")) for path in checkpoints(run / "checkpoints")]
    ended = bench.command(name)
    if any(ended.codes):
        return [f"going on ended with {ended.codes}: {ended.said[-300:]}"]
    faults = [] if not whole or f"going on after step {whole[0]}\n" in ended.said else [f"did not go on after step {whole[0]}"]
    faults += [f"left {left}" for left in leftovers(run)]
    return faults + differences(bench.course(name), bench.undisturbed, tolerance)
