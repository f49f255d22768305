"""Preparation under faults, in full counts: what docs/reliability.md tells of it.

    python benchmarks/faults/preparation_faults.py --scratch FOLDER                 all parts, in some twenty minutes of one core
    python benchmarks/faults/preparation_faults.py --scratch FOLDER --only full     one part
    python benchmarks/faults/preparation_faults.py --scratch FOLDER --seconds 240   as much as fits; the same command goes on

Counts are kept in `benchmarks/faults/results/preparation_faults.json`, trial by trial: each has draws of its own, a function of
the part and its number. `--anew` forgets what is kept of the parts. The trials are those of `tests/faults/`. Disks that are full
are memory file systems in namespaces of their own (Linux, unshare).
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tests" / place) for place in (".", "faults")]

import preparation_campaigns as campaigns  # noqa: E402
from counting import RESULTS, Campaign, Part, Tally  # noqa: E402
from preparation_runs import Bench  # noqa: E402

#: Where a disk ends, in kilobytes and in files and folders beyond what lies there.
SIZES = np.linspace(0, 400, 10).round().astype(int).tolist()
INODES = np.linspace(0, 24, 4).round().astype(int).tolist()
MOMENTS = ("before", "in", "while", "after")
CHANGES = [(change, moment) for change in (*campaigns.OF_A_FILE, *campaigns.OF_THE_LIST) for moment in MOMENTS]
WHO = ("scheduler", "worker", "client", "local")


@cache
def bench(folder: Path) -> Bench:
    """The bench of a scratch folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Bench(folder)


@cache
def events(folder: Path, event: str) -> int:
    """How many a preparation goes through."""
    return campaigns.events_of(bench(folder), event)


def at_line(number: int, folder: Path) -> Tally:
    """One drawn from all lines."""
    at = int(campaigns.drawn(0, number).integers(1, events(folder, "line") + 1))
    return campaigns.killed_at(bench(folder), "line", number, at)


def at_call(number: int, folder: Path) -> Tally:
    """Spread evenly over all calls, the first and the last among them."""
    at = int(np.linspace(1, events(folder, "call"), 20).round()[number])
    return campaigns.killed_at(bench(folder), "call", number, at)


def full(number: int, folder: Path) -> Tally:
    """Of bytes, then of files."""
    limits = [*(f"size={size}k" for size in SIZES), *(f"nr_inodes={count}" for count in INODES)]
    return campaigns.disk_full(bench(folder), number, limits[number])


PREPARATION = Campaign(
    {
        "lines": Part("SIGKILL at lines drawn from all of a preparation: absent or whole, then byte-identical", 20, at_line),
        "calls": Part("SIGKILL at calls that open, make, sync, rename or remove, spread evenly: the same", 20, at_call),
        "workers": Part(
            "SIGKILL of the main process while two workers are at it: the same, and they are gone",
            6,
            lambda number, folder: campaigns.killed_with_workers(bench(folder), number),
        ),
        "worker": Part(
            "SIGKILL of a worker at a line: said, nothing published, then byte-identical",
            6,
            lambda number, folder: campaigns.killed_worker(bench(folder), number, events(folder, "worker")),
        ),
        "dask": Part(
            "Dask: SIGKILL of scheduler, worker, client, of a local cluster's client, in turns: the same",
            8,
            lambda number, folder: campaigns.killed_on_dask(bench(folder), number, WHO[number % len(WHO)]),
        ),
        "full": Part(
            "a disk full after so many kilobytes (10), or files (4): one line of place and remedy, the old store untouched",
            len(SIZES) + len(INODES),
            full,
        ),
        "two": Part(
            "two preparations of one place: one refuses, the store is whole",
            8,
            lambda number, folder: campaigns.two_at_once(bench(folder), number),
        ),
        "source": Part(
            "the source changes under it: the store is the source as it was at one moment, or there is none, and why is said",
            len(CHANGES),
            lambda number, folder: campaigns.source_changed(bench(folder), number, *CHANGES[number]),
        ),
    },
    RESULTS / "preparation_faults.json",
)


def main() -> int:
    """Run what is asked for, keep its counts; 1 where a trial went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(PREPARATION.parts)
    parser.add_argument("--scratch", type=Path, required=True, help="a folder for sources and stores; kept between calls")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="PART", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no trial after so many")
    parser.add_argument("--anew", action="store_true", help="forget what is kept of these parts")
    chosen = parser.parse_args()
    return PREPARATION.run(chosen.only, chosen.scratch.absolute(), chosen.seconds, anew=chosen.anew)


if __name__ == "__main__":
    sys.exit(main())
