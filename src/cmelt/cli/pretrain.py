"""`cmelt pretrain`: a recipe and a store in, a run's folder out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import say
from cmelt.cli.watching import watching

app = typer.Typer()


@app.command()
def pretrain(
    data: Annotated[Path, typer.Option("--data", help="The store to train on (its train split).")],
    out: Annotated[Path, typer.Option("--out", help="The run's folder.")],
    recipe: Annotated[str, typer.Option("--recipe", help="A bundled recipe (demo, small, paper) or a .yaml file.")] = "small",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key, as in --set training.epochs=3; may be repeated.")
    ] = None,
    resume: Annotated[str, typer.Option("--resume", help="auto: go on with a run in --out; never: refuse one.")] = "auto",
    devices: Annotated[
        int | None, typer.Option("--devices", min=1, help="GPUs, or CPU processes; default: every GPU, or one process.")
    ] = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines, under torchrun or SLURM.")] = 1,
) -> None:
    """Pre-train the two encoders on a store.

    cmelt pretrain --recipe small --data ptbxl100 --out runs/small

    The same command goes on with an interrupted run, exactly where it stopped. Exit status 130 or 143 after SIGINT or SIGTERM.
    """
    from cmelt.config import load_recipe
    from cmelt.store import open_store

    if resume not in ("auto", "never"):
        raise typer.BadParameter(f"{resume!r} is neither auto nor never", param_hint="--resume")
    settings = load_recipe(recipe, assignments)
    store = open_store(data)
    from cmelt.training.loop import pretrain as run

    with watching() as watcher:
        code = run(settings, store, out, watcher, resume=resume, devices=devices, nodes=nodes)
    if code:
        sys.exit(code)
    say(f"finished: the model lies in {out / 'model'}; measure it with cmelt evaluate {out} --data {data}")
