"""One pre-training step of the paper-size model on a CPU, float32: ours, the authors' release, and ours as first written down.

    python benchmarks/training_step.py [--release FOLDER] [--batch 8] [--text-tokens 64] [--rounds 2] [--json FILE]

FOLDER is a checkout of the release (github.com/manhph2211/D-BETA, CC BY-NC: it is run, nothing of it is here); without it, or
$CMELT_DBETA, the comparison with it is skipped. Each way runs in a process of its own on the same batches: all texts are full, so
that nobody has padding to save. A time is forward and backward of the four losses, in processor seconds over threads, which is
what the clock shows on a quiet machine. The memory of activations is the operating system's own peak, gradients lying there
before and after: that of the whole batch less that of one record, per record.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from measuring import Figure, in_turns, options, peak_megabytes, ratio, tell

RELEASE = "CMELT_DBETA"
TARGET_TIME, TARGET_MEMORY, TARGET_ADAMW = 0.6, 0.5, 0.2


def main() -> None:
    """Measure each way in a process of its own, and compare."""
    chosen = arguments()
    if chosen.way:
        print(json.dumps(measured(chosen)))
        return
    ours, skipped = apart(chosen, "ours"), []
    figures = [*compared(ours, apart(chosen, "plain"), "the same model as first written down", chosen, targets=False)]
    if chosen.release is None:
        skipped.append(f"the authors' release: no checkout of it (--release FOLDER or ${RELEASE})")
    else:
        figures = [*compared(ours, apart(chosen, "release"), "the authors' release, same inputs", chosen, targets=True), *figures]
    figures += own_figures(ours, chosen)
    tell(figures, chosen.json, skipped)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = options(__doc__)
    parser.add_argument("--release", type=Path, default=os.environ.get(RELEASE), help=f"a checkout of it (default ${RELEASE})")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--text-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2, help="steps that are timed")
    parser.add_argument("--recipe", default="paper")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="of the recipe")
    parser.add_argument("--way", choices=["ours", "plain", "release"], help="measure this one here, and print JSON")
    return parser.parse_args()


def apart(chosen: argparse.Namespace, way: str) -> dict[str, Any]:
    """What a process of its own measures of one way."""
    passed = ["--way", way, "--batch", str(chosen.batch), "--text-tokens", str(chosen.text_tokens), "--recipe", chosen.recipe]
    passed += ["--rounds", str(1 if way == "plain" else chosen.rounds), *(f"--set={change}" for change in chosen.changes)]
    passed += ["--release", str(chosen.release)] if way == "release" else []
    # Threads that wait sleep soon, as in training: spinning would count as work.
    environment = {"GOMP_SPINCOUNT": "10000", **os.environ}
    ended = subprocess.run([sys.executable, __file__, *passed], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def measured(chosen: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the steps and the activations of one way; of ours also its parts and the optimiser."""
    import torch

    from cmelt.config import load_recipe
    from synthetic_pairs import synthetic_batch

    torch.manual_seed(0)
    recipe = load_recipe(chosen.recipe, ["model.text.weights=null", *chosen.changes])
    model, loss_of = made(chosen, recipe)
    one, whole = (synthetic_batch(recipe, size, chosen.text_tokens, seed=size) for size in (1, chosen.batch))

    def step(batch: Any, keep_gradients: bool) -> None:
        model.zero_grad(set_to_none=not keep_gradients)
        loss_of(batch).backward()

    step(one, False)
    step(one, True)
    peak_of_one = peak_megabytes()
    step(whole, True)
    record = (peak_megabytes() - peak_of_one) / (chosen.batch - 1)
    threads = torch.get_num_threads()
    taken = in_turns({"step": lambda: step(whole, False)}, chosen.rounds, warm=0)["step"]
    found = {"seconds": [t.processor / threads for t in taken], "megabytes": record, "threads": threads}
    if chosen.way == "ours":
        found["parts"] = dict(parts(model, recipe, whole, threads))
        found["adamw"] = adamw(model, recipe, threads)
    return found


