"""The service as a process: socket, server, log, signals."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from prometheus_client import disable_created_metrics

from cmelt.errors import ConfigError
from cmelt.serving.http.app import build_app
from cmelt.serving.http.connection import protocol_for
from cmelt.serving.http.loaded import Sources
from cmelt.serving.http.memory import leave_alone, share_heaps
from cmelt.serving.http.private_folder import private_folder
from cmelt.serving.http.service import Service
from cmelt.serving.http.settings import ServiceSettings

_BACKLOG = 256
_SWITCH_SECONDS = 0.0005
#: How long a connection stays open between two requests.
_IDLE_SECONDS = 10
#: How long the rest of the process may take once requests had their `stop_seconds`.
_AFTER_STOP = 5.0


def serve(sources: Sources, settings: ServiceSettings, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests that are inside are answered before it returns.

    Args:
        say: told where it listens, and that it ends.
    Raises:
        ConfigError: the address cannot be had.
        CMeltError: the model or the index cannot be loaded.
    """
    with _bound(settings) as listening, private_folder() as folder:
        _quiet()
        # A thread that computes gives way to the one that answers after this long, not after Python's 5 ms: several times a
        # request.
        sys.setswitchinterval(_SWITCH_SECONDS)
        share_heaps()
        disable_created_metrics()  # a second series for each, which nobody reads
        service = Service(sources, settings, leave_alone)
        server = _Server(
            _configuration(service, lambda: _end(server)), service, folder, settings.limits.stop_seconds + _AFTER_STOP
        )
        # uvicorn raises the signal again when it is done; then it means nothing any more. SIGINT stays an interruption.
        signal.signal(signal.SIGTERM, lambda *_: None)
        say(f"serving {sources.name} at {address(listening)}")
        server.run(sockets=[listening])
        if service.worker.failure is not None:
            raise service.worker.failure
        say("served; every request that was inside is answered")


def address(listening: socket.socket) -> str:
    """Where it listens, as one types it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Ends some seconds after it is told to, whatever a thread still does.

    A file that is read, or an explanation that is computed, cannot be interrupted; nobody waits for it any more by then.
    """

    def __init__(self, config: uvicorn.Config, service: Service, folder: Path, seconds: float) -> None:
        super().__init__(config)
        self._service, self._folder, self._seconds = service, folder, seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come."""
        if not self.should_exit:
            last = threading.Timer(self._seconds, self._leave)
            last.daemon = True
            last.start()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody is let in any more before callers are told to come over another connection."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        self._service.ending = True
        await super().shutdown(sockets)

    def _leave(self) -> None:
        logging.getLogger("cmelt.serve").error("ended without waiting any longer for what is computed")
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(1)


def _end(server: uvicorn.Server) -> None:
    server.should_exit = True


def _configuration(service: Service, failed: Callable[[], None]) -> uvicorn.Config:
    return uvicorn.Config(
        build_app(service, failed),
        http=protocol_for(service),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would tell addresses and queries
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=round(service.limits.stop_seconds),
    )


def _bound(settings: ServiceSettings) -> socket.socket:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(_BACKLOG)
    except OSError as error:
        reason = error.strerror or "it is no address of this machine"
        raise ConfigError(f"{settings.host}:{settings.port}", reason, "choose another --port or --host") from error
    return listening


def _quiet() -> None:
    """Only our lines are logged: a library's may quote what it reads, and so may a warning or the trace of an error."""
    warnings.simplefilter("ignore")
    logging.lastResort = None
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    log = logging.getLogger("cmelt.serve")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
