"""One connection: HTTP/1.1 as uvicorn speaks it, with a time for a request's head and refusals of our own where it has none.

What uvicorn leaves open: a head that never ends is waited for for ever, and what is no HTTP gets a line of plain text.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cmelt.serving.http.refusal import Refusal
from cmelt.serving.http.settings import LINGER_SECONDS, Limits
from cmelt.serving.http.standing import STANDING_HEADERS

#: Of `scope["state"]`: there are more connections than the service keeps open, so that whatever this one asks is refused.
CROWDED = "crowded"
#: How long idle connections stay open once the service is told to end: a request that was on its way is answered still.
LAST_ASKED_SECONDS = 0.5


def protocol_for(limits: Limits) -> type[Connection]:
    """The protocol with these limits, as uvicorn takes one."""
    return type("LimitedConnection", (Connection,), {"limits": limits})


class Connection(H11Protocol):
    """One caller's connection, of many requests one after the other."""

    limits: ClassVar[Limits] = Limits()

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

    def _refuse(self, refusal: Refusal) -> None:
        """Answer without the application, and close: at once where the caller goes, else after a moment."""
        self._refused = True
        self._stop_timing()
        self._unset_keepalive_if_required()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE) or self.transport.is_closing():
            self.transport.close()
            return
        content = json.dumps(refusal.body(), ensure_ascii=False).encode()
        said = {
            **STANDING_HEADERS,
            **refusal.headers(),
            "X-Request-Id": secrets.token_hex(4),
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {refusal.status} {'Bad Request' if refusal.status == 400 else 'Request Timeout'}"]
        lines += [f"{name}: {value}" for name, value in said.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + content)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
