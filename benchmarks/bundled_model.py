"""A model at work on one core: loading it in a fresh Python, classifying a 10-s ECG, and the memory of both.

Run: OMP_NUM_THREADS=1 python benchmarks/bundled_model.py [--model small]

Seconds of the processor are told: on a core that nothing else uses, they are the time that passes. In the same run, in processes
of their own: importing torch alone, which nothing that uses it can beat, and loading the whole model through transformers, which
is the plain way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

TIMES = 5
LOAD_TARGET, CLASSIFY_TARGET = 2.0, 0.1

_MEASURED = """
import json, resource, time
start = time.perf_counter()
{work}
took = time.perf_counter() - start
print(json.dumps([took, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
_WORK = {
    "importing torch": "import torch",
    "cmelt.load": "import cmelt; cmelt.load({name!r}, device='cpu')",
    "the whole model, by transformers": "from cmelt.checkpoints import load_embedder; load_embedder({name!r}, device='cpu')",
}


def in_a_fresh_python(work: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor (Python's own start included), and megabytes that `work` takes at most."""
    ended = subprocess.run([sys.executable, "-c", _MEASURED.format(work=work)], capture_output=True, text=True, check=True)
    seconds, processor, megabytes = json.loads(ended.stdout.splitlines()[-1])
    return seconds, processor, megabytes


def classification(name: str) -> dict[str, float]:
    """Median seconds of the processor that one ECG costs, by stage."""
    import cmelt
    from cmelt.simulation import simulate

    model, processor = cmelt.load(name, device="cpu")
    record = simulate(1, rate=500.0)

    def timed(work: Callable[[], object]) -> float:
        times = []
        for _ in range(TIMES * 4):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return median(times)

    described = cmelt.describe(model, processor, "ptbxl-super")
    return {
        "describing 5 classes": timed(lambda: cmelt.describe(model, processor, "ptbxl-super")),
        "preparing a record of 500 Hz": timed(lambda: processor.record(record)),
        "classifying it, classes described before": timed(lambda: cmelt.classify(model, processor, record, described)),
        "classifying it, classes described with it": timed(lambda: cmelt.classify(model, processor, record, "ptbxl-super")),
    }


def main() -> None:
    """Print seconds, ratios to importing torch, and whether the targets are reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="small", help="a bundled model, or a folder")
    name = parser.parse_args().model
    # In turns, and the best of each: what else the machine does falls on all of them.
    rounds = [{kind: in_a_fresh_python(work.format(name=name)) for kind, work in _WORK.items()} for _ in range(TIMES)]
    best = {kind: min(found[kind] for found in rounds) for kind in _WORK}
    torch_alone = min(found["importing torch"][1] for found in rounds)
    load = min(found["cmelt.load"][1] for found in rounds)
    for kind, (seconds, _, megabytes) in best.items():
        processor = min(found[kind][1] for found in rounds)
        ratio = processor / torch_alone
        told = f"{processor:.2f} s of the processor, {ratio:.2f} times torch alone, {seconds:.2f} s passed, {megabytes:.0f} MB"
        print(f"{kind}: {told}")
    stages = classification(name)
    for stage, seconds in stages.items():
        print(f"{stage}: {1000 * seconds:.1f} ms")
    slowest = stages["classifying it, classes described with it"]
    print(f"target {LOAD_TARGET:g} s to load: {'reached' if load < LOAD_TARGET else 'missed'}")
    print(f"target {1000 * CLASSIFY_TARGET:g} ms to classify: {'reached' if slowest < CLASSIFY_TARGET else 'missed'}")


if __name__ == "__main__":
    main()
