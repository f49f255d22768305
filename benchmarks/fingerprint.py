"""In how many bits fingerprints of copies and of other records differ, and what a million of them cost.

Run: OMP_NUM_THREADS=1 python benchmarks/fingerprint.py [DATA [COUNT]]
DATA holds ptb-xl and challenge-2021. COUNT random fingerprints (100,000) are searched for copies. Printed are the tables of
docs/quality.md; the figures told at the end sum them up.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt, sosfiltfilt

from cmelt.records.fingerprint import FINGERPRINT_LEADS, fingerprint
from cmelt.records.leads import select_leads
from cmelt.records.record import Record
from cmelt.records.resample import resample
from cmelt.records.resemblance import resemblance
from cmelt.simulation import simulate
from cmelt.store.copies import MOST_DIFFERING, copy_groups
from measuring import Figure, in_turns, options, tell
from quality import share, share_figure
from quality_records import NONE_HERE, challenge, data_folder, ptb_xl

ALL_FOLDS = range(1, 11)


def bits(text: str) -> np.ndarray:
    """256 bits as 0 and 1."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).astype(np.float32)


def differing(first: str, second: str) -> int:
    """Bits that differ where both have measured."""
    one, other = (np.frombuffer(bytes.fromhex(text), ">u2") for text in (first, second))
    both = (one != 0) & (other != 0)
    return int(np.bitwise_count(one[both] ^ other[both]).sum())


def told(name: str, distances: np.ndarray) -> None:
    """One row of the table of copies."""
    row = [f"{np.median(distances):.0f}", f"{np.percentile(distances, 99):.0f}", f"{distances.max():.0f}"]
    print(f"| {name} | {' | '.join(row)} | {share(distances <= MOST_DIFFERING)} |")


def alterations() -> dict[str, Callable[[Record], Record]]:
    """What becomes of a record on its way into another collection."""

    def at(rate: float) -> Callable[[Record], Record]:
        return lambda record: replace(record, signal=resample(record.signal, record.rate, rate), rate=rate)

    def with_signal(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Record], Record]:
        return lambda record: replace(record, signal=change(record.signal).astype(np.float32))

    narrow = butter(2, [0.5, 40], "bandpass", fs=500, output="sos")
    low, high = butter(2, 40, fs=500, output="sos"), butter(2, 0.5, "highpass", fs=500, output="sos")
    drift = 0.5 * np.sin(2 * np.pi * 0.25 * np.arange(5000) / 500)
    return {
        "at 100 Hz": at(100.0), "at 257 Hz": at(257.0), "at 1000 Hz": at(1000.0),
        "every second sample": lambda record: replace(record, signal=record.signal[:, ::2].copy(), rate=250.0),
        "steps of 5 µV": with_signal(lambda signal: np.rint(signal * 200) / 200),
        "steps of 20 µV": with_signal(lambda signal: np.rint(signal * 50) / 50),
        "gain × 3.3, offset 2 mV": with_signal(lambda signal: signal * 3.3 + 2),
        "band-pass 0.5–40 Hz, no delay": with_signal(lambda signal: sosfiltfilt(narrow, signal, axis=1)),
        "high-pass 0.5 Hz, causal": with_signal(lambda signal: sosfilt(high, signal, axis=1)),
        "low-pass 40 Hz, causal (6 ms late)": with_signal(lambda signal: sosfilt(low, signal, axis=1)),
        "drift of 1 mV added": with_signal(lambda signal: signal + drift),
        "8 leads of 12": lambda record: select_leads(record, FINGERPRINT_LEADS),
        "first 5 s": lambda record: replace(record, signal=record.signal[:, :2500]),
    }  # fmt: skip


def report_copies(data: Path, fast: list[Record], slow: dict[int, str]) -> list[Figure]:
    """Copies as they were published, and as alterations make them."""
    print("\n| copies | median | 99 % | largest | near (≤ 24 bits, all that both measured) |\n|---|---|---|---|---|")
    prints = {int(record.identifier[:5]): fingerprint(record) for record in fast}
    pairs = [(prints[number], slow[number]) for number in prints if number in slow]
    both = np.array([differing(*pair) for pair in pairs])
    told("PTB-XL, 500 and 100 Hz", both)
    again = {int(record.identifier[2:]): fingerprint(record) for record in challenge(data, "ptb-xl")}
    told("PTB-XL in the Challenge 2021", np.array([differing(again[n], slow[n]) for n in again if n in slow]))
    altered = {}
    for name, change in alterations().items():
        altered[name] = np.array([differing(fingerprint(record), fingerprint(change(record))) for record in fast])
        told(name, altered[name])
    hardest = min(altered, key=lambda name: int(np.sum(altered[name] <= MOST_DIFFERING)))
    return [
        share_figure("copies near: PTB-XL at 500 and at 100 Hz", both <= MOST_DIFFERING),
        share_figure(
            f"copies near: the alteration of {len(altered)} that hides most: {hardest}", altered[hardest] <= MOST_DIFFERING
        ),
    ]


