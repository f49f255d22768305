"""What a device can do at best: operations a second in matrix products, bytes a second in copies. Both are measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Side of the square matrices, and values copied, on a GPU and on a CPU.
SIDE = {"cuda": 8192, "cpu": 2048}
COPIED = {"cuda": 2**30, "cpu": 2**26}


def device_at_hand() -> torch.device:
    """The GPU, or the CPU with as many threads as it has cores for us."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return torch.device("cpu")


def matmul_peak(device: torch.device, dtype: torch.dtype, side: int | None = None, rounds: int = 5) -> list[float]:
    """Operations a second of the product of two square matrices of noise, round by round (zeros would be faster)."""
    import torch

    from cmelt.model.linear import linear

    side = side or SIDE[device.type]
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    # PyTorch's own product and the one that our layers call, which on some processors is the faster of the two.
    ways = (lambda: one @ other, lambda: linear(one, other))
    with torch.inference_mode():
        taken = [seconds_of(way, device, rounds) for way in ways]
    return [2 * side**3 / best for best in min(taken, key=sum)]


def bandwidth(device: torch.device, copied: int | None = None, rounds: int = 5) -> list[float]:
    """Bytes a second, read and written, of a copy that no cache holds, round by round."""
    import torch

    source = torch.ones(copied or COPIED[device.type], device=device)
    target = torch.empty_like(source)
    return [2 * source.nbytes / seconds for seconds in seconds_of(lambda: target.copy_(source), device, rounds)]


def seconds_of(work: Callable[[], object], device: torch.device, rounds: int, warm: int = 2) -> list[float]:
    """Seconds of each round, the device waited for; `warm` rounds before are not counted."""
    taken = []
    for number in range(-warm, rounds):
        synchronise(device)
        begin = time.perf_counter()
        work()
        synchronise(device)
        if number >= 0:
            taken.append(time.perf_counter() - begin)
    return taken


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
