"""Around every request: admission, time limit, headers, and an answer, a figure and a line of the log whatever happens.

Nothing that a request says reaches the log: route, status and time are told; of an error its type and the place in our source.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import traceback
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import cmelt
from cmelt.errors import CMeltError
from cmelt.serving.http.admission import Body, check_host, check_token
from cmelt.serving.http.connection import CROWDED
from cmelt.serving.http.refusal import UNAVAILABLE, Refusal, refusal_of
from cmelt.serving.http.service import Service
from cmelt.serving.http.settings import Limits
from cmelt.serving.http.standing import MODEL_HEADER, STANDING_HEADERS
from cmelt.serving.http.told import route_of, tell
from cmelt.serving.http.worker import not_ready

_log = logging.getLogger("cmelt.serve")
_SOURCE = Path(cmelt.__file__).parent

_CLIENT_GONE = 499


class Guard:
    """The outermost layer; see above."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._gate = service.gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = asyncio.get_running_loop().time()
        headers = Headers(scope=scope)
        caller = (scope.get("client") or ("",))[0]
        body = Body(receive, headers, self._gate, self._service.limits, started, caller)
        answer = _Answer(send, scope, self._service)
        try:
            await self._admitted(scope, headers, body, answer)
        except ClientDisconnect:
            pass  # nobody waits for an answer
        except asyncio.CancelledError:
            if not answer.unwanted:  # the service ends, and this has taken longer than it waits
                await self._refuse(not_ready(stopping=True), body, answer, started)
        except Exception as error:  # whatever it is, the caller gets an answer, and the log nothing of the request
            await self._refuse(error, body, answer, started)
        finally:
            self._tell(scope, answer, answer.seconds or asyncio.get_running_loop().time() - started)

    async def _admitted(self, scope: Scope, headers: Headers, body: Body, answer: _Answer) -> None:
        settings = self._service.settings
        if scope.get("state", {}).get(CROWDED):
            raise crowded(settings.limits)
        check_host(headers, settings)
        if scope["path"].startswith("/v1") or scope["path"] == "/metrics":
            check_token(headers, settings)
        if scope["method"] != "POST":
            body.stay_outside()
            try:
                async with asyncio.timeout(settings.limits.answer_seconds):
                    await self._app(scope, body.receive, answer.send)
            finally:
                body.leave()
            return
        body.check_announced()
        self._gate.check(body.caller)
        if not body.announced:
            body.enter()
        watching = asyncio.create_task(_watch(body, answer, asyncio.current_task()))
        try:
            async with asyncio.timeout(settings.limits.answer_seconds):
                await self._app(scope, body.receive, answer.send)
        finally:
            watching.cancel()
            body.leave()

    async def _refuse(self, error: Exception, body: Body, answer: _Answer, started: float) -> None:
        refusal = self._refusal(error, answer.request_id)
        if answer.status:
            return  # too late: the answer has begun; the server cuts it off
        content = json.dumps(refusal.body(), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **refusal.headers()}
        if body.coming:
            headers["Connection"] = "close"
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await answer.send({"type": "http.response.start", "status": refusal.status, "headers": raw})
        # All of the answer first, its end only once the rest of the body is thrown away: a caller who listens knows at once.
        coming = body.coming
        await answer.send({"type": "http.response.body", "body": content, "more_body": coming})
        answer.seconds = asyncio.get_running_loop().time() - started
        if coming:
            await body.drain()
            await answer.send({"type": "http.response.body", "body": b""})

    def _refusal(self, error: Exception, request_id: str) -> Refusal:
        if isinstance(error, CMeltError):
            refusal = refusal_of(error)
            if refusal.status == 500:
                _log.error("%s %s at %s", request_id, type(error).__name__, place_of(error))
            return refusal
        if isinstance(error, TimeoutError):
            reason = f"it took longer than {self._service.limits.answer_seconds:g} s"
            return Refusal(UNAVAILABLE, "the request", reason, "ask again later, or send less", 5)
        if isinstance(error, MemoryError):
            return Refusal(
                UNAVAILABLE, "the request", "there is not enough memory for it now", "ask again later, or send less", 5
            )
        _log.error("%s %s at %s", request_id, type(error).__name__, place_of(error))
        return Refusal(500, "the service", "it has failed at this", f"tell whoever runs it: the log has {request_id}")

    def _tell(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        tell(self._service.metrics, answer.request_id, scope["method"], scope["path"], answer.status or _CLIENT_GONE, seconds)


class _Answer:
    """What is sent, with the headers that every answer has."""

    def __init__(self, send: Send, scope: Scope, service: Service) -> None:
        self._send, self._service = send, service
        self._is_page = route_of(scope["path"]) == "page"
        self.request_id = secrets.token_hex(4)
        self.status, self.seconds = 0, 0.0
        self.complete = self.unwanted = False

    async def send(self, message: Message) -> None:
        """ASGI."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.update({**STANDING_HEADERS, "X-Request-Id": self.request_id})
            if self._service.identity is not None:
                headers[MODEL_HEADER] = self._service.identity
            if self._service.ending:
                headers["Connection"] = "close"  # so that the caller asks nothing more over it
            headers.setdefault("Cache-Control", "no-cache" if self._is_page else "no-store")
        self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)


def crowded(limits: Limits) -> Refusal:
    """What one connection too many is told."""
    reason = f"more than {limits.connections} connections are open"
    return Refusal(UNAVAILABLE, "the service", reason, "ask again in a moment", 1)


async def _watch(body: Body, answer: _Answer, work: asyncio.Task[None] | None) -> None:
    """Give up `work` once nobody waits for its answer any more."""
    await body.ended()
    if not answer.complete and work is not None:
        answer.unwanted = True
        work.cancel()


def place_of(error: BaseException) -> str:
    """Where in our source an error came from, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_SOURCE)]
    return f"{Path(own[-1].filename).relative_to(_SOURCE)}:{own[-1].lineno}" if own else "a library"
