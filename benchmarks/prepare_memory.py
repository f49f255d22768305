"""Memory and time of preparing a very long source: what the count of records costs, apart from the records themselves.

Run: OMP_NUM_THREADS=1 python benchmarks/prepare_memory.py [--records 800000] [--workers 2]

The records are one second of two waves and cost next to nothing to read, so that listing, tasks, receipts, copies, settling and
index are what is measured. A copy of an earlier record comes every thousandth time, as does one that cannot be read. Told are
the greatest memory of the main process and of a worker, the seconds of preparing, and those of opening what came of it. A
worker holds one shard: 61 MB for 512 records of 12 × 5000, which is added to what is measured here.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.record import LEADS, Record
from cmelt.sources.about import About
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.source import Entry, Listing
from measuring import Figure, options, peak_megabytes, tell

RATE, SECONDS = 40.0, 5.0
REPEATED, RECORDS_A_PATIENT, REPORTS = 1000, 5, 150_000


@dataclass(frozen=True)
class ManyRecords:
    """`records` tiny records with reports, patients and names as long as those of MIMIC-IV-ECG."""

    records: int
    name: str = "many"
    rate: float = RATE
    about: ClassVar[About] = About(title="Many tiny records", licence="computed here", access="computed")

    @property
    def settings(self) -> Mapping[str, str]:
        """How many."""
        return {"records": str(self.records)}

    def entries(self) -> Listing:
        """All of them, in columns."""
        return Listing(EntryTable.collect(self._entries()))

    def _entries(self) -> Iterator[Entry]:
        for number in range(self.records):
            patient = 10_000_000 + number // RECORDS_A_PATIENT
            report = f"sinus rhythm | number {number % REPORTS} of the statements that such a report has | abnormal ecg"
            yield Entry(
                record=str(40_000_000 + number),
                place=f"files/p{patient // 10_000}/p{patient}/s{40_000_000 + number}/{40_000_000 + number}",
                patient=str(patient),
                report=report,
                age=50.0,
                sex="female",
                origin=f"s{40_000_000 + number}/{40_000_000 + number}",
            )

    def read(self, entry: Entry) -> Record:
        """Noise that follows from the record's number."""
        number = int(entry.record) - 40_000_000
        if number % REPEATED == REPEATED - 2:
            raise RecordError(entry.record, "cannot be read", "nothing: this is a benchmark")
        if number % REPEATED == REPEATED - 1:
            number -= REPEATED // 2
        free = np.random.default_rng(number).standard_normal((8, round(RATE * SECONDS)), dtype=np.float32)
        one, two = free[0], free[1]
        limb = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
        return Record(
            np.stack([*limb, *free[2:]]), RATE, LEADS, entry.record, entry.report, entry.patient, entry.age, entry.sex,
            origin=entry.origin or "", measurements={"qrs_ms": 90.0},
        )  # fmt: skip

    def stamp(self, entry: Entry) -> str:  # noqa: ARG002 (nothing lies on disk)
        """Nothing changes."""
        return ""


def prepare(folder: str, records: int, workers: int) -> None:
    """Prepare, and leave what it took."""
    from cmelt.store import ShardSettings, prepare_store

    settings = ShardSettings(RATE, SECONDS, "first", "a benchmark's key")
    begin, largest, listed = time.perf_counter(), [0.0], [0.0]

    def progress(done: int, total: int) -> None:
        largest[0] = max(largest[0], *(peak_megabytes(process) for process in _children()), 0.0)
        if done in (0, total):
            listed[0] = listed[0] or time.perf_counter() - begin
            stage = "shards made" if done else "listed"
            print(f"  {stage} after {time.perf_counter() - begin:.0f} s", flush=True)

    done = prepare_store(ManyRecords(records), Path(folder) / "store", settings, workers=workers, progress=progress)
    took = time.perf_counter() - begin
    note = f"{workers} workers; {done.records} in the store, {done.quarantined} left out"
    what = f"preparing {records:,} records"
    _leave(
        folder,
        Figure(f"{what}: time", took, "s", note=note),
        Figure(f"{what}: of it listing", listed[0], "s"),
        Figure(f"{what}: main process at most", peak_megabytes(), "MB"),
        Figure(f"{what}: a worker at most", largest[0], "MB", note="its shard of tiny records included"),
    )


def open_it(folder: str) -> None:
    """Open it, and leave what that took."""
    from cmelt.store import open_store

    begin = time.perf_counter()
    store = open_store(Path(folder) / "store")
    opened = time.perf_counter()
    index = store.index
    read = time.perf_counter()
    train = store.rows("train")
    split = time.perf_counter() - read
    kept = index.memory_usage(deep=True).sum() / 1e6
    _leave(
        folder,
        Figure("opening the store", opened - begin, "s"),
        Figure(f"its index of {len(index):,} rows", read - opened, "s", note=f"{kept:.0f} MB kept"),
        Figure("opening and index: process at most", peak_megabytes(), "MB"),
        Figure(f"{len(train):,} rows of the train split", split, "s"),
    )


def _leave(folder: str, *figures: Figure) -> None:
    """For the process that told this one to measure."""
    with (Path(folder) / "figures.jsonl").open("a") as file:
        file.writelines(json.dumps(asdict(figure)) + "\n" for figure in figures)


def _children() -> list[str]:
    listed = Path("/proc/self/task").glob("*/children")
    return [pid for path in listed for pid in path.read_text().split()]


def main() -> None:
    """Each part in a process of its own, so that its greatest memory is its own."""
    parser = options(__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="cmelt-prepare-memory-")
    try:
        for part, arguments in ((prepare, (folder, chosen.records, chosen.workers)), (open_it, (folder,))):
            process = multiprocessing.get_context("spawn").Process(target=part, args=arguments)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)
        lines = (Path(folder) / "figures.jsonl").read_text().splitlines()
        tell([Figure(**json.loads(line)) for line in lines], chosen.json)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
