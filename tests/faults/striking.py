"""Traps inside a process: at a chosen line of the loop, call of a checkpoint's writing, or byte of its files, it is struck.

A strike is a real signal to the own process: SIGKILL leaves no time for anything. Written bytes end where the system's limit on
the size of a file does (RLIMIT_FSIZE): the kernel ends the process inside the very write, in whatever language it is made.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

#: Lines are counted in these modules of ours.
TRACED = ("training/loop.py", "checkpoints/training_state.py", "publishing.py", "training/log.py")
#: What changes the disk, or reads it for the hashes, as Python tells its audit hooks.
_TOLD = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


Poison = Literal["nan", "inf", "gradient"]


@dataclass(frozen=True)
class Trap:
    """Where a process is struck.

    Attributes:
        event: "line" of the loop, of saving and of publishing; "call" of the writing of a checkpoint; "byte": one more than so
            many in any file of a checkpoint; "save": when one begins, which is noted for others (signal 0: and nothing else);
            "asked": the processes have just asked each other whether any of them was told to stop; "loss": that of an
            `objective` in a batch, which is made no number.
        strikes: (number of the event, from 1; signal); for "byte" the number is that of the save.
        within: lines of the whole "run" after set-up began, or of the "steps" alone.
        size: for "byte".
        rank: which process; None is all of them.
        objective, poison: for "loss": whose, and what becomes of it; "gradient" leaves the loss and spoils what is derived of it.
    """

    event: Literal["line", "call", "byte", "save", "asked", "loss"]
    strikes: tuple[tuple[int, int], ...] = ()
    within: Literal["run", "steps"] = "run"
    size: int = 0
    rank: int | None = 0
    objective: str = ""
    poison: Poison = "nan"


def arm(trap: Trap, noted: Path) -> None:
    """Set the trap in this process. `noted`: gets the time of each strike; at the end, "NAME.counted" the number of events."""
    counter = _Counter(dict(trap.strikes), noted)
    if trap.event == "line":
        _trace(counter, trap.within)
    elif trap.event == "call":
        _count_calls(counter)
    elif trap.event == "asked":
        _after_asking(counter)
    elif trap.event == "loss":
        _poison(trap)
    else:
        _at_save(trap, noted)


def tell(noted: Path) -> None:
    """Write down that it is now."""
    with noted.open("a") as file:
        file.write(f"{time.monotonic()}\n")


class _Counter:
    """Counts events of the main thread, and strikes at the chosen ones."""

    def __init__(self, strikes: dict[int, int], noted: Path) -> None:
        self.strikes, self.noted, self.count, self.on = strikes, noted, 0, False

    def event(self) -> None:
        if not self.on or threading.current_thread() is not threading.main_thread():
            return
        self.count += 1
        if (number := self.strikes.get(self.count)) is not None:
            self.on = False
            tell(self.noted)
            self.on = True
            os.kill(os.getpid(), number)

    def over(self) -> None:
        """No more events: say how many there were."""
        self.on = False
        self.noted.with_suffix(".counted").write_text(str(self.count))


def _trace(counter: _Counter, within: str) -> None:
    import cmelt.training.loop as loop

    def line(frame: Any, event: str, _: Any) -> Any:
        if event == "line":
            counter.event()
        return line

    def enter(frame: Any, event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename.endswith(TRACED) else None

    def traced(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            counter.on = True
            sys.settrace(enter)
            try:
                return work(*given, **named)
            finally:
                sys.settrace(None)
                counter.over()

        return call

    name = "pretrain" if within == "run" else "_train"
    setattr(loop, name, traced(getattr(loop, name)))


def _count_calls(counter: _Counter) -> None:
    import cmelt.checkpoints.model_folder as model_folder
    import cmelt.checkpoints.training_state as training_state
    import cmelt.publishing as publishing
    import cmelt.training.loop as loop

    def around(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            counter.event()
            result = work(*given, **named)
            counter.event()
            return result

        return call

    for module, name in (
        (os, "fsync"),
        (publishing, "_exchange"),
        (training_state, "save_file"),
        (model_folder, "save_file"),
    ):
        setattr(module, name, around(getattr(module, name)))
    sys.addaudithook(lambda event, _: counter.event() if event in _TOLD else None)
    save = loop._save

    def counted(*given: Any) -> None:
        counter.on = True
        save(*given)
        counter.over()

    loop._save = counted


def _at_save(trap: Trap, noted: Path) -> None:
    import cmelt.training.loop as loop

    save, numbers, count = loop._save, dict(trap.strikes), [0]

    def struck(*given: Any) -> None:
        count[0] += 1
        if count[0] not in numbers:
            save(*given)
            return
        tell(noted)
        if trap.event == "byte":
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and would raise OSError instead
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (trap.size, trap.size))
        elif numbers[count[0]]:
            os.kill(os.getpid(), numbers[count[0]])
        save(*given)
        noted.with_suffix(".survived").write_text("")

    loop._save = struck


def _after_asking(counter: _Counter) -> None:
    import cmelt.training.loop as loop

    ask = loop._code_of_anyone

    def asked(*given: Any) -> int | None:
        code = ask(*given)
        counter.on = True
        counter.event()
        return code

    loop._code_of_anyone = asked


def _poison(trap: Trap) -> None:
    from cmelt.objectives.total import OBJECTIVES

    compute, calls, numbers = OBJECTIVES[trap.objective], [0], dict(trap.strikes)

    def poisoned(*given: Any) -> Any:
        calls[0] += 1
        loss = compute(*given)
        if calls[0] not in numbers:
            return loss
        if trap.poison == "gradient":
            loss.register_hook(lambda gradient: gradient * math.inf)
            return loss
        return loss * (math.nan if trap.poison == "nan" else math.inf)

    OBJECTIVES[trap.objective] = poisoned
