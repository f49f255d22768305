"""Who and what is let in: by name, by token, by number, by size, by time. All before anything is read."""

from __future__ import annotations

import asyncio
import hmac
import math
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Message, Receive

from cmelt.serving.http.refusal import TOO_LARGE, TOO_MANY, UNAVAILABLE, Refusal
from cmelt.serving.http.settings import LINGER_SECONDS, Limits, ServiceSettings


def check_host(headers: Mapping[str, str], settings: ServiceSettings) -> None:
    """Refuse what is addressed to a name that this service does not have, or comes from another site's page."""
    allowed = settings.checked_hosts
    host = headers.get("host", "").lower()
    if allowed is not None and _without_port(host) not in allowed:
        raise Refusal(403, "the request", "it is addressed to a name that this service does not have", "allow it with --name")
    origin = headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != host:
        raise Refusal(403, "the request", "it comes from another site's page", "call the service from its own page")


def check_token(headers: Mapping[str, str], settings: ServiceSettings) -> None:
    """Refuse a caller without the token. The comparison takes as long for a near miss as for any other."""
    if settings.token is None:
        return
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), settings.token.encode()):
        raise Refusal(401, "the request", "it shows no valid token", "send Authorization: Bearer TOKEN")


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


class Gate:
    """Counts requests that are inside, and bytes of bodies, over all requests; one event loop uses it.

    A request is inside once its body is there: bodies that come slowly, or never, take nobody's place.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.inside = 0
        self.bytes = 0
        self._of: Counter[str] = Counter()

    def enter(self, caller: str) -> None:
        """Let one more of this address in, or refuse it."""
        self.check(caller)
        self.inside += 1
        self._of[caller] += 1

    def check(self, caller: str) -> None:
        """Refuse one more where there is no room for it, or where its caller has its share already."""
        if self.inside >= self._limits.waiting:
            reason = f"{self._limits.waiting} requests are at work or waiting"
            raise Refusal(UNAVAILABLE, "the request", reason, "ask again in a moment", 1)
        share = self._limits.per_caller
        if share is not None and self._of[caller] >= share:
            reason = f"{share} requests from your address are at work or waiting"
            raise Refusal(TOO_MANY, "the request", reason, "wait for their answers, then ask again", 1)

    def take(self, count: int) -> None:
        """Count bytes of a body in, or refuse them."""
        if self.bytes + count > self._limits.bodies * self._limits.body_bytes:
            raise Refusal(UNAVAILABLE, "the body", "large bodies of others are on their way", "ask again in a moment", 2)
        self.bytes += count

    def leave(self, count: int, caller: str | None) -> None:
        """The bytes of a body are done, and its request, where it was let in: then its caller is named."""
        self.bytes -= count
        if caller is not None:
            self.inside -= 1
            self._of[caller] -= 1
            self._of += Counter()  # addresses that have nothing inside are forgotten


class Body:
    """A request's body as it comes: no larger, no slower than allowed, and counted at the gate, which it opens when it is there.

    Args:
        receive: the server's.
        headers: of the request.
        gate: where bytes are counted.
        limits: see `Limits`.
        started: when the request began, in the loop's time.
        caller: the address that it comes from.
    """

    def __init__(
        self, receive: Receive, headers: Mapping[str, str], gate: Gate, limits: Limits, started: float, caller: str = ""
    ) -> None:
        self._receive, self._gate, self._limits, self.caller = receive, gate, limits, caller
        self._last = started + limits.receive_seconds
        self._slow = started + limits.slow_seconds, limits.slow_bytes
        self._announced = headers.get("content-length", "")
        self.asked_first = headers.get("expect", "").lower() == "100-continue"
        self.bytes = 0
        self._complete = asyncio.Event()
        self.entered = self._outside = False
        self._there_is_one = self._announced not in ("", "0") or "transfer-encoding" in headers

    @property
    def complete(self) -> bool:
        """Whether all of it is there, or nothing more will come."""
        return self._complete.is_set()

    @property
    def announced(self) -> bool:
        """Whether the request has one at all."""
        return self._there_is_one

    @property
    def coming(self) -> bool:
        """Whether more of it may still be on its way."""
        return self._there_is_one and not self.complete

    def check_announced(self) -> None:
        """Refuse a body that is announced too large before any of it is read."""
        if self._announced.isdecimal() and int(self._announced[:18]) > self._limits.body_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next part. Raises Refusal."""
        if self.complete:
            return await self._receive()
        message = await self._next()
        whole = message["type"] == "http.request" and not message.get("more_body", False)
        if whole or message["type"] != "http.request":
            self._complete.set()
        size = len(message.get("body", b""))
        if self.bytes + size > self._limits.body_bytes:
            raise self._too_large()
        self._gate.take(size)
        self.bytes += size
        if whole:
            self.enter()
        return message

    def stay_outside(self) -> None:
        """Take no place: who only looks at something (a page, a list) keeps nobody waiting."""
        self._outside = True

    def enter(self) -> None:
        """Take a place inside, once. Raises Refusal."""
        if not self.entered and not self._outside:
            self._gate.enter(self.caller)
            self.entered = True

    def leave(self) -> None:
        """Give back what was taken at the gate."""
        self._gate.leave(self.bytes, self.caller if self.entered else None)

    async def _next(self) -> Message:
        """The next part as the server has it, unless too little has come for too long."""
        loop = asyncio.get_running_loop()
        while True:
            until, wanted = self._slow
            try:
                async with asyncio.timeout_at(min(until, self._last)):
                    return await self._receive()
            except TimeoutError:
                if loop.time() >= self._last or self.bytes < wanted:
                    reason = f"it comes too slowly, or has not come within {self._limits.receive_seconds:g} s"
                    raise Refusal(408, "the body", reason, "send it faster, or a smaller one") from None
                self._slow = until + self._limits.slow_seconds, self.bytes + self._limits.slow_bytes

    async def ended(self) -> None:
        """Return once the caller has gone, or has its answer."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def drain(self) -> None:
        """Read on for a moment, keeping nothing: many clients see an answer only once they have sent all."""
        if not self.coming or self.asked_first:
            return
        left: float = self._limits.body_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0:
                    message = await self._receive()
                    left = left - len(message.get("body", b"")) if message.get("more_body", False) else -math.inf

    def _too_large(self) -> Refusal:
        most = self._limits.body_bytes
        told = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
        return Refusal(TOO_LARGE, "the body", f"it is larger than {told}", "cut the recording, or send a smaller file")
