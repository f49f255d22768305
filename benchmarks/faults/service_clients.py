"""Clients of a service, many in one process: each answer is timed, and compared with what it must be.

    python benchmarks/faults/service_clients.py --port 8517 --asks FOLDER --clients 32 --seconds 60

FOLDER holds what `write_asks` has put there: requests with the numbers that their answers must have. Clients wait for each answer
before they ask again; with --rate, requests are sent at that rate, whatever becomes of those before. The output is
one line of JSON: an outcome a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

#: After so many seconds without a whole answer, a request counts as lost.
PATIENCE = 120.0
#: A connection that is idle for longer is not used again: the service may be closing it.
IDLE = 3.0


@dataclass(frozen=True)
class Ask:
    """A request and what its answer must say: a score a class, or a vector; {} and [] where nothing is compared."""

    path: str
    kind: str
    body: bytes
    scores: Mapping[str, float]
    vector: Sequence[float]


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        at: when it was sent, in seconds from the beginning.
        seconds: until all of its answer was there.
        status: 0 where none came.
        off: largest difference of a number from what it must be; None where nothing was compared.
        retry_after: whether the answer says when to come again.
        fault: what was wrong with it, in a few words.
    """

    at: float
    seconds: float
    status: int
    off: float | None = None
    retry_after: bool = False
    fault: str = ""


@dataclass
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def write_asks(asks: Sequence[Ask], folder: Path) -> None:
    """Keep requests for another process."""
    folder.mkdir(parents=True)
    for number, ask in enumerate(asks):
        said = {"path": ask.path, "kind": ask.kind, "scores": dict(ask.scores), "vector": list(ask.vector)}
        (folder / f"{number:04d}.json").write_text(json.dumps(said))
        (folder / f"{number:04d}.body").write_bytes(ask.body)


def read_asks(folder: Path) -> list[Ask]:
    """What `write_asks` has kept."""
    found = []
    for path in sorted(folder.glob("*.json")):
        said = json.loads(path.read_text())
        found.append(Ask(said["path"], said["kind"], path.with_suffix(".body").read_bytes(), said["scores"], said["vector"]))
    return found


async def closed_loop(port: int, asks: Sequence[Ask], clients: int, seconds: float, pause: float = 0.0) -> list[Outcome]:
    """`clients` at a time, each waiting for its answer, and then `pause` seconds, before it asks again."""
    begun = time.perf_counter()
    outcomes: list[Outcome] = []

    async def one(number: int) -> None:
        connection: Connection | None = None
        await asyncio.sleep(pause * number / clients)
        for turn in count(number):
            if time.perf_counter() - begun >= seconds:
                break
            connection = connection if connection is not None and connection.alive else Connection(port)
            outcomes.append(await connection.outcome(asks[turn % len(asks)], begun))
            if outcomes[-1].fault.startswith("refused"):
                break  # nobody listens any more
            if pause > IDLE:
                await connection.close()
                connection = None
            await asyncio.sleep(pause)
        if connection is not None:
            await connection.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return outcomes


async def open_loop(port: int, asks: Sequence[Ask], rate: float, seconds: float) -> list[Outcome]:
    """`rate` requests a second, each over a connection of its own, none waiting for another."""
    begun = time.perf_counter()

    async def one(number: int) -> Outcome:
        await asyncio.sleep(max(number / rate - (time.perf_counter() - begun), 0.0))
        connection = Connection(port)
        outcome = await connection.outcome(asks[number % len(asks)], begun)
        await connection.close()
        return outcome

    return list(await asyncio.gather(*(one(number) for number in range(round(rate * seconds)))))


class Connection:
    """One connection, made when it is first needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.alive = True

    async def outcome(self, ask: Ask, begun: float) -> Outcome:
        """Ask, and judge the answer."""
        start = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._answer(ask)
        except ConnectionRefusedError:
            return self._lost(start, begun, "refused: nobody listens")
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            return self._lost(start, begun, f"{type(error).__name__} before the answer was whole")
        seconds = time.perf_counter() - start
        self.alive = answer.headers.get("connection", "").lower() != "close"
        off, fault = difference(ask, answer.body) if answer.status == 200 else (None, "")
        return Outcome(start - begun, seconds, answer.status, off, "retry-after" in answer.headers, fault)

    def _lost(self, start: float, begun: float, fault: str) -> Outcome:
        self.alive = False
        return Outcome(start - begun, time.perf_counter() - start, 0, fault=fault)

    async def _answer(self, ask: Ask) -> _Answer:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        lines = [f"POST {ask.path} HTTP/1.1", "Host: localhost", f"Content-Type: {ask.kind}", f"Content-Length: {len(ask.body)}"]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + ask.body)
        return await read_answer(self._reader)

    async def close(self) -> None:
        """Leave."""
        if self._writer is not None:
            self._writer.close()
            self._writer = self._reader = None


async def read_answer(reader: asyncio.StreamReader) -> _Answer:
    """One answer with a Content-Length. Raises ValueError where it is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return _Answer(int(head[0].split(" ")[1]), headers, await reader.readexactly(int(headers["content-length"])))


def difference(ask: Ask, body: bytes) -> tuple[float | None, str]:
    """How far an answer is from what it must be, and what else is wrong with it."""
    try:
        told: dict[str, Any] = json.loads(body)
        if ask.scores:
            found = {one["class"]: one["score"] for one in told["results"]}
            if found.keys() != ask.scores.keys():
                return None, "other classes"
            return max(abs(found[name] - score) for name, score in ask.scores.items()), ""
        if ask.vector:
            pairs = zip(told["embedding"], ask.vector, strict=True)
            return max(abs(one - other) for one, other in pairs), ""
    except (ValueError, KeyError, TypeError) as error:
        return None, f"{type(error).__name__} in the answer"
    return None, ""


def told(outcomes: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    """Outcomes as JSON has them."""
    return (asdict(one) for one in outcomes)


def main() -> None:
    """Ask, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--asks", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pause", type=float, default=0.0, help="of each client between answer and question")
    parser.add_argument("--rate", type=float, help="requests a second instead, over connections of their own")
    chosen = parser.parse_args()
    asks = read_asks(chosen.asks)
    if chosen.rate is not None:
        outcomes = asyncio.run(open_loop(chosen.port, asks, chosen.rate, chosen.seconds))
    else:
        outcomes = asyncio.run(closed_loop(chosen.port, asks, chosen.clients, chosen.seconds, chosen.pause))
    print(json.dumps(list(told(outcomes))))


if __name__ == "__main__":
    main()
