"""Records simulated a second on one core at 500 Hz, 10 s, 12 leads; beside NeuroKit2's simulator in the same run.

Run: OMP_NUM_THREADS=1 python benchmarks/simulation_speed.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from cmelt.simulation import simulate

RECORDS = 300
RATE, SECONDS = 500, 10.0


def a_second(work: Callable[[int], object], count: int) -> float:
    """Calls a second of this process's own time, after one to warm up."""
    work(0)
    begin = time.process_time()
    for seed in range(1, count + 1):
        work(seed)
    return count / (time.process_time() - begin)


def neurokit(seed: int) -> object:
    """NeuroKit2's 12-lead ECG of the same length (no conditions, no report)."""
    import neurokit2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return neurokit2.ecg_simulate(duration=int(SECONDS), sampling_rate=RATE, method="multileads", random_state=seed)


def main() -> None:
    """Print records a second and what they are to real time and to NeuroKit2."""
    ours = a_second(lambda seed: simulate(seed, rate=RATE, seconds=SECONDS), RECORDS)
    slow = a_second(lambda seed: simulate(seed, rate=100, seconds=SECONDS), RECORDS)
    theirs = a_second(neurokit, 10)
    print(f"500 Hz: {ours:.0f} records/s a core, {ours * SECONDS:.0f} times real time, {ours / theirs:.0f} times NeuroKit2")
    print(f"100 Hz: {slow:.0f} records/s a core")


if __name__ == "__main__":
    main()
