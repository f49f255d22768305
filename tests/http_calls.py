"""Asking a service over HTTP as a stranger would, and starting one in a process or a thread of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[1] / "src"
PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        """A refusal's three parts: all there, none empty."""
        told = self.json["error"]
        assert set(told) == {"what", "reason", "remedy"} and all(told.values()), told
        return told


def form(files: Sequence[tuple[str, bytes]] = (), **fields: str | Sequence[str]) -> tuple[bytes, str]:
    """multipart/form-data with `files` in parts named file, and its content type."""
    boundary = "a-boundary-of-tests"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def files_at(*paths: Path) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in paths]


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def upload(self, path: str, files: Sequence[tuple[str, bytes]] = (), **fields: str | Sequence[str]) -> Answer:
        body, kind = form(files, **fields)
        return self.ask("POST", path, body, {"Content-Type": kind})

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, content, {"Content-Type": "application/json", **headers})

    def wait_until_ready(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.get("/readyz").status == 200:
                return
            time.sleep(0.05)
        raise AssertionError("the service never became ready")


@dataclass(frozen=True)
class Process:
    """A service as `cmelt serve` starts it; `log` is what it wrote to stderr, `temporary` where its temporary files go."""

    running: subprocess.Popen[bytes]
    service: Service
    log: Path
    temporary: Path

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.running.send_signal(number)
        return self.running.wait(PATIENCE)


@contextmanager
def process(folder: Path, *arguments: str | Path, **environment: str) -> Iterator[Process]:
    """`cmelt serve` at a free port, ready; killed at the end if it still runs."""
    temporary, log = folder / "temporary", folder / "log"
    temporary.mkdir(parents=True)
    command = [sys.executable, "-m", "cmelt.cli", "serve", "--port", "0", "--device", "cpu", "--threads", "1", *arguments]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", **environment}
    with log.open("wb") as stream, subprocess.Popen(list(map(str, command)), env=env, stdout=stream, stderr=stream) as running:
        try:
            service = Service(_port_told(log, running))
            service.wait_until_ready()
            yield Process(running, service, log, temporary)
        finally:
            running.kill()


def _port_told(log: Path, running: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and running.poll() is None:
        told = log.read_text()
        if " at http://" in told and told.endswith("\n"):
            return int(told.split(" at http://", 1)[1].split("\n")[0].rpartition(":")[2])
        time.sleep(0.05)
    raise AssertionError(f"no service: {log.read_text()}")


@contextmanager
def in_thread(service: Any) -> Iterator[Service]:
    """The application of a `cmelt.serving.http.service.Service` on a free port, in a thread of this process; ready."""
    import uvicorn

    from cmelt.serving.http.app import build_app
    from cmelt.serving.http.connection import protocol_for

    options: dict[str, Any] = {"log_config": None, "access_log": False, "timeout_graceful_shutdown": 5}
    server = uvicorn.Server(uvicorn.Config(build_app(service), port=0, http=protocol_for(service), **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + PATIENCE
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        asked = Service(server.servers[0].sockets[0].getsockname()[1])
        asked.wait_until_ready()
        yield asked
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
