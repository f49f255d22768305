"""What every benchmark does: measure ways in turns, take ratios round by round, and tell the figures.

A script makes `Figure`s and hands them to `tell`; `benchmarks/run_all.py` gathers them into `RESULTS.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        what: the job, as one says it: "training step of 8 pairs, paper's sizes".
        value: what was measured, in `unit`; for a ratio, the ratio itself with the unit "×".
        unit: "s", "ms", "records/s", "MB", "×" ….
        against: what the value is compared with, measured in the same run: "the release, same inputs"; empty where alone.
        low, high: lowest and highest over the rounds; None where there was one.
        target: what it must reach, as one says it: "≤ 0.6", "≥ 50,000", in the figure's unit; empty where nothing is asked.
        met: whether it does (`verdict`); None where nothing is asked.
        note: anything a reader must know: sizes, precision, what was left out.
    """

    what: str
    value: float
    unit: str
    against: str = ""
    low: float | None = None
    high: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Bound:
    """A target as a number: values at most, or at least, so large reach it."""

    most: bool
    number: float

    def margin(self, value: float) -> float:
        """By how many times `value` is better than asked: 1 just reaches the target, 2 is twice as good, 0.5 half."""
        better, worse = (self.number, value) if self.most else (value, self.number)
        return better / worse if worse > 0 else math.inf


_BOUND = re.compile(r"\s*([≤<≥>])\s*([\d,]*\.?\d+(?:e-?\d+)?)")


def bound_of(target: str) -> Bound | None:
    """What a target asks, read from its beginning ("≤ 0.6 of the release's"); None where it names no number."""
    found = _BOUND.match(target)
    return Bound(found[1] in "≤<", float(found[2].replace(",", ""))) if found else None


def verdict(value: float, target: str) -> bool:
    """Whether `value` reaches a target such as "≤ 0.6". Raises ValueError where the target names no number."""
    bound, strict = bound_of(target), target.strip()[:1] in "<>"
    if bound is None:
        raise ValueError(f"target {target!r} begins with none of ≤ < ≥ > and a number")
    if value == bound.number:
        return not strict
    return (value < bound.number) == bound.most


@dataclass(frozen=True)
class Taken:
    """Seconds that one round of one way took, by the clock and by this process's processor time."""

    clock: float
    processor: float


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int = 5, warm: int = 1) -> dict[str, list[Taken]]:
    """Seconds of every way, in turns, so that what else the machine does falls on all of them; `warm` rounds are not counted."""
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for number in range(-warm, rounds):
        for name, work in ways.items():
            clock, processor = time.perf_counter(), time.process_time()
            work()
            if number >= 0:
                taken[name].append(Taken(time.perf_counter() - clock, time.process_time() - processor))
    return taken


def ratio(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Median, lowest and highest of one / other, round by round."""
    ratios = [a / b for a, b in zip(one, other, strict=True)]
    return median(ratios), min(ratios), max(ratios)


def peak_megabytes(process: str = "self") -> float:
    """The most memory (10⁶ bytes) that this process, or that of another number, has held so far, by the operating system's count.

    0 for another one that is gone. On Linux from /proc: getrusage counts what a child had before it became itself.
    """
    lines = _lines(f"/proc/{process}/status")
    if found := [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]:
        return found[0] * 1024 / 1e6
    if process != "self" or lines:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def in_a_fresh_python(work: str, *arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run Python source in a process of its own; it prints one line of JSON last, which is returned.

    Raises subprocess.CalledProcessError, its output on this process's stderr, where it fails.
    """
    command = [sys.executable, "-c", work, *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


#: What decides how fast matrices are multiplied, by its name in /proc/cpuinfo.
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def machine() -> dict[str, str]:
    """The machine and the versions that figures hold for."""
    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    flags = next((line.split() for line in _lines("/proc/cpuinfo") if line.startswith("flags")), [])
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "instructions": ", ".join(name for name in _INSTRUCTIONS if name in flags) or "unknown",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{memory[0] / 2**20:.0f} GiB" if memory else "unknown",
        "GPU": _gpu(),
        "Python": platform.python_version(),
        "torch": version("torch"),
        "system": platform.system(),
    }


def _gpu() -> str:
    """The GPU's name; torch, which takes a second to import, is asked only where there may be one."""
    if "torch" not in sys.modules and not Path("/dev/nvidiactl").exists():
        return "none"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark knows: --json FILE."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    return parser


def tell(figures: Sequence[Figure], where: Path | None, skipped: Sequence[str] = ()) -> None:
    """Print the figures, a line each, and write them where `--json` says.

    Args:
        skipped: what could not be measured here and why, in words.
    """
    for figure in figures:
        spread = "" if figure.low is None or figure.high is None else f" [{figure.low:.3g}, {figure.high:.3g}]"
        told = f"{figure.what}: {figure.value:.4g} {figure.unit}{spread}"
        told += f" against {figure.against}" if figure.against else ""
        if figure.met is not None:
            told += f"; target {figure.target}: {'reached' if figure.met else 'missed'}"
        print(told + (f" ({figure.note})" if figure.note else ""))
    for why in skipped:
        print(f"skipped: {why}")
    if where is not None:
        content = {
            "date": date.today().isoformat(),
            "machine": machine(),
            "figures": [asdict(figure) for figure in figures],
            "skipped": list(skipped),
        }
        where.write_text(json.dumps(content, indent=1, ensure_ascii=False))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # no such process any more, or no such system
        return []
