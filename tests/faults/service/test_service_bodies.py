"""Bodies and heads that are too large, too slow, or never end: refused, closed, and nobody else's harm."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from hostile_bodies import BODIES, half_sent, head, hostile, slow_bodies

from cmelt.records.record import LEADS
from cmelt.serving.http.settings import LINGER_SECONDS, Limits
from ecg_files import record
from http_calls import process

#: Three times what a connection may take that brings nothing.
SOON = Limits(slow_seconds=0.3, slow_bytes=1000, connections=300)


def body() -> dict:
    return {"signal": record(1).signal.tolist(), "leads": list(LEADS), "rate": 100, "unit": "mV"}


def status_line(port: int, content: bytes) -> tuple[bytes, float]:
    """The first line of the answer to `content`, and the seconds until the connection is closed."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(content)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
    return answer.split(b"\r\n")[0], time.monotonic() - begun


@pytest.mark.parametrize(
    "content",
    [b"G", b"POST /v1/embed HTTP/1.1\r\nHost: loc", head("Content-Length: 500"), head("Content-Length: 500") + b"{" * 499],
)
def test_half_a_request_is_told_so_and_closed(serving, content):
    with serving(limits=SOON) as asked:
        line, seconds = status_line(asked.port, content)
        assert line.startswith(b"HTTP/1.1 408") and seconds < 10


def test_a_connection_that_asks_nothing_is_closed_without_a_word(serving):
    with serving(limits=SOON) as asked:
        line, seconds = status_line(asked.port, b"")
        assert line == b"" and seconds < 10


def test_half_of_a_second_request_over_the_same_connection_is_closed_too(serving):
    with serving(limits=SOON) as asked, socket.create_connection(("127.0.0.1", asked.port), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        content = b""
        while part := connection.recv(1 << 16):
            content += part
        assert b"408" in content


def test_two_hundred_half_sent_requests_and_slow_bodies_take_nobody_s_place(serving):
    with serving(limits=Limits(waiting=4, slow_seconds=3.0)) as asked:

        async def meanwhile(work) -> tuple[list, list[int]]:
            going_on = asyncio.create_task(asyncio.to_thread(work))
            statuses = []
            while not going_on.done():
                statuses.append((await asyncio.to_thread(asked.post, "/v1/embed", body())).status)
            return await going_on, statuses

        for work in (lambda: half_sent(asked.port, 200), lambda: slow_bodies(asked.port, 20)):
            sent, statuses = asyncio.run(meanwhile(work))
            told = sum(one.status == 408 for one in sent)
            # Who sends on and looks for no answer for two seconds, as on a starved machine, is cut off: what was unread is lost.
            assert {one.status for one in sent} <= {0, 408} and told >= 0.95 * len(sent)
            assert max(one.seconds for one in sent) < 10
            assert set(statuses) == {200} and len(statuses) >= 2


def test_one_connection_too_many_is_told_to_come_again(serving):
    with serving(limits=Limits(connections=3)) as asked:
        others = [socket.create_connection(("127.0.0.1", asked.port)) for _ in range(3)]
        time.sleep(0.2)
        crowded = asked.get("/healthz")
        assert crowded.status == 503 and crowded.headers["retry-after"] and "3 connections" in crowded.error["reason"]
        for one in others:
            one.close()
        time.sleep(0.2)
        assert asked.get("/healthz").status == 200


def test_bodies_of_many_times_the_limit_are_refused_at_the_limit_and_cost_no_memory(hardy_folder, tmp_path):
    with process(tmp_path / "service", "--model", hardy_folder) as found:
        from service_process import Served

        service = Served(found.running, found.service.port, found.log)
        assert found.service.post("/v1/embed", body()).status == 200
        held = service.forget_peak()
        sent = hostile(found.service.port, [*BODIES] * 2)
        assert {one.what: one.status for one in sent} == {
            "1 GB, announced": 413,
            "1 GB, no length": 413,
            "the limit and 64 kB, no length": 413,
            "1 GB announced, 1 MB comes": 413,
            "30 MB announced, 1 MB comes": 408,
            "10 bytes announced, 1 GB comes": 422,
        }
        assert service.peak() - held <= 64
        assert max(one.seconds for one in sent) < 10 + LINGER_SECONDS
        assert list(found.temporary.glob("*/*")) == [next(found.temporary.glob("*/lock"))]
        assert found.service.post("/v1/embed", body()).status == 200
