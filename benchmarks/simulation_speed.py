"""Records simulated a second on one core at 500 Hz, 10 s, 12 leads; beside NeuroKit2's simulator in the same run.

Run: OMP_NUM_THREADS=1 python benchmarks/simulation_speed.py [--records 20] [--rounds 5]
"""

from __future__ import annotations

import warnings
from functools import partial
from importlib.util import find_spec

from cmelt.simulation import simulate
from measuring import Figure, in_turns, options, ratio, tell

SECONDS, AS_MANY_OF_THEIRS = 10.0, 10


def ours(rate: float, records: int) -> None:
    """Simulate so many records with drawn conditions and reports."""
    for seed in range(1, records + 1):
        simulate(seed, rate=rate, seconds=SECONDS)


def neurokit(records: int) -> None:
    """As many 12-lead ECGs of NeuroKit2 of the same length at 500 Hz (no conditions, no report)."""
    import neurokit2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(1, records + 1):
            neurokit2.ecg_simulate(duration=int(SECONDS), sampling_rate=500, method="multileads", random_state=seed)


def main() -> None:
    """Tell records a second, and what they are to NeuroKit2."""
    parser = options(__doc__)
    parser.add_argument("--records", type=int, default=20, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    theirs = max(1, chosen.records // AS_MANY_OF_THEIRS)
    ways = {"500": partial(ours, 500.0, chosen.records), "100": partial(ours, 100.0, chosen.records)}
    there = find_spec("neurokit2") is not None
    if there:
        ways["neurokit"] = partial(neurokit, theirs)
    taken = {name: [one.processor for one in rounds] for name, rounds in in_turns(ways, chosen.rounds).items()}
    figures = []
    for rate in ("500", "100"):
        speeds = [chosen.records / seconds for seconds in taken[rate]]
        middle = sorted(speeds)[len(speeds) // 2]
        note = f"{middle * SECONDS:,.0f} times real time"
        figures.append(
            Figure(f"simulating 10 s at {rate} Hz", middle, "records/s a core", low=min(speeds), high=max(speeds), note=note)
        )
    if there:
        apart = [seconds / theirs * chosen.records for seconds in taken["neurokit"]]
        middle, low, high = ratio(apart, taken["500"])
        figures.append(Figure("simulating 10 s at 500 Hz", middle, "× as fast", "NeuroKit2's simulator", low, high))
    tell(figures, chosen.json, [] if there else ["NeuroKit2 is not installed"])


if __name__ == "__main__":
    main()
