"""What preparing WFDB records costs, in times of reading the same files through `wfdb.rdrecord` alone; one process, warm disk.

Rounds of (a) `wfdb.rdrecord`, (b) `read_ecg`, (c) whole shards at 500 and at 100 Hz, and of the dearest steps of a preparation
alternate, so that whatever else the machine does meets all of them. Real PTB-XL records at 500 Hz where $CMELT_DATA_DIR or
../shared/data has them, else simulated ones.

Run: OMP_NUM_THREADS=1 python benchmarks/prepare_wfdb.py [records] [rounds]
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmelt.records.fingerprint import fingerprint
from cmelt.records.quality import quality_flags
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS
from cmelt.records.resample import resample
from cmelt.simulation import simulate
from cmelt.sources.folder import Folder
from cmelt.sources.source import Entry
from cmelt.store.shard import ShardSettings, ShardTask, finish_shard

TARGET = 0.5
MIMIC_IV_ECG = 800_035


def headers(scratch: Path, count: int) -> list[Path]:
    """`count` headers of 12-lead records of 10 s at 500 Hz in format 16."""
    named = os.environ.get("CMELT_DATA_DIR")
    data = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    found = sorted((data / "ptb-xl" / "records500").rglob("*.hea"))[:count]
    print(f"{len(found) or count} {'PTB-XL' if found else 'simulated'} records, 12 leads, 500 Hz, 10 s")
    return found or [written(scratch / f"r{seed}", seed) for seed in range(count)]


def written(place: Path, seed: int) -> Path:
    """A simulated record at `place`, as PTB-XL's are written: 1 µV a step."""
    steps = np.rint(simulate(seed, rate=500, seconds=10.0).signal * 1000).astype("<i2")
    place.with_suffix(".dat").write_bytes(steps.T.tobytes())
    lines = [
        f"{place.name}.dat 16 1000.0(0)/mV 16 0 {row[0]} {int(row.sum(dtype=np.int64)) % 65536} 0 {lead}"
        for row, lead in zip(steps, LEADS, strict=True)
    ]
    place.with_suffix(".hea").write_text("\n".join([f"{place.name} 12 500 5000", *lines, ""]))
    return place.with_suffix(".hea")


def seconds_of(work: Callable[[], object]) -> float:
    """This process's own time for `work`."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def each(work: Callable[[Any], object], things: Sequence[object]) -> None:
    """`work` on each of `things`, one result at a time, as preparing has them: keeping all would measure new memory."""
    for thing in things:
        work(thing)


def shard(found: list[Path], rate: float, folder: Path) -> ShardTask:
    """The task of preparing all of `found` at `rate` Hz."""
    root = Path(os.path.commonpath([header.parent for header in found]))
    places = [header.relative_to(root).with_suffix("").as_posix() for header in found]
    entries = tuple(Entry(place, place, patient=place, report="sinus rhythm") for place in places)
    return ShardTask(0, entries, ShardSettings(rate, 10.0, "first", "a benchmark's key"), Folder(str(root)), str(folder))


def main() -> None:
    """Print medians over the rounds with their spread, and what follows for MIMIC-IV-ECG."""
    import wfdb

    given = [int(argument) for argument in sys.argv[1:3]]
    count, rounds = given + [256, 5][len(given) :]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        found = headers(scratch, count)
        names = [str(header.with_suffix("")) for header in found]
        records = [read_ecg(header) for header in found]
        works: dict[str, Callable[[], object]] = {
            "wfdb.rdrecord": lambda: each(wfdb.rdrecord, names),
            "read_ecg": lambda: each(read_ecg, found),
            "preparing at 500 Hz": lambda: finish_shard(shard(found, 500.0, scratch / "store")),
            "preparing at 100 Hz": lambda: finish_shard(shard(found, 100.0, scratch / "store")),
            "quality_flags": lambda: each(quality_flags, records),
            "fingerprint": lambda: each(fingerprint, records),
            "resample to 100 Hz": lambda: each(lambda record: resample(record.signal, 500.0, 100.0), records),
        }
        for work in works.values():
            work()  # warms disk, imports and filters
            shutil.rmtree(scratch / "store", ignore_errors=True)
        times: dict[str, list[float]] = {label: [] for label in works}
        for _ in range(rounds):
            for label, work in works.items():
                times[label].append(seconds_of(work))
                # Or a virtual machine would have to find new memory for every shard, at ten times the cost of writing it.
                shutil.rmtree(scratch / "store", ignore_errors=True)
    report(times, len(found))


def report(times: dict[str, list[float]], records: int) -> None:
    """One line a measurement, one a projection."""
    yardstick = times["wfdb.rdrecord"]
    for label, measured in times.items():
        ratios = [own / theirs for own, theirs in zip(measured, yardstick, strict=True)]
        each = statistics.median(measured) / records
        told = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) of wfdb.rdrecord"
        print(f"{label:20} {1000 * each:6.2f} ms a record, {1 / each:5.0f} records/s a core, {told}")
        if label.startswith("preparing"):
            verdict = "within" if statistics.median(ratios) < TARGET else "beyond"
            hours = MIMIC_IV_ECG * each / 3600
            cores = f"{hours / 16:.3f} h on 16 cores, {hours / 64:.3f} h on 64"
            print(f"{'':20} {verdict} {TARGET}; MIMIC-IV-ECG: {hours:.2f} core-hours, {cores}")


if __name__ == "__main__":
    main()
