"""A service in a process of its own, as `cmelt serve` starts it, and what the system says of that process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"
#: Seconds that a service may take to become ready, or to end.
PATIENCE = 180.0


@dataclass(frozen=True)
class Served:
    """A running service."""

    running: subprocess.Popen[bytes]
    port: int
    log: Path

    def memory(self) -> float:
        """Megabytes (10⁶ bytes) that it holds."""
        return self._status("VmRSS")

    def forget_peak(self) -> float:
        """Let the peak begin anew; the megabytes that it holds now."""
        Path(f"/proc/{self.running.pid}/clear_refs").write_text("5")
        return self.memory()

    def peak(self) -> float:
        """The most megabytes that it has held since."""
        return self._status("VmHWM")

    def processor_seconds(self) -> float:
        """Of the processor, so far."""
        fields = Path(f"/proc/{self.running.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self) -> tuple[float, int]:
        """Seconds from SIGTERM to its end, and its exit status."""
        begun = time.perf_counter()
        self.running.send_signal(signal.SIGTERM)
        self.running.wait(PATIENCE)
        return time.perf_counter() - begun, self.running.returncode

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.running.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[Served]:
    """`cmelt serve` with one thread at a free port of this machine, ready; killed at the end if it still runs."""
    temporary, log = folder / "temporary", folder / "log"
    temporary.mkdir(parents=True)
    command = [sys.executable, "-m", "cmelt.cli", "serve", "--port", "0", "--device", "cpu", "--threads", "1", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream, subprocess.Popen(command, env=environment, stdout=stream, stderr=stream) as running:
        try:
            found = Served(running, _port(log, running), log)
            _wait_until_ready(found)
            yield found
        finally:
            running.kill()


def _port(log: Path, running: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and running.poll() is None:
        said = log.read_text()
        if " at http://" in said and said.endswith("\n"):
            return int(said.split(" at http://", 1)[1].split("\n")[0].rpartition(":")[2])
        time.sleep(0.05)
    raise RuntimeError(f"no service: {log.read_text()}")


def _wait_until_ready(service: Served) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if service.get("/readyz")[0] == 200:
            return
        time.sleep(0.1)
    raise RuntimeError("the service never became ready")


def clients(port: int, asks: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """Clients in a process of their own, at work; `outcomes_of` has what becomes of it."""
    script = Path(__file__).with_name("service_clients.py")
    command = [sys.executable, str(script), "--port", str(port), "--asks", str(asks), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def outcomes_of(running: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """What became of every request, once the clients are done."""
    output, _ = running.communicate()
    if running.returncode:
        raise RuntimeError("the clients have failed")
    found: list[dict[str, Any]] = json.loads(output)
    return found
