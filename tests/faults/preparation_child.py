"""`cmelt prepare` with a trap set, as a program: python preparation_child.py prepare folder …; the trap is told by $CMELT_STRIKE.

Worker processes import the program they belong to, so that a trap for workers is set in them too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

STRIKE = "CMELT_STRIKE"
#: Lines are counted in these folders and files of ours.
TRACED = ("/cmelt/store/", "/cmelt/publishing.py", "/cmelt/sources/folder.py")
#: What changes the disk, as Python tells its audit hooks.
_TOLD = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


@dataclass(frozen=True)
class Strike:
    """Where a process is struck, and with what.

    Attributes:
        event: "line" of the preparation in the main process, or of a shard in a "worker"; "call": one that opens, makes, syncs,
            renames or removes something in `place`; "read": the reading of one record has just ended, or ("reading") begins.
        number: of the event, from 1; 0 strikes never.
        place: the folder that the store is made in; the number of events is written beside it at the end.
        change, changed: instead of SIGKILL, what is done (`CHANGES`) to which file.
    """

    event: Literal["line", "worker", "call", "read", "reading"]
    number: int
    place: str
    change: str = ""
    changed: str = ""

    @property
    def counted(self) -> Path:
        """Gets the number of events."""
        return Path(f"{self.place}.counted")


def rewrite(path: Path) -> None:
    """Other samples, as many bytes, of a CSV."""
    text = path.read_text()
    head, _, last = text.rstrip("\n").rpartition("\n")
    path.write_text(f"{head}\n{last[:-1]}{'1' if last[-1] != '1' else '2'}\n")


def grow(path: Path) -> None:
    """One more sample."""
    text = path.read_text()
    path.write_text(text + text.rstrip("\n").rpartition("\n")[2] + "\n")


def cut(path: Path) -> None:
    """Half of it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swap(path: Path) -> None:
    """Another file put in its place by a rename."""
    other = path.with_name(f".{path.name}.new")
    other.write_text(path.read_text())
    rewrite(other)
    other.replace(path)


def add_row(path: Path) -> None:
    """A record more in a table, and its file."""
    name = path.read_text().splitlines()[1].split(",")[0]
    (path.parent / "tree" / "more.csv").write_bytes((path.parent / "tree" / name).read_bytes())
    path.write_text(path.read_text() + "more.csv,,\n")


def other_patient(path: Path) -> None:
    """The last record of a table belongs to somebody else."""
    *lines, last = path.read_text().splitlines()
    cells = last.split(",")
    path.write_text("\n".join([*lines, ",".join([cells[0], "somebody", *cells[2:]])]) + "\n")


def move(path: Path) -> None:
    """The folder under another name, as if it were no longer mounted."""
    path.rename(path.with_name(f"{path.name}-gone"))


CHANGES: dict[str, Callable[[Path], None]] = {
    "rewritten": rewrite,
    "grown": grow,
    "cut": cut,
    "swapped": swap,
    "removed": Path.unlink,
    "row added": add_row,
    "patient changed": other_patient,
    "table removed": Path.unlink,
    "all gone": move,
}


class Counter:
    """Counts events while it is on, and strikes at the chosen one."""

    def __init__(self, strike: Strike) -> None:
        self.strike, self.count, self.on = strike, 0, False

    def event(self) -> None:
        if not self.on:
            return
        self.count += 1
        if self.count != self.strike.number:
            return
        self.on = False
        if self.strike.change:
            CHANGES[self.strike.change](Path(self.strike.changed))
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, work: Callable[..., Any], *, lines: bool) -> Callable[..., Any]:
        """`work`, with events counted while it runs, and the count written down when it ends."""

        def line(frame: Any, event: str, _: Any) -> Any:
            if event == "line":
                self.event()
            return line

        def enter(frame: Any, event: str, _: Any) -> Any:
            return line if any(part in frame.f_code.co_filename for part in TRACED) else None

        def call(*given: Any, **named: Any) -> Any:
            self.on = True
            sys.settrace(enter if lines else None)
            try:
                return work(*given, **named)
            finally:
                sys.settrace(None)
                self.on = False
                self.strike.counted.write_text(str(self.count))

        call.__module__, call.__qualname__, call.__name__ = work.__module__, work.__qualname__, work.__name__
        return call


def arm(strike: Strike, *, in_worker: bool) -> None:
    """Set the trap in this process."""
    import cmelt.store.prepare as prepare
    import cmelt.store.shard as shard

    counter = Counter(strike)
    if in_worker:
        if strike.event == "worker":
            shard.finish_shard = counter.around(shard.finish_shard, lines=True)
        return
    if strike.event == "call":
        count_calls(counter)
    elif strike.event in ("read", "reading"):
        _count_reads(counter)
    if strike.event != "worker":
        prepare.prepare_store = counter.around(prepare.prepare_store, lines=strike.event == "line")


def count_calls(counter: Counter) -> None:
    """Let calls that change the disk below the strike's place be events; those of any library that Python tells of."""
    import cmelt.publishing as publishing

    place = os.path.abspath(counter.strike.place)

    def around(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            counter.event()
            result = work(*given, **named)
            counter.event()
            return result

        return call

    def told(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _TOLD and isinstance(arguments[0], str | os.PathLike) and os.fspath(arguments[0]).startswith(place):
            counter.event()

    for module, name in ((os, "fsync"), (publishing, "_exchange")):
        setattr(module, name, around(getattr(module, name)))
    sys.addaudithook(told)


def _count_reads(counter: Counter) -> None:
    from cmelt.sources.folder import Folder

    read = Folder.read

    def counted(self: Folder, entry: Any) -> Any:
        if counter.strike.event == "reading":
            counter.event()
        try:
            return read(self, entry)
        finally:
            if counter.strike.event == "read":
                counter.event()

    Folder.read = counted  # type: ignore[method-assign]


def forked(arguments: list[str], environment: dict[str, str], said: str) -> None:
    """The command in a process that was forked off one with the heavy imports behind it."""
    os.environ.update(environment)
    stream = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    if STRIKE in environment:
        arm(Strike(**json.loads(environment[STRIKE])), in_worker=False)
    from cmelt.cli import main

    sys.argv = ["cmelt", *arguments]
    main()


if os.environ.get(STRIKE):
    arm(Strike(**json.loads(os.environ[STRIKE])), in_worker=__name__ == "__mp_main__")

if __name__ == "__main__":
    from cmelt.cli import main

    main()
