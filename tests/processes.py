"""Several processes that belong together, started as torchrun would."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tiny_runs import apart


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started_by_torchrun(rank: int, world: int, port: int) -> dict[str, str]:
    """What torchrun tells one of `world` processes on one machine."""
    return {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world), "GROUP_RANK": "0", "RANK": str(rank), "LOCAL_RANK": str(rank),
    }  # fmt: skip


def together(work: Callable[..., None], world: int, *arguments: Any) -> None:
    """Run `work(rank, world, port, *arguments)` in so many processes, all of which must end well."""
    port = free_port()
    running = [apart(work, rank, world, port, *arguments) for rank in range(world)]
    for process in running:
        process.join(240)
    for process in running:
        process.kill()  # nobody is left waiting for one that failed
    assert [process.exitcode for process in running] == [0] * world
