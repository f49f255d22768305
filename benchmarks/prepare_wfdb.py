"""What preparing WFDB records costs, in times of reading the same files through `wfdb.rdrecord` alone; one process, warm disk.

Rounds of (a) `wfdb.rdrecord`, (b) `read_ecg`, (c) whole shards at 500 and at 100 Hz, and of the dearest steps of a preparation
alternate, so that whatever else the machine does meets all of them. Real PTB-XL records at 500 Hz where $CMELT_DATA_DIR or
../shared/data has them, else simulated ones.

Run: OMP_NUM_THREADS=1 python benchmarks/prepare_wfdb.py [--records 128] [--rounds 5]
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
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
from measuring import Figure, Taken, in_turns, options, ratio, tell, verdict

TARGET = "< 0.5"
YARDSTICK = "wfdb.rdrecord"
MIMIC_IV_ECG = 800_035


def headers(scratch: Path, count: int) -> tuple[list[Path], str]:
    """`count` headers of 12-lead records of 10 s at 500 Hz in format 16, and what they are."""
    named = os.environ.get("CMELT_DATA_DIR")
    data = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    found = sorted((data / "ptb-xl" / "records500").rglob("*.hea"))[:count]
    if found:
        return found, f"{len(found)} PTB-XL records"
    return [written(scratch / f"r{seed}", seed) for seed in range(count)], f"{count} simulated records"


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
    """Tell medians over the rounds with their spread, and what follows for MIMIC-IV-ECG."""
    parser = options(__doc__)
    parser.add_argument("--records", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found, those = headers(Path(name), chosen.records)
        taken = in_turns(works(found, Path(name) / "store"), chosen.rounds)
    tell(figures_of(taken, len(found), f"{those}, 12 leads, 10 s at 500 Hz"), chosen.json)


def works(found: list[Path], store: Path) -> dict[str, Callable[[], object]]:
    """What is measured, by name; what lies in `store` is removed each time."""
    import wfdb

    names = [str(header.with_suffix("")) for header in found]
    records = [read_ecg(header) for header in found]

    def prepared(rate: float) -> None:
        finish_shard(shard(found, rate, store))
        # Or a virtual machine would have to find new memory for every shard, at ten times the cost of writing it.
        shutil.rmtree(store)

    return {
        YARDSTICK: lambda: each(wfdb.rdrecord, names),
        "read_ecg": lambda: each(read_ecg, found),
        "preparing at 500 Hz": lambda: prepared(500.0),
        "preparing at 100 Hz": lambda: prepared(100.0),
        "quality_flags": lambda: each(quality_flags, records),
        "fingerprint": lambda: each(fingerprint, records),
        "resample to 100 Hz": lambda: each(lambda record: resample(record.signal, 500.0, 100.0), records),
    }


def figures_of(taken: dict[str, list[Taken]], records: int, those: str) -> list[Figure]:
    """Ratios to the yardstick by processor time, and records a second with a projection."""
    seconds = {name: [one.processor for one in rounds] for name, rounds in taken.items()}
    figures = []
    for name, measured in seconds.items():
        a_record = median(measured) / records
        prepares = name.startswith("preparing")
        note = f"{1000 * a_record:.2f} ms a record"
        if prepares:
            hours = MIMIC_IV_ECG * a_record / 3600
            note += f"; projected for MIMIC-IV-ECG: {hours:.2f} core-hours, {hours / 16:.3f} h on 16 cores"
        low, high = records / max(measured), records / min(measured)
        figures.append(Figure(name, 1 / a_record, "records/s a core", low=low, high=high, note=note))
        if name != YARDSTICK:
            value, low, high = ratio(measured, seconds[YARDSTICK])
            target, met = (TARGET, verdict(value, TARGET)) if prepares else ("", None)
            figures.append(Figure(name, value, "× its time", YARDSTICK, low, high, target, met, those))
    return figures


if __name__ == "__main__":
    main()
