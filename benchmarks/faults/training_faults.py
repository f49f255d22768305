"""Training and checkpoints under faults, in full counts: what docs/reliability.md tells of them.

    python benchmarks/faults/training_faults.py --scratch FOLDER                 all parts, in about half an hour of one core
    python benchmarks/faults/training_faults.py --scratch FOLDER --only kills    one part
    python benchmarks/faults/training_faults.py --scratch FOLDER --seconds 240   as many trials as fit; the same command goes on

Counts are kept in `benchmarks/faults/results/training_faults.json`, trial by trial: each has draws of its own, a function of the
part and the number of the trial. `--anew` forgets what is kept of the parts. The runs are those of `tests/faults`: a tiny model
and store, `cmelt pretrain` in processes of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

HOUSE = Path(__file__).resolve().parents[2]
RESULTS = HOUSE / "benchmarks" / "faults" / "results" / "training_faults.json"
sys.path[:0] = [str(HOUSE / "tests" / "faults"), str(HOUSE / "tests"), str(HOUSE / "benchmarks")]

from checkpoint_reading import models_damaged, states_damaged, towers_damaged  # noqa: E402
from training_campaigns import (  # noqa: E402
    Tally,
    calls_of_saves,
    killed_among_two,
    killed_anywhere,
    killed_at_epochs,
    killed_in_a_save,
    told_to_stop,
    told_twice,
)
from training_repeats import WAYS, changed_nothing, neighbours, numbers_refused  # noqa: E402
from training_runs import RECIPE, Bench, differences  # noqa: E402

from measuring import Figure, machine  # noqa: E402
from tiny_runs import tiny_recipe, tiny_store_at  # noqa: E402

Trial = Callable[[np.random.Generator], Tally]
SEED = 7


@dataclass
class Benches:
    """Store and benches, made when they are first wanted."""

    scratch: Path
    records: Path | None = None  # a store of real ones
    benches: dict[str, Bench] = field(default_factory=dict)

    @cached_property
    def store(self) -> Path:
        """The tiny store."""
        folder = self.scratch / "store"
        return folder if folder.exists() else tiny_store_at(folder)

    def of(self, name: str, *assignments: str, world: int = 1) -> Bench:
        """A bench in a folder of this name."""
        if name not in self.benches:
            self.benches[name] = Bench.of(self.store, self.scratch / name, *assignments, world=world)
        return self.benches[name]

    @property
    def one(self) -> Bench:
        """Runs of one process."""
        return self.of("one")

    @property
    def two(self) -> Bench:
        """Runs of two processes, with half a batch each."""
        return self.of("two", "training.batch=6", world=2)


@dataclass(frozen=True)
class Part:
    """One line of the page: how many trials, and the trials themselves, in order.

    Attributes:
        trials: made from the benches; one that strikes thrice counts three times.
    """

    what: str
    trials: Callable[[Benches], Iterator[Trial]]


def repeated(count: int, trial: Callable[[Benches], Trial]) -> Callable[[Benches], Iterator[Trial]]:
    """The same trial so many times."""

    def trials(benches: Benches) -> Iterator[Trial]:
        for _ in range(count):
            yield trial(benches)

    return trials


def _kills(benches: Benches) -> Iterator[Trial]:
    for number in range(40):
        yield lambda rng, anew=number % 4 == 0: killed_anywhere(benches.one, 1, rng, anew=anew)


def _saves(benches: Benches) -> Iterator[Trial]:
    bench = benches.one
    for call in calls_of_saves(bench, 30):
        yield lambda rng, call=call: killed_in_a_save(bench, [call], 0, 0, rng)
    for _ in range(10):
        yield lambda rng: killed_in_a_save(bench, [], 1, 0, rng)
    for _ in range(10):
        yield lambda rng: killed_in_a_save(bench, [], 0, 1, rng)


def _damage(which: str) -> Callable[[Benches], Iterator[Trial]]:
    def trials(benches: Benches) -> Iterator[Trial]:
        bench = benches.one
        run = bench.folder / bench.clear("damaged")
        ways = {
            "states": partial(states_damaged, run, bench.store, tiny_recipe(*RECIPE)),
            "models": partial(models_damaged, run / "model"),
            "towers": partial(towers_damaged, run / "model"),
        }
        bench.undisturbed  # noqa: B018 (made, and a copy of it damaged)
        shutil.copytree(bench.folder / "undisturbed", run)
        for flips, cuts in [(50, 0)] * 4 + [(0, 50)]:
            yield lambda rng, flips=flips, cuts=cuts: ways[which](flips, cuts, rng)

    return trials


def _numbers(benches: Benches) -> Iterator[Trial]:
    for objective in ("mlm", "mem", "etm", "ets", "info_nce", "phrases"):
        yield lambda _, objective=objective: numbers_refused(benches.one, (objective,))
    yield lambda _: numbers_refused(benches.one, ("etm",), ("gradient",))


def _repeats(benches: Benches) -> Iterator[Trial]:
    bench = benches.of("hundred", "training.steps=100", "training.checkpoint_every=40")
    for way in WAYS:
        yield lambda _, way=way: changed_nothing(bench, (way,))


def _by_the_command(benches: Benches) -> Trial:
    """`python -m cmelt.cli pretrain`, imports and all, killed by another process at a moment drawn over its whole time."""

    def trial(rng: np.random.Generator) -> Tally:
        bench, tally = benches.one, Tally("")
        name = bench.clear("by-the-command")
        arguments = ["pretrain", "--recipe", str(bench.recipe), "--data", str(bench.store), "--out", str(bench.folder / name)]
        command = [sys.executable, "-m", "cmelt.cli", *arguments]
        begin = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            # Most of its time are imports: it is struck after the first step has been logged.
            while not bench.losses_so_far(name) and process.poll() is None:
                time.sleep(0.01)
            process.wait(float(rng.random()) * 0.2 * (time.monotonic() - begin))
        process.kill()
        killed = process.wait() == -9
        again = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        course = bench.course(name) if again.returncode == 0 else None
        faults = [again.stderr[-300:]] if course is None else differences(course, bench.undisturbed)
        # This one is not the child that writes down the records of each batch.
        tally.add("command", [fault for fault in faults if fault != "record ids"])
        tally.note("killed", float(killed))
        return tally

    return trial


PARTS: Mapping[str, Part] = {
    "kills": Part(
        "killed by SIGKILL at a line of the run drawn at random: the same losses, records, weights and state, to the bit",
        _kills,
    ),
    "epochs": Part(
        "killed by another process at an epoch's end: the same",
        repeated(10, lambda b: lambda rng: killed_at_epochs(b.one, 1, rng)),
    ),
    "five": Part(
        "killed five times in a row: the same", repeated(5, lambda b: lambda rng: killed_anywhere(b.one, 1, rng, kills=5))
    ),
    "two": Part(
        "one of two processes, or both, killed: no other hangs, losses and weights within 1e-6",
        repeated(12, lambda b: lambda rng: killed_among_two(b.two, 1, rng)),
    ),
    "command": Part(
        "the command itself, started anew, killed at a moment after its first step: the same", repeated(5, _by_the_command)
    ),
    "saves": Part("killed inside the writing of a checkpoint: goes on from a whole one, nothing is left over, the same", _saves),
    "signals": Part(
        "SIGTERM, SIGINT, SIGUSR1 at a line of the steps: the step is saved, out within 10 s with 143, 130, 138, the same",
        repeated(7, lambda b: lambda rng: told_to_stop(b.one, 1, rng)),
    ),
    "twice": Part("a second signal: out within 2 s, and the same", repeated(4, lambda b: lambda rng: told_twice(b.one, 1, rng))),
    "states": Part(
        "a bit flipped (200) or a file cut (50) in a run's newest state: said by file and check, the one before taken",
        _damage("states"),
    ),
    "models": Part("the same in a model that is read whole: refused by file and check", _damage("models")),
    "towers": Part("the same in a model read by its towers: refused, or the same embeddings to the bit", _damage("towers")),
    "numbers": Part(
        "a loss of six made NaN or infinite, or a gradient: refused before the update, with objective and records, state intact",
        _numbers,
    ),
    "repeats": Part(
        "100 steps again, with 0, 2, 4 loaders, from a moved store, stopped and moved: losses and weights to the bit", _repeats
    ),
    "neighbours": Part(
        "an embedding among other neighbours and more padding, bundled model: within 1e-5",
        repeated(1, lambda b: lambda rng: neighbours(b.records or b.store, rng)),
    ),
}


def kept() -> dict[str, Any]:
    """What is kept of the parts: trials done, and a tally each."""
    return json.loads(RESULTS.read_text(encoding="utf-8"))["parts"] if RESULTS.exists() else {}


def keep(parts: dict[str, Any]) -> None:
    """Write counts and figures."""
    figures = [figure_of(PARTS[name], told) for name, told in parts.items() if name in PARTS]
    content = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "figures": [asdict(one) for one in figures],
        "parts": parts,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def figure_of(part: Part, told: Mapping[str, Any]) -> Figure:
    """The share of trials that went as promised, with Wilson's 95 % interval."""
    from scipy.stats import binomtest

    share = binomtest(told["good"], told["total"]).proportion_ci(method="wilson")
    value = 100.0 * told["good"] / told["total"]
    figures = "; ".join(f"{name}: {min(values):.3g} to {max(values):.3g}" for name, values in told["figures"].items())
    note = f"{told['good']} of {told['total']}; spread: 95 % interval (Wilson)" + (f"; {figures}" if figures else "")
    met = told["good"] == told["total"]
    return Figure(part.what, value, "%", low=100 * share.low, high=100 * share.high, target="≥ 100", met=met, note=note)


