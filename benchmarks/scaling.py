"""Training in two processes on one core each, against one process on one core: weak and strong scaling of a recipe's step.

    python benchmarks/scaling.py                       recipe small, 64 pairs a process
    python benchmarks/scaling.py --recipe paper-small --strategy fsdp --batch 32

Four processes wait, each pinned to its core, and are called in turns: one that works alone; two that work at once and know
nothing of each other, which is what the machine gives two cores that share caches and memory; and two that train together. Pairs
are made up, so loading is not in it (`loading.py`). What a step sends is a formula (`cmelt.training.communication`), which a test
holds against the bytes that leave a process; docs/cluster.md uses it for machines that were not measured.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from measuring import Figure, options, ratio, tell

if TYPE_CHECKING:
    from cmelt.batches.batch import Batch
    from cmelt.config import Recipe
    from cmelt.training.loop import Run

TEXT_TOKENS, VOCABULARY, PHRASE_TOKENS = 48, 3000, 4


class Waiting:
    """A process pinned to a core that waits for work: so many steps of one of its runs."""

    def __init__(self, core: int, arguments: Sequence[str], environment: dict[str, str]) -> None:
        command = [sys.executable, __file__, "--worker", str(core), *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )

    def begin(self, run: str, steps: int) -> None:
        """Have it work."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{run} {steps}\n")
        self.process.stdin.flush()

    def told(self) -> dict[str, Any]:
        """What it has to say next. Raises RuntimeError where it has ended instead."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                said: dict[str, Any] = json.loads(line)
                return said
        raise RuntimeError(f"a process of the benchmark ended with {self.process.wait()}")

    def end(self) -> None:
        """Let it go."""
        self.process.kill()
        self.process.wait()


def main() -> None:
    """Measure and tell."""
    parser = options(__doc__)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--strategy", default="ddp", choices=("ddp", "fsdp"))
    parser.add_argument("--batch", type=int, default=64, help="pairs of a process that works alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1, help="steps a round")
    parser.add_argument("--worker", type=int, help="(for the script itself) be a process on this core")
    chosen = parser.parse_args()
    if chosen.worker is not None:
        work(chosen.worker, chosen.recipe, chosen.strategy, chosen.batch)
        return
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        tell([], chosen.json, ["scaling over two processes: fewer than two cores to pin them to"])
        return
    arguments = ["--recipe", chosen.recipe, "--strategy", chosen.strategy, "--batch", str(chosen.batch)]
    alone = [Waiting(core, arguments, {}) for core in cores[:2]]
    pair = [Waiting(core, arguments, place) for core, place in zip(cores[:2], as_torchrun(2), strict=True)]
    try:
        sent = [process.told() for process in (*alone, *pair)][-1]
        taken = rounds(alone, pair, chosen.rounds, chosen.steps)
    finally:
        for process in (*alone, *pair):
            process.end()
    tell(figures(taken, sent, chosen.recipe, chosen.strategy, chosen.batch), chosen.json)


def rounds(alone: list[Waiting], pair: list[Waiting], count: int, steps: int) -> dict[str, list[float]]:
    """Seconds a step of every way, in turns; the first round is not counted."""
    ways = {
        "one": (alone[:1], "weak"),
        "two apart": (alone, "weak"),
        "two together": (pair, "weak"),
        "two, half a batch each": (pair, "strong"),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(count + 1):
        for name, (processes, run) in ways.items():
            for process in processes:
                process.begin(run, steps)
            slowest = max(process.told()["seconds"] for process in processes)
            if number:
                taken[name].append(slowest / steps)
    return taken


def figures(taken: dict[str, list[float]], sent: dict[str, Any], recipe: str, strategy: str, batch: int) -> list[Figure]:
    """Efficiencies by the clock, and what is sent."""
    one, apart, together, halves = taken.values()
    talk = ratio(apart, together)
    job, note = f"step of {recipe} by {strategy} in two processes", f"{batch} pairs a process, one core each"
    rate = median(2 * batch / seconds for seconds in together)
    of_one, embeddings = "one process's rate, each", f"formula; {sent['embeddings'] / 1e6:.2f} MB of it embeddings"
    halved, strong = f"{batch // 2} pairs a process", ratio(one, [2 * seconds for seconds in halves])
    return [
        Figure(f"{job}, weak scaling", *_spread(ratio(one, together), of_one), note=note),
        Figure(f"{recipe} in two processes that know nothing of each other", *_spread(ratio(one, apart), of_one), note=note),
        Figure(
            f"{job}, what talking leaves of the rate",
            *_spread(talk, "two that know nothing of each other"),
            target="≥ 0.9",
            met=talk[0] >= 0.9,
            note=note,
        ),
        Figure(f"{job}, strong scaling", *_spread(strong, "half of one process's time"), note=halved),
        Figure(job, rate, "records/s", note=note),
        Figure("what a process sends in that step", sent["bytes"] / 1e6, "MB", note=embeddings),
    ]


def _spread(found: tuple[float, float, float], against: str) -> tuple[float, str, str, float, float]:
    return found[0], "×", against, found[1], found[2]


def as_torchrun(world: int) -> list[dict[str, str]]:
    """What torchrun tells each of so many processes on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    told |= {"TORCHELASTIC_RUN_ID": "scaling", "GROUP_RANK": "0"}
    return [{**told, "RANK": str(number), "LOCAL_RANK": str(number)} for number in range(world)]


