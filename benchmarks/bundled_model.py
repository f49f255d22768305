"""A model at work on one core: loading it in a fresh Python, classifying a 10-s ECG, and the memory of both.

Run: OMP_NUM_THREADS=1 python benchmarks/bundled_model.py [--model small] [--rounds 5]

Seconds of the processor are told: on a core that nothing else uses, they are the time that passes. In the same run, in processes
of their own: importing torch alone, which nothing that uses it can beat, and loading the whole model through transformers, which
is the plain way.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from measuring import Figure, in_a_fresh_python, in_turns, options, ratio, tell, verdict

LOAD_TARGET, CLASSIFY_TARGET = "< 2", "< 100"

_MEASURED = """
import json, sys, time
start = time.perf_counter()
{work}
took = time.perf_counter() - start
sys.path.append({here!r})
from measuring import peak_megabytes
print(json.dumps({{"clock": took, "processor": time.process_time(), "megabytes": peak_megabytes()}}))
"""
TORCH, LOAD, WHOLE = "importing torch alone", "cmelt.load", "the whole model, by transformers"
_WORK = {
    TORCH: "import torch",
    LOAD: "import cmelt; cmelt.load({name!r}, device='cpu')",
    WHOLE: "from cmelt.checkpoints import load_embedder; load_embedder({name!r}, device='cpu')",
}


def main() -> None:
    """Tell seconds, ratios to importing torch, memory, and whether the targets are reached."""
    parser = options(__doc__)
    parser.add_argument("--model", default="small", help="a bundled model, or a folder")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    tell(loading(chosen.model, chosen.rounds) + classifying(chosen.model, 4 * chosen.rounds), chosen.json)


def loading(name: str, rounds: int) -> list[Figure]:
    """Each way in a fresh Python, in turns: seconds of its processor, Python's own start included, and memory."""
    here = str(Path(__file__).resolve().parent)
    sources = {way: _MEASURED.format(work=work.format(name=name), here=here) for way, work in _WORK.items()}
    taken = [{way: in_a_fresh_python(source) for way, source in sources.items()} for _ in range(rounds)]
    seconds = {way: [found[way]["processor"] for found in taken] for way in _WORK}
    figures = []
    for way in _WORK:
        target = LOAD_TARGET if way == LOAD else ""
        # The best of each: what else the machine does only adds.
        best, clock = min(seconds[way]), min(found[way]["clock"] for found in taken)
        figures.append(
            Figure(
                f"loading in a fresh Python: {way}", best, "s", low=best, high=max(seconds[way]), target=target,
                met=verdict(best, target) if target else None, note=f"of the processor, best of {rounds}; {clock:.2f} s passed",
            )
        )  # fmt: skip
    for way in (LOAD, WHOLE):
        middle, low, high = ratio(seconds[way], seconds[TORCH])
        figures.append(Figure(f"loading in a fresh Python: {way}", middle, "×", TORCH, low, high))
    return figures + [
        Figure(f"memory at most: {way}", min(found[way]["megabytes"] for found in taken), "MB") for way in _WORK
    ]  # fmt: skip


def classifying(name: str, rounds: int) -> list[Figure]:
    """Milliseconds of the processor that one ECG costs, by stage."""
    import cmelt
    from cmelt.simulation import simulate

    model, processor = cmelt.load(name, device="cpu")
    record = simulate(1, rate=500.0)
    described = cmelt.describe(model, processor, "ptbxl-super")
    slowest = "classifying it, classes described with it"
    taken = in_turns(
        {
            "describing 5 classes": lambda: cmelt.describe(model, processor, "ptbxl-super"),
            "preparing a record of 500 Hz": lambda: processor.record(record),
            "classifying it, classes described before": lambda: cmelt.classify(model, processor, record, described),
            slowest: lambda: cmelt.classify(model, processor, record, "ptbxl-super"),
        },
        rounds,
    )
    figures = []
    for stage, found in taken.items():
        times = [1000 * one.processor for one in found]
        target = CLASSIFY_TARGET if stage == slowest else ""
        met = verdict(median(times), target) if target else None
        figures.append(Figure(stage, median(times), "ms", low=min(times), high=max(times), target=target, met=met))
    return figures


if __name__ == "__main__":
    main()
