"""Random access: records of 12 × 5000 int16 a second that two loader processes get from a store in the page cache.

Run: OMP_NUM_THREADS=1 python benchmarks/store_access.py [--records 4096] [--loaders 2]

In the same run, by the same processes at once: copying as many bytes from memory to memory, which nothing can beat, and the
loop that one writes first (open the shard by memory map, take the record, stack).
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cmelt.records.record import LEADS, Record
from cmelt.sources.about import About
from cmelt.sources.source import Entry, Listing

RATE, SECONDS, BATCH = 500.0, 10.0, 256
MEASURED_SECONDS, ROUNDS = 2.0, 3
TARGET = 20_000


@dataclass(frozen=True)
class Noise:
    """`records` records of noise."""

    records: int
    name: str = "noise"
    rate: float = RATE
    about: ClassVar[About] = About(title="Noise", licence="computed here", access="computed")

    @property
    def settings(self) -> Mapping[str, str]:
        """How many."""
        return {"records": str(self.records)}

    def entries(self) -> Listing:
        """All of them, in train."""
        return Listing(tuple(Entry(str(number), str(number), "train") for number in range(self.records)))

    def read(self, entry: Entry) -> Record:
        """A record that follows from its number."""
        signal = np.random.default_rng(int(entry.place)).standard_normal((12, round(RATE * SECONDS)), dtype=np.float32)
        return Record(signal, RATE, LEADS, entry.record, origin=entry.place)

    def stamp(self, entry: Entry) -> str:  # noqa: ARG002 (nothing lies on disk)
        """Nothing changes."""
        return ""


Work = Callable[[Any, np.ndarray, np.ndarray], None]


def by_store(store: Any, rows: np.ndarray, out: np.ndarray) -> None:
    """As the loaders of training do."""
    store.signals(rows, out)


def by_hand(store: Any, rows: np.ndarray, out: np.ndarray) -> None:
    """One record after the other, as one writes it first."""
    shards, places = store.index["shard"].to_numpy(), store.index["shard_row"].to_numpy()
    found = [np.array(np.load(store.path / f"shards/{shards[row]:05d}.npy", mmap_mode="r")[places[row]]) for row in rows]
    np.stack(found, out=out)


def by_copying(store: Any, rows: np.ndarray, out: np.ndarray) -> None:  # noqa: ARG001 (the same bytes, wherever they are)
    """Memory to memory."""
    np.copyto(out, _elsewhere(out.shape))


def _elsewhere(shape: tuple[int, ...], kept: dict[str, np.ndarray] = {}) -> np.ndarray:  # noqa: B006 (kept on purpose)
    """Memory to copy from, eight batches long in turn: more than the processor's caches hold."""
    if not kept:
        kept["all"], kept["turn"] = np.ones((8, *shape), dtype=np.int16), np.zeros(1, dtype=np.int64)
    kept["turn"][0] = (kept["turn"][0] + 1) % 8
    return np.asarray(kept["all"][kept["turn"][0]])


def load(folder: str, work: Work, seed: int, ready: Any, told: Any) -> None:
    """Fetch batches for some seconds, after a pass that warms the cache, and tell records a second."""
    from cmelt.store import open_store

    store, rng = open_store(folder), np.random.default_rng(seed)
    out = np.empty((BATCH, 12, round(RATE * SECONDS)), dtype=np.int16)
    for start in range(0, len(store), BATCH):
        rows = np.arange(start, min(start + BATCH, len(store)))
        work(store, rows, out[: rows.size]) if rows.size == BATCH else None
    ready.wait()
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < MEASURED_SECONDS:
        work(store, rng.integers(0, len(store), BATCH), out)
        count += BATCH
    told.put(count / (time.perf_counter() - begin))


def together(folder: str, work: Work, loaders: int) -> float:
    """Records a second of all loaders, working at once."""
    context = multiprocessing.get_context("spawn")
    ready, told = context.Barrier(loaders), context.Queue()
    processes = [context.Process(target=load, args=(folder, work, seed, ready, told)) for seed in range(loaders)]
    for process in processes:
        process.start()
    total = sum(told.get(timeout=300) for _ in processes)
    for process in processes:
        process.join()
    return total


def main() -> None:
    """Print records a second by each way, and what they are to copying."""
    from cmelt.store import ShardSettings, prepare_store

    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=4096)
    parser.add_argument("--loaders", type=int, default=2)
    chosen = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="cmelt-store-access-")
    try:
        prepare_store(Noise(chosen.records), Path(folder) / "store", ShardSettings(RATE, SECONDS, "first", "key"), workers=2)
        megabytes = 12 * RATE * SECONDS * 2 / 1e6
        print(f"{chosen.records} records of {megabytes * 1000:.0f} kB, {chosen.loaders} loaders, batches of {BATCH}")
        ways = {"copying memory": by_copying, "Store.signals": by_store, "a loop over np.load": by_hand}
        # In turns, and the best of each: what else the machine does falls on all of them.
        rounds = [{name: together(f"{folder}/store", work, chosen.loaders) for name, work in ways.items()} for _ in range(ROUNDS)]
        best = {name: max(told[name] for told in rounds) for name in ways}
        for name, found in best.items():
            share = found / best["copying memory"]
            print(f"{name}: {found:.0f} records/s, {found * megabytes / 1000:.1f} GB/s, {share:.0%} of copying")
        print(f"target {TARGET} records/s: {'reached' if best['Store.signals'] >= TARGET else 'missed'}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