def work(core: int, name: str, strategy: str, batch: int) -> None:
    """Be one of the processes: say what a step sends, then take steps when asked to, for as long as one asks."""
    os.sched_setaffinity(0, {core})
    import torch

    torch.set_num_threads(1)
    from cmelt.config import load_recipe
    from cmelt.training.communication import sent_in_a_step
    from cmelt.training.engine import launch
    from cmelt.training.loop import train_step

    assignments = [f"model.text.architecture.vocab_size={VOCABULARY}", f"training.strategy={strategy}", "training.steps=1000000"]
    recipe = load_recipe(name, [*assignments, "training.epochs=null", f"training.batch={batch}"])
    fabric = launch(recipe.training)
    halves = replace(recipe, training=replace(recipe.training, batch=batch // 2))
    runs = {"weak": run_of(recipe, fabric), "strong": run_of(halves, fabric)}
    sent = sent_in_a_step(recipe, runs["weak"].model, fabric.world_size)
    print(json.dumps({"bytes": sent.total, "embeddings": sent.contrast}), flush=True)
    for number, line in enumerate(sys.stdin):
        asked, steps = line.split()
        fabric.barrier()
        begin = time.perf_counter()
        for step in range(int(steps)):
            train_step(runs[asked], number + step)
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


def run_of(recipe: Recipe, fabric: Any) -> Run:
    """A run on made-up pairs."""
    from pathlib import Path

    import torch

    from cmelt.checkpoints.model_folder import distinct_tensors
    from cmelt.model.cmelt import CMeltModel
    from cmelt.model.configuration import CMeltConfig
    from cmelt.training.engine import set_up
    from cmelt.training.loop import Run
    from cmelt.training.optimiser import build_optimiser, freeze_unused

    torch.manual_seed(0)
    model = CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives)).train()
    freeze_unused(model, frozenset(recipe.objectives.weights))
    wrapped = set_up(fabric, model, recipe.training)
    optimiser = fabric.setup_optimizers(build_optimiser(model, recipe.optimiser))
    average = {name: tensor.detach().clone() for name, tensor in distinct_tensors(model).items()}
    given: Any = MadeUp(recipe, fabric)
    kept = average if recipe.training.average else None
    return Run(recipe, fabric, given, model, wrapped, optimiser, 1_000_000, kept, Path())


class MadeUp:
    """Hands out one batch again and again, that of this process."""

    def __init__(self, recipe: Recipe, fabric: Any) -> None:
        self.made = made_up(recipe, fabric.global_rank, fabric.world_size)

    def batch(self, _: int) -> Batch:
        """The batch, whatever the step."""
        return self.made


def made_up(recipe: Recipe, rank: int, world: int) -> Batch:
    """Made-up pairs, their clean reports and phrases with the shapes that the recipe gives them."""
    import torch

    from cmelt.batches.batch import AskedPhrases
    from synthetic_pairs import synthetic_batch

    size, source = recipe.training.batch, torch.Generator().manual_seed(rank)
    batch = synthetic_batch(recipe, size, TEXT_TOKENS, seed=rank)
    batch = replace(batch, own_group=batch.own_group + rank * size, text_group=batch.text_group + rank * size)
    if recipe.masking.contrast_view == "clean":
        pieces = torch.where(batch.words >= 0, batch.words, batch.tokens)
        batch = replace(batch, clean_tokens=pieces, clean_text_mask=batch.text_mask)
    if not recipe.objectives.phrases:
        return batch
    drawn = recipe.objectives.phrase.drawn
    share = -(-drawn // world)
    tokens = torch.randint(2, VOCABULARY - 1, (share, PHRASE_TOKENS), generator=source)
    held = torch.rand(size, drawn, generator=source) < 0.1
    mask = torch.ones(share, PHRASE_TOKENS, dtype=torch.bool)
    return replace(batch, phrases=AskedPhrases(tokens, mask, held, torch.ones_like(held)))


if __name__ == "__main__":
    main()
