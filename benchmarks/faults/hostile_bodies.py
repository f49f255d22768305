"""Requests that a service must not wait for, nor keep: bodies of a gigabyte, heads and bodies that never end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass

GIGABYTE = 10**9
LIMIT = 32 << 20
_PART = bytes(1 << 16)
#: Seconds after which a connection that is still open counts as held.
HELD = 60.0


@dataclass(frozen=True)
class Sent:
    """What became of one of them.

    Attributes:
        status: of the answer; 0 where the connection was closed without one.
        seconds: from the first byte until the service closed it.
        bytes: of the body that had been sent.
        lockstep: whether no more was sent than the service had to see.
    """

    what: str
    status: int
    seconds: float
    bytes: int
    lockstep: bool = False


def head(*lines: str) -> bytes:
    """Of a request that has a body."""
    return "\r\n".join(
        ["POST /v1/classify HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines, "", ""]
    ).encode()


def _chunk(part: bytes) -> bytes:
    return f"{len(part):x}\r\n".encode() + part + b"\r\n"


async def _sent(port: int, what: str, start: bytes, more: Callable[[int], bytes], most: int, lockstep: bool = False) -> Sent:
    """Send `start`, then parts until `most` bytes or an answer; then wait for the end of the connection."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer, sent = bytearray(), 0

    async def listen() -> None:
        with suppress(OSError):
            while part := await reader.read(1 << 16):
                answer.extend(part)

    listening = asyncio.create_task(listen())
    with suppress(OSError):
        writer.write(start)
        await writer.drain()
        while sent < most and not answer and not listening.done():
            part = more(sent)
            if not part:
                break
            writer.write(_chunk(part) if b"chunked" in start else part)
            await writer.drain()
            sent += len(part)
            await asyncio.sleep(0)
    with suppress(TimeoutError):
        async with asyncio.timeout(HELD):
            await listening
    writer.close()
    status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    return Sent(what, status, time.perf_counter() - begun, sent, lockstep)


def _lockstep(sent: int) -> bytes:
    """As much as the service takes and 64 kB, in chunks, and not a byte more."""
    return _PART if sent < LIMIT + (1 << 16) else b""


#: A body by its name: what it says, what comes, and whether it stops at the limit.
BODIES: dict[str, Callable[[int], Coroutine[None, None, Sent]]] = {
    "1 GB, announced": lambda port: _sent(
        port, "1 GB, announced", head(f"Content-Length: {GIGABYTE}"), lambda _: _PART, GIGABYTE
    ),
    "1 GB, no length": lambda port: _sent(port, "1 GB, no length", head("Transfer-Encoding: chunked"), lambda _: _PART, GIGABYTE),
    "the limit and 64 kB, no length": lambda port: _sent(
        port, "the limit and 64 kB, no length", head("Transfer-Encoding: chunked"), _lockstep, GIGABYTE, True
    ),
    "1 GB announced, 1 MB comes": lambda port: _sent(
        port, "1 GB announced, 1 MB comes", head(f"Content-Length: {GIGABYTE}"), lambda _: _PART, 1 << 20
    ),
    "30 MB announced, 1 MB comes": lambda port: _sent(
        port, "30 MB announced, 1 MB comes", head(f"Content-Length: {30 << 20}"), lambda _: _PART, 1 << 20
    ),
    "10 bytes announced, 1 GB comes": lambda port: _sent(
        port, "10 bytes announced, 1 GB comes", head("Content-Length: 10"), lambda _: _PART, GIGABYTE
    ),
}


def hostile(port: int, names: Sequence[str]) -> list[Sent]:
    """These bodies, all at once."""

    async def all_of_them() -> list[Sent]:
        return list(await asyncio.gather(*(BODIES[name](port) for name in names)))

    return asyncio.run(all_of_them())


def half_sent(port: int, count: int) -> list[Sent]:
    """Requests that stop in the middle, all at once: of the head, and of the body."""
    whole = head("Content-Length: 1000")
    starts = {"half of a head": whole[: len(whole) // 2], "half of a body": whole + b"x" * 500, "nothing": b""}

    async def all_of_them() -> list[Sent]:
        names = [list(starts)[number % 2] for number in range(count)]
        return list(await asyncio.gather(*(_sent(port, name, starts[name], lambda _: b"", 0) for name in names)))

    return asyncio.run(all_of_them())


def slow_bodies(port: int, count: int) -> list[Sent]:
    """Bodies that come a byte at a time, all at once."""

    async def one() -> Sent:
        begun = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head("Content-Length: 100000"))
        sent, answer = 0, b""
        with suppress(OSError):
            while not answer and time.perf_counter() - begun < HELD:
                writer.write(b"x")
                sent += 1
                with suppress(TimeoutError):
                    answer = await asyncio.wait_for(reader.read(1 << 16), 0.1)
                    if not answer:
                        break
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(HELD):
                while await reader.read(1 << 16):
                    pass
        writer.close()
        status = int(answer.split(b" ", 2)[1]) if answer else 0
        return Sent("a byte at a time", status, time.perf_counter() - begun, sent)

    async def all_of_them() -> list[Sent]:
        return list(await asyncio.gather(*(one() for _ in range(count))))

    return asyncio.run(all_of_them())