def made(chosen: argparse.Namespace, recipe: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A model in training mode, and what makes its loss of a batch."""
    if chosen.way == "release":
        from release_model import release_step

        return release_step(chosen.release, recipe)
    from cmelt.model.cmelt import CMeltModel
    from cmelt.model.configuration import CMeltConfig
    from cmelt.objectives.total import total_loss
    from plain_model import plain_model

    plain = chosen.way == "plain"
    model = plain_model(recipe) if plain else CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives)).train()
    names = frozenset(recipe.objectives.weights)

    def loss_of(batch: Any) -> Any:
        views, truth = batch.views(recipe.model.ecg.samples_per_token)
        return total_loss(model(views, names), truth, recipe.objectives).total

    return model, loss_of


def parts(model: Any, recipe: Any, batch: Any, threads: int) -> Iterator[tuple[str, float]]:
    """Seconds of each part by itself, forward and backward, on inputs of its own shape."""
    import torch

    views, _ = batch.views(recipe.model.ecg.samples_per_token)
    size, width = len(views.ecg), recipe.model.width
    ecg = torch.randn(size, 1 + views.kept.shape[1], width)
    text = torch.randn(size, views.tokens.shape[1], width)
    masked = torch.randn(int((views.words >= 0).sum()), width)
    asked = torch.arange(1 + len(masked) // size).expand(size, -1)
    work: dict[str, Callable[[], Any]] = {
        "front end and positions": lambda: model.ecg_encoder.tokenise(views.ecg, views.kept),
        "front end, positions and ECG transformer": lambda: model.ecg_encoder(views.ecg, views.kept),
        "T5": lambda: model.text_encoder(input_ids=views.tokens, attention_mask=views.text_mask.long()).last_hidden_state,
        "fusion": lambda: model.fusion(text, views.text_mask, ecg, asked).pair,
        "MEM decoder": lambda: model.ecg_decoder(ecg, views.kept, recipe.model.ecg.tokens),
        "MLM head": lambda: model.word_head(masked),
    }
    for name, forward in work.items():
        model.zero_grad(set_to_none=True)
        taken = in_turns({name: partial(_both_ways, forward)}, 1, warm=1)[name]
        yield name, taken[0].processor / threads


def _both_ways(forward: Callable[[], Any]) -> None:
    forward().sum().backward()


def adamw(model: Any, recipe: Any, threads: int) -> list[float]:
    """Seconds of three updates of all weights."""
    import torch

    from cmelt.training.optimiser import build_optimiser

    optimiser = build_optimiser(model, recipe.optimiser)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    taken = in_turns({"update": optimiser.step}, 3, warm=1)["update"]
    return [t.processor / threads for t in taken]


def compared(
    ours: dict[str, Any], theirs: dict[str, Any], against: str, chosen: argparse.Namespace, targets: bool
) -> Iterator[Figure]:
    """Time and activations of ours over theirs."""
    job = f"training step of {chosen.batch} pairs, {chosen.recipe}'s sizes"
    value, low, high = ratio(ours["seconds"][: len(theirs["seconds"])], theirs["seconds"])
    seconds = f"{min(ours['seconds']):.2f} s against {min(theirs['seconds']):.2f} s, {ours['threads']} threads"
    yield Figure(
        f"{job}: time", value, "×", against, low, high, *_target(TARGET_TIME, value, targets, "×"), note=seconds,
    )  # fmt: skip
    value = ours["megabytes"] / theirs["megabytes"]
    megabytes = f"{ours['megabytes']:.0f} MB a record against {theirs['megabytes']:.0f} MB"
    yield Figure(f"{job}: activations", value, "×", against, None, None, *_target(TARGET_MEMORY, value, targets, "×"), megabytes)


def own_figures(ours: dict[str, Any], chosen: argparse.Namespace) -> Iterator[Figure]:
    """What ours takes, part by part, and the optimiser."""
    fastest = min(ours["adamw"])
    yield Figure(
        f"AdamW of all weights of {chosen.recipe}", fastest, "s", low=min(ours["adamw"]), high=max(ours["adamw"]),
        target=f"≤ {TARGET_ADAMW:g} s", met=fastest <= TARGET_ADAMW,
    )  # fmt: skip
    for name, seconds in ours["parts"].items():
        yield Figure(f"a step's {name}", seconds, "s", note="by itself, forward and backward")


def _target(most: float, value: float, counts: bool, unit: str) -> tuple[str, bool | None]:
    return (f"≤ {most:g} {unit}", value <= most) if counts else ("", None)


if __name__ == "__main__":
    main()
