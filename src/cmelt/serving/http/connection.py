"""One connection: HTTP/1.1 as uvicorn speaks it, with a time for a request's head and refusals of our own where it has none.

What uvicorn leaves open: a head that never ends is waited for for ever, and what is no HTTP gets a line of plain text. And a full
service says so before it takes a request apart: at many times its capacity it would do nothing else.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from http import HTTPStatus
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cmelt.serving.http.refusal import Refusal
from cmelt.serving.http.service import Service
from cmelt.serving.http.settings import LINGER_SECONDS, Limits
from cmelt.serving.http.standing import MODEL_HEADER, STANDING_HEADERS
from cmelt.serving.http.told import tell

#: Of `scope["state"]`: there are more connections than the service keeps open, so that whatever this one asks is refused.
CROWDED = "crowded"
#: How long idle connections stay open once the service is told to end: a request that was on its way is answered still.
LAST_ASKED_SECONDS = 0.5
#: How a request begins that may have to wait, up to its path.
_ASKS = b"POST /v1/"
_LONGEST_LINE = 4096


def protocol_for(service: Service) -> type[Connection]:
    """The protocol with this service's limits and gate, as uvicorn takes one."""
    return type("LimitedConnection", (Connection,), {"limits": service.limits, "service": service})


class Connection(H11Protocol):
    """One caller's connection, of many requests one after the other."""

    limits: ClassVar[Limits] = Limits()
    service: ClassVar[Service | None] = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller has come; the first request's head is awaited from now on."""
        super().connection_made(transport)
        self._refused = self._anything = False
        self._head_due: asyncio.TimerHandle | None = None
        if len(self.connections) > self.limits.connections:
            self.app_state = {**self.app_state, CROWDED: True}
        self._time_the_head()

    def data_received(self, data: bytes) -> None:
        """Something has come: it belongs to the request, unless that has been refused."""
        if self._refused:
            return
        self._anything = True
        if not self._turned_away(data):
            super().data_received(data)
            self._time_the_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller has gone."""
        self._stop_timing()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The service ends: what is being answered is closed after that; an idle caller may have asked at this very moment."""
        if self._refused:
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_ASKED_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def _close_if_idle(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's words; ours are below)
        """What came is no HTTP."""
        self._refuse(Refusal(400, "the request", "it is no HTTP/1.1 that can be understood", "send it as RFC 9112 has it"))

    def _turned_away(self, data: bytes) -> bool:
        """Whether this is the beginning of a request that there is no room for; it is refused, and the rest of it unread."""
        if self.service is None or not data.startswith(_ASKS) or not self._between_requests():
            return False
        path, end, _ = data[len(b"POST ") : _LONGEST_LINE].partition(b" HTTP/1.1\r\n")
        if not end:
            return False
        try:
            self.service.gate.check(self.client[0] if self.client else "")
        except Refusal as refusal:
            request_id = self._refuse(refusal)
            told = path.partition(b"?")[0].decode("ascii", "replace")
            tell(self.service.metrics, request_id, "POST", told, refusal.status, 0.0)
            return True
        return False

    def _between_requests(self) -> bool:
        """Whether nothing has come that is not answered yet."""
        idle = self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE
        return idle and not self.conn.trailing_data[0] and (self.cycle is None or self.cycle.response_complete)

    def _time_the_head(self) -> None:
        """Let the clock run while a request's head is on its way, from its first byte (or the connection's beginning)."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._stop_timing()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(self.limits.slow_seconds, self._too_slow)

    def _stop_timing(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _too_slow(self) -> None:
        self._head_due = None
        if not self._anything:
            self.transport.close()  # opened in advance, as browsers do
        elif not self._refused and self.conn.their_state is h11.IDLE:
            reason = f"its head has not come within {self.limits.slow_seconds:g} s"
            self._refuse(Refusal(408, "the request", reason, "send it at once"))

    def _refuse(self, refusal: Refusal) -> str:
        """Answer without the application, and close: at once where the caller goes, else after a moment.

        Returns:
            The answer's id.
        """
        request_id = secrets.token_hex(4)
        self._refused = True
        self._stop_timing()
        self._unset_keepalive_if_required()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE) or self.transport.is_closing():
            self.transport.close()
            return request_id
        content = json.dumps(refusal.body(), ensure_ascii=False).encode()
        said = {
            **STANDING_HEADERS,
            **refusal.headers(),
            "X-Request-Id": request_id,
            **({MODEL_HEADER: self.service.identity} if self.service is not None and self.service.identity is not None else {}),
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in said.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + content)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
        return request_id