def add(told: dict[str, Any], tally: Tally) -> None:
    """One trial's tally into what is kept of its part."""
    told["good"] += tally.good
    told["total"] += tally.total
    told["wrong"] += tally.wrong
    for name, values in tally.figures.items():
        told["figures"].setdefault(name, []).extend(round(value, 12) for value in values)


def main() -> int:
    """Run what is asked for, keep its counts; 1 where a trial went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True, help="a folder for store and runs; kept between calls")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no trial after so many")
    parser.add_argument("--anew", action="store_true", help="forget what is kept of these parts")
    parser.add_argument("--records", type=Path, help="a store at 100 Hz, for the neighbours; default: the simulated one")
    chosen = parser.parse_args()
    end, benches = time.monotonic() + chosen.seconds, Benches(chosen.scratch, chosen.records)
    parts = {name: told for name, told in kept().items() if not (chosen.anew and name in chosen.only)}
    for name in chosen.only:
        told = parts.setdefault(name, {"trials": 0, "good": 0, "total": 0, "wrong": [], "figures": {}})
        for number, trial in enumerate(PARTS[name].trials(benches)):
            if number < told["trials"]:
                continue
            if time.monotonic() > end:
                break
            add(told, trial(np.random.default_rng([SEED, list(PARTS).index(name), number])))
            told["trials"] += 1
            keep({name: told for name, told in parts.items() if told["total"]})
        print(f"{name}: {told['good']} of {told['total']} as promised", *told["wrong"], sep="\n  ", flush=True)
    return int(any(parts[name]["wrong"] for name in chosen.only))


if __name__ == "__main__":
    sys.exit(main())
