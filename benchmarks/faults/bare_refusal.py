"""A yardstick: a server of asyncio alone that answers 503 to whatever comes, and prints the port that it listens at."""

from __future__ import annotations

import asyncio

_ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a head, answer, read on until the caller goes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(_ANSWER)
    while await reader.read(1 << 16):
        pass
    writer.close()


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
