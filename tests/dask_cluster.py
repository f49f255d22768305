"""A Dask cluster on this machine, each part a process of its own that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where workers import cmelt from.
SOURCE_PATH = str(Path(__file__).resolve().parents[1] / "src")


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, workers: list[str]) -> None:
        self._folder, self._file = folder, folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", path=SOURCE_PATH)
        self.workers = [self._start("worker", "--no-nanny", "--nthreads", "1", path=path) for path in workers]

    @property
    def address(self) -> str:
        while not self._file.exists() or not self._file.read_text():
            time.sleep(0.02)
        return str(json.loads(self._file.read_text())["address"])

    def _start(self, what: str, *options: str, path: str) -> subprocess.Popen:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(self._file), "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        if what == "worker":
            options += ("--local-directory", str(self._folder))
        log = (self._folder / f"{what}.log").open("ab")
        return subprocess.Popen([*command, *options], env=environment, stdout=log, stderr=log, cwd=self._folder)

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def cluster(folder: Path, *workers: str) -> Iterator[Cluster]:
    """Workers are given by the path that they import from."""
    folder.mkdir()
    there = Cluster(folder, list(workers))
    try:
        yield there
    finally:
        there.end()
