"""`cmelt prepare` in processes of its own, struck at a chosen point, and what it leaves behind."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from preparation_child import STRIKE, Strike, forked

from array_files import table_text
from cmelt.errors import StoreError
from cmelt.publishing import sha256
from cmelt.store import open_store
from ecg_files import heart, write_wfdb

HOUSE = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("preparation_child.py")
PATIENCE = 120.0
RECORDS, SHARD = 24, 4
_MARK = "CMELT_TRIAL"
#: What the command imports on its way.
_LATER = ("pandas", "pyarrow.parquet", "pyarrow.dataset", "threadpoolctl", "numpy.ma")
_PRELOADED = (
    "cmelt.cli.prepare",
    "cmelt.store.prepare",
    "cmelt.store.tables",
    "cmelt.sources.folder",
    "preparation_child",
    *_LATER,
)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (−9 where it was killed) and what it said."""

    code: int
    said: str


class Forked:
    """A command in a forked process, as `subprocess.Popen` shows it."""

    def __init__(self, arguments: list[str], environment: dict[str, str], said: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOADED))
        self._process = context.Process(target=forked, args=(arguments, environment, said))
        self._process.start()

    def poll(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The same, waited for. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("cmelt prepare", timeout or 0.0)
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()


Running = subprocess.Popen[bytes] | Forked


@dataclass(frozen=True)
class Bench:
    """A folder with a source, the store that an undisturbed preparation makes of it, and an older store of other settings."""

    folder: Path

    @cached_property
    def source(self) -> Path:
        """WFDB and CSV files, some of one signal, one damaged, with a table of patients."""
        source = self.folder / "source"
        if not source.exists():
            write_source(self.folder / "made")
            (self.folder / "made").rename(source)
        return source

    @cached_property
    def whole(self) -> dict[str, str]:
        """The files of the undisturbed store, with their SHA-256."""
        return tree_of(self._made("whole"))

    @cached_property
    def old(self) -> Path:
        """Another store."""
        return self._made("old", "--seconds", "4")

    def _made(self, name: str, *more: str) -> Path:
        place = self.folder / name
        if not (place / "out").exists():
            shutil.rmtree(place, ignore_errors=True)
            ended = Trial(self, name, self.source).run(None, "--workers", "1", *more)
            if ended.code:
                raise RuntimeError(f"the undisturbed preparation ended with {ended.code}: {ended.said}")
        return place / "out"

    def trial(self, name: str, *, replacing: bool = False, own_source: bool = False) -> Trial:
        """An empty place to prepare into; with the old store in it, to be replaced; with a source of its own, to be changed."""
        place = self.folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        if replacing:
            shutil.copytree(self.old, place / "out")
        if own_source:
            for left in self.folder.glob(f"{name}-source*"):  # a trial of this name may have moved its source away
                shutil.rmtree(left)
            shutil.copytree(self.source, self.folder / f"{name}-source")
        return Trial(self, name, self.folder / f"{name}-source" if own_source else self.source, replacing)


@dataclass(frozen=True)
class Trial:
    """One place that a store is prepared in, as `out`."""

    bench: Bench
    name: str
    source: Path
    replacing: bool = False

    @property
    def place(self) -> Path:
        """The folder that holds `out` and nothing else in the end."""
        return self.bench.folder / self.name

    @property
    def receipts(self) -> Path:
        """Where finished shards are noted while it is at work."""
        return self.place / ".out.preparing" / "receipts"

    def command(self, *more: str) -> list[str]:
        """What is run."""
        command = [sys.executable, str(CHILD), "prepare", "folder", str(self.source / "tree")]
        command += ["--table", str(self.source / "table.csv"), "--out", str(self.place / "out"), "--shard-records", str(SHARD)]
        command += ["--force"] if self.replacing else []
        return [*command, *(("--workers", "1") if "--workers" not in more and "--dask" not in more else ()), *more]

    def start(self, strike: Strike | None = None, *more: str) -> Running:
        """The command, while it runs; what it says goes into a file. Where it needs no others, its process is forked."""
        self.place.mkdir(parents=True, exist_ok=True)
        self.said.write_bytes(b"")
        if more:
            with self.said.open("wb") as said:
                return subprocess.Popen(self.command(*more), env=self.environment(strike), stdout=said, stderr=said)
        told = {} if strike is None else {STRIKE: json.dumps(asdict(strike))}
        return Forked(self.command()[2:], {"OMP_NUM_THREADS": "1", **told}, str(self.said))

    def run(self, strike: Strike | None = None, *more: str) -> Ended:
        """The command until it has ended."""
        return self.ended(self.start(strike, *more))

    def ended(self, process: Running) -> Ended:
        """How it ended; one that hangs is killed, and its code is 0x7FFF."""
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = 0x7FFF
        return Ended(code, self.said.read_text(errors="replace"))

    @property
    def said(self) -> Path:
        """What the last command said."""
        return self.bench.folder / f"{self.name}.said"

    def strike(self, event: str, number: int, change: str = "", changed: str = "") -> Strike:
        """A trap for this place."""
        return Strike(event, number, str(self.place), change, changed)  # type: ignore[arg-type]

    def environment(self, strike: Strike | None = None) -> dict[str, str]:
        """Of its processes."""
        kept = {name: value for name, value in os.environ.items() if name != STRIKE}
        own = {"PYTHONPATH": str(HOUSE / "src"), "OMP_NUM_THREADS": "1", _MARK: self.mark}
        return kept | own | ({} if strike is None else {STRIKE: json.dumps(asdict(strike))})

    @cached_property
    def mark(self) -> str:
        """By what its processes are known."""
        return uuid.uuid4().hex

    def faults_of_state(self) -> list[str]:
        """What is wrong with `out` after a strike: it must be absent, or whole and one of the two that it may be."""
        found = tree_or_fault(self.place / "out")
        if isinstance(found, str):
            return [found]
        allowed = [self.bench.whole, tree_of(self.bench.old) if self.replacing else {}]
        return [] if found in allowed else ["another store, or none where the old one was"]

    def faults_of_end(self) -> list[str]:
        """What is wrong once the command has been let finish: the whole store, and nothing else beside it."""
        found = tree_or_fault(self.place / "out")
        faults = (
            [] if found == self.bench.whole else [found if isinstance(found, str) else "not the bytes of the undisturbed store"]
        )
        left = sorted(path.name for path in self.place.iterdir() if path.name != "out")
        return faults + ([f"left over: {', '.join(left)}"] if left else [])

    def resumed(self, *more: str) -> list[str]:
        """Run it again, as a user would, and say what is wrong then."""
        finished = tree_or_fault(self.place / "out") == self.bench.whole and not self.replacing
        ended = self.run(None, *more)
        if finished:  # it was killed when the store was in place already
            faults = [] if ended.code == 1 and "exists already" in ended.said else [f"a finished one ended with {ended.code}"]
        else:
            faults = [] if ended.code == 0 else [f"run again it ended with {ended.code}: {ended.said[-200:]}"]
        return faults + self.faults_of_end()

    def processes(self, patience: float = 15.0) -> list[str]:
        """Processes of this trial that do not go away by themselves."""
        end = time.monotonic() + patience
        while (running := _marked(f"{_MARK}={self.mark}".encode())) and time.monotonic() < end:
            time.sleep(0.05)
        return [f"process {name} is still there" for name in running]


def write_source(folder: Path) -> None:
    """24 records of 5 s: two in three CSV, the others WFDB; some nobody's, some of one signal, one damaged."""
    lines = ["record,patient,split"]
    for number in range(RECORDS):
        signal = heart(number - number % 5 // 4, seconds=5.0)
        if number % 3 == 1:
            write_wfdb(folder / "tree" / f"r{number:02}", signal)
        else:
            (folder / "tree").mkdir(parents=True, exist_ok=True)
            (folder / "tree" / f"r{number:02}.csv").write_text(table_text(signal))
        lines.append(f"r{number:02}{'' if number % 3 == 1 else '.csv'},{'' if number % 4 == 0 else f'p{number // 3}'},")
    (folder / "tree" / "r07.dat").write_bytes(b"")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")


def file_of(source: Path, number: int) -> Path:
    """The file of record `number`, which is a CSV."""
    return source / "tree" / f"r{number:02}.csv"


def tree_of(store: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {path.relative_to(store).as_posix(): sha256(path) for path in sorted(store.rglob("*")) if path.is_file()}


def tree_or_fault(out: Path) -> Mapping[str, str] | str:
    """The files of the store at `out`, {} where there is none; or why it is no whole store."""
    if not out.exists():
        return {}
    try:
        store = open_store(out, verify="full")
        store.signals(np.arange(len(store)))
    except StoreError as error:
        return f"half a store: {error}"
    return tree_of(out)


def _marked(mark: bytes) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes() and (path.parent / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(path.parent.name)
        except OSError:
            continue  # it has gone, or is another's
    return found
