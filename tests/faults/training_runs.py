"""`cmelt pretrain` in processes of its own that are struck at a chosen point, and what each of them did, step by step."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load
from striking import Trap, arm

from processes import free_port, started_by_torchrun
from tiny_runs import apart, losses_of, tiny_recipe_file, weights_of

#: Four steps an epoch of the tiny store: the first ends in step 4, checkpoints lie at 2, 4 and 6.
RECIPE = (
    "training.steps=6", "training.batch=12", "training.checkpoint_every=2", "training.average=0.9",
    "objectives.phrases=1", "objectives.phrase.least=2", "augmentation.crop_seconds=5",
)  # fmt: skip
PATIENCE = 240.0


@dataclass(frozen=True)
class Ended:
    """How the processes of one command ended: their exit codes, what they said, and the seconds from the strike to the end."""

    codes: tuple[int, ...]
    said: str
    seconds: float


@dataclass(frozen=True)
class Course:
    """What a finished run was: its losses, the records of each part of a step by process, its last state and its model."""

    losses: list[dict[str, float]]
    taken: Mapping[tuple[int, int], tuple[str, ...]]
    weights: bytes
    state: Mapping[str, bytes]


@dataclass(frozen=True)
class Bench:
    """A store, a recipe and a folder to try runs in; `world` processes each."""

    store: Path
    folder: Path
    recipe: Path
    world: int = 1

    @classmethod
    def of(cls, store: Path, folder: Path, *assignments: str, world: int = 1) -> Bench:
        """A bench whose recipe is `RECIPE` with these overrides."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(store, folder, tiny_recipe_file(folder, *RECIPE, *assignments), world)

    @cached_property
    def undisturbed(self) -> Course:
        """The run that nobody strikes; taken as it lies there where it was made before."""
        if not (self.folder / "undisturbed" / "model").exists():
            self.clear("undisturbed")
            ended = self.command("undisturbed")
            if any(ended.codes):
                raise RuntimeError(f"the undisturbed run ended with {ended.codes}: {ended.said}")
        return self.course("undisturbed")

    def clear(self, name: str) -> str:
        """Remove what an earlier run of this name has left; returns the name."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        for path in self.folder.glob(f"{name}.*"):
            path.unlink()
        return name

    def begun(self, name: str) -> str:
        """The same, and what a run makes before its first step (which takes longer than its steps) is there already."""
        made = self.folder / "undisturbed"
        if not made.exists():
            self.undisturbed  # noqa: B018 (it is made when it is asked for)
        run = self.folder / self.clear(name)
        for part in ("tokenizer", "negatives", "phrases"):
            shutil.copytree(made / part, run / part)
        shutil.copy(made / "run.json", run)
        return name

    def elsewhere(self, store: Path) -> Bench:
        """The same with another path to the store."""
        return replace(self, store=store)

    def command(self, name: str, trap: Trap | None = None, *more: str) -> Ended:
        """`cmelt pretrain` into the run of this name, with a trap set, until it has ended."""
        processes = self.start(name, trap, *more)
        end = time.monotonic() + PATIENCE
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))
        return self.ended(name, processes)

    def start(self, name: str, trap: Trap | None = None, *more: str) -> list[Any]:
        """The same, while it runs. A trap is for the first process, or for the one that it names."""
        port, started = free_port(), []
        (self.folder / f"{name}.struck").unlink(missing_ok=True)
        (self.folder / f"{name}.said").write_text("")
        for rank in range(self.world):
            environment = started_by_torchrun(rank, self.world, port) if self.world > 1 else {}
            own = trap if trap is not None and trap.rank in (rank, None) else None
            arguments = (str(self.store), str(self.folder / name), str(self.recipe), rank, own, more)
            started.append(apart(child, *arguments, environment=environment))
        return started

    def ended(self, name: str, processes: list[Any]) -> Ended:
        """How these processes, which have been waited for, ended; one that has not is killed, and its code is 0x7FFF."""
        at = time.monotonic()
        codes = []
        for process in processes:
            hangs = process.is_alive()
            process.kill()
            process.join()
            codes.append(0x7FFF if hangs else int(process.exitcode))
        struck = self.folder / f"{name}.struck"
        told = struck.read_text().split() if struck.exists() else []
        since = at - float(told[-1]) if told else 0.0
        return Ended(tuple(codes), (self.folder / f"{name}.said").read_text(), since)

    def course(self, name: str) -> Course:
        """What the finished run of this name was."""
        run = self.folder / name
        last = max((run / "checkpoints").iterdir())
        state = {path.name: path.read_bytes() for path in last.glob("*.safetensors")}
        return Course(losses_of(run), self.taken(name), weights_of(run), state)

    def taken(self, name: str) -> dict[tuple[int, int], tuple[str, ...]]:
        """The records of each part of a step, by process and part. Raises ValueError where one has others the second time."""
        found: dict[tuple[int, int], tuple[str, ...]] = {}
        for path in sorted(self.folder.glob(f"{name}.taken-*")):
            rank = int(path.name.rpartition("-")[2])
            for line in path.read_text().splitlines():
                told = json.loads(line)
                if found.setdefault((rank, told["part"]), tuple(told["records"])) != tuple(told["records"]):
                    raise ValueError(f"part {told['part']} of process {rank} was made of other records the second time")
        return found

    def losses_so_far(self, name: str) -> list[dict[str, float]]:
        """The losses of the whole lines of a run that may have been cut."""
        path = self.folder / name / "metrics.jsonl"
        whole = [line for line in path.read_text().split("\n")[:-1] if line] if path.exists() else []
        return [{key: value for key, value in json.loads(line).items() if key != "records_per_second"} for line in whole]


def differences(one: Course, other: Course, tolerance: float = 0.0) -> list[str]:
    """In what two runs differ: losses, record ids, weights, state; numbers by more than `tolerance` (0: to the bit)."""
    found = [] if one.taken == other.taken else ["record ids"]
    if not tolerance:
        found += [] if one.losses == other.losses else ["losses"]
        return found + [name for name in ("weights", "state") if getattr(one, name) != getattr(other, name)]
    pairs = zip(one.losses, other.losses, strict=False)
    apart_by = [abs(a[key] - b[key]) for a, b in pairs for key in a.keys() | b.keys()]
    found += ["losses"] if len(one.losses) != len(other.losses) or max(apart_by) > tolerance else []
    return found + (["weights"] if furthest(one, other) > tolerance else [])


def furthest(one: Course, other: Course) -> float:
    """By how much the final weights of two runs differ at most."""
    first, second = load(one.weights), load(other.weights)
    return max(float(np.abs(first[name].astype(np.float64) - second[name]).max(initial=0)) for name in first | second)


def leftovers(run: Path) -> list[str]:
    """What a killed writer left in a run: staging folders and drafts."""
    return [path.name for path in run.rglob("*") if ".staging-" in path.name or path.name.endswith("-draft")]


def child(store: str, run: str, recipe: str, rank: int, trap: Trap | None, more: tuple[str, ...]) -> None:
    """In a process of its own: the command as a user calls it; which records each batch has goes beside the run."""
    said = os.open(f"{run}.said", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(said, 2)
    note_batches(Path(f"{run}.taken-{rank}"))
    if trap is not None:
        arm(trap, Path(f"{run}.struck"))
    import cmelt.training.loop as loop
    from cmelt.cli import main

    loop.loaders_for = lambda wanted, _: wanted  # whatever cores there are

    sys.argv = ["cmelt", "pretrain", "--recipe", recipe, "--data", store, "--out", run, *more]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


def note_batches(where: Path) -> None:
    """Write down the records of each batch as the loop takes it."""
    from cmelt.batches.ahead import Ahead

    take = Ahead.batch

    def noted(self: Ahead, step: int) -> Any:
        batch = take(self, step)
        with where.open("a") as file:
            file.write(json.dumps({"part": step, "records": batch.records}) + "\n")
        return batch

    Ahead.batch = noted  # type: ignore[method-assign]