def report_others(slow: list[Record], patients: dict[int, str]) -> list[Figure]:
    """All pairs of different records."""
    figures = []
    texts = [fingerprint(record) for record in slow]
    table = np.stack([bits(text) for text in texts])
    print("\n| pairs | count | nearest | 1 in 100,000 |\n|---|---|---|---|")
    upper = np.triu_indices(len(table), 1)
    who = np.array([patients[int(record.identifier[:5])] for record in slow])
    same = (who[:, None] == who[None])[upper]
    for name, columns in (("10 s, 8 leads", slice(None)), ("5 s, 8 leads", slice(0, 128))):
        part = table[:, columns]
        distances = (part @ (1 - part).T + (1 - part) @ part.T)[upper]
        print(f"| {name}: other patients | {np.sum(~same):,} | {distances[~same].min():.0f} | "
              f"{np.percentile(distances[~same], 0.001):.0f} |")  # fmt: skip
        print(f"| {name}: same patient, another time | {np.sum(same):,} | {distances[same].min():.0f} | |")
        if columns == slice(None):
            nearest = np.argsort(distances)[:300]
            alike = [
                resemblance(slow[a].signal, 100, slow[b].signal, 100)
                for a, b in zip(upper[0][nearest], upper[1][nearest], strict=True)
            ]
            print(f"| the 300 nearest of these: greatest resemblance {max(alike):.3f} | | | |")
            note = f"{np.sum(~same):,} pairs of PTB-XL; near is up to {MOST_DIFFERING}"
            figures.append(
                Figure(
                    "bits by which other patients' records differ, at least",
                    float(distances[~same].min()),
                    "bits of 256",
                    note=note,
                )
            )
    simulated = np.stack([bits(fingerprint(simulate(seed, patient=seed // 2, rate=100))) for seed in range(3000)])
    distances = (simulated @ (1 - simulated).T + (1 - simulated) @ simulated.T)[np.triu_indices(3000, 1)]
    print(f"| 10 s, 8 leads: simulated | {distances.size:,} | {distances.min():.0f} | {np.percentile(distances, 0.001):.0f} |")
    return figures


def report_cost(fast: list[Record], slow: list[Record], count: int) -> list[Figure]:
    """Time a record, and time and memory of a search."""
    figures = []
    for name, records in (("500 Hz", fast[:300]), ("100 Hz", slow[:300])):
        taken = in_turns({name: lambda records=records: [fingerprint(record) for record in records]})[name]
        times = [1000 * one.processor / len(records) for one in taken]
        print(f"\n{name}: {min(times):.2f} ms a fingerprint of 12 leads, 10 s")
        figures.append(
            Figure(f"fingerprint of 12 leads, 10 s at {name}", min(times), "ms", low=min(times), high=max(times), note="best")
        )
    words = np.array([list(bytes.fromhex(fingerprint(record))) for record in slow], np.uint8).reshape(-1, 16, 2)
    rng = np.random.default_rng(0)
    # Words of real records, put together anew and altered a little: as unevenly spread as real ones.
    made = words[rng.integers(0, len(words), (count, 16)), np.arange(16)]
    made ^= np.packbits(rng.random((count, 256)) < 0.1, axis=1).reshape(count, 16, 2)
    copies = count // 20
    made[-copies:] = made[:copies] ^ np.packbits(rng.random((copies, 256)) < 0.03, axis=1).reshape(copies, 16, 2)
    texts = [row.tobytes().hex() for row in made]
    begin = time.process_time()
    groups = copy_groups(texts)
    took = time.process_time() - begin
    tracemalloc.start()
    copy_groups(texts[: count // 4])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{count:,} fingerprints grouped in {took:.1f} s; a quarter of them within {peak / 1e6:.0f} MB; "
          f"copies found {share(groups[:copies] == groups[-copies:])}")  # fmt: skip
    note = f"a quarter of them within {peak / 1e6:.0f} MB"
    return [
        *figures,
        Figure(f"{count:,} fingerprints grouped", took, "s", note=note),
        share_figure("copies found among them", groups[:copies] == groups[-copies:]),
    ]


def main() -> None:
    """Cost, copies, others."""
    parser = options(__doc__)
    parser.add_argument("data", nargs="?", help="the folder of real ECGs")
    parser.add_argument("count", nargs="?", type=int, default=100_000, help="fingerprints that are searched for copies")
    chosen = parser.parse_args()
    data = data_folder(chosen.data)
    if data is None:
        tell([], chosen.json, [NONE_HERE])
        return
    tell(measured(data, chosen.count), chosen.json)


def measured(data: Path, count: int) -> list[Figure]:
    """Print the tables, and return what sums them up."""
    import csv

    slow, fast = ptb_xl(data, 100, ALL_FOLDS), ptb_xl(data, 500, ALL_FOLDS)
    with (data / "ptb-xl/ptbxl_database.csv").open(encoding="utf-8") as table:
        patients = {int(row["ecg_id"]): row["patient_id"] for row in csv.DictReader(table)}
    figures = report_cost(fast, slow, count)  # first, while little memory has been used
    figures += report_copies(data, fast, {int(record.identifier[:5]): fingerprint(record) for record in slow})
    return figures + report_others(slow, patients)


if __name__ == "__main__":
    main()
