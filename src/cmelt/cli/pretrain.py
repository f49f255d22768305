"""`cmelt pretrain`: a recipe and a store, or several, in; a run's folder out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cmelt.cli.console import say
from cmelt.cli.watching import watching

app = typer.Typer()

#: Options that take several values, as in --data A B C.
_SEVERAL = ("--data", "--weights")


class SeveralValues(TyperCommand):
    """A command without arguments, in which an option may be followed by all of its values: each is given the option's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does, with `--data A B` read as `--data A --data B`."""
        named: list[str] = []
        option: str | None = None
        for word, before in zip(args, ["", *args], strict=False):
            if word.startswith("--"):
                option = word if word in _SEVERAL else None
            elif option is not None and before != option:
                named.append(option)
            named.append(word)
        return super().parse_args(ctx, named)


@app.command(cls=SeveralValues)
def pretrain(
    data: Annotated[
        list[Path], typer.Option("--data", help="The store to train on (its train split), or several: --data A B C.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's folder.")],
    weights: Annotated[
        list[float] | None,
        typer.Option("--weights", help="One a store: how often its pairs are drawn, as in --weights 1 2 1. Default: all 1."),
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="A bundled recipe (demo, small, paper) or a .yaml file.")] = "small",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override a key, as in --set training.epochs=3; may be repeated.")
    ] = None,
    resume: Annotated[str, typer.Option("--resume", help="auto: go on with a run in --out; never: refuse one.")] = "auto",
    devices: Annotated[
        int | None,
        typer.Option(
            "--devices", min=1, help="GPUs, or CPU processes, a machine; default: torchrun's or srun's, every GPU, or 1."
        ),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, help="Machines; default: as many as torchrun or srun started on.")
    ] = None,
) -> None:
    """Pre-train the two encoders on a store, or on several together.

    cmelt pretrain --recipe small --data ptbxl100 --out runs/small

    The same command goes on with an interrupted run, exactly where it stopped. Exit status 130 or 143 after SIGINT or SIGTERM.
    """
    from cmelt.config import load_recipe
    from cmelt.store import JoinedStore, open_stores

    if resume not in ("auto", "never"):
        raise typer.BadParameter(f"{resume!r} is neither auto nor never", param_hint="--resume")
    settings = load_recipe(recipe, assignments)
    store = open_stores(data, weights)
    for warning in store.warnings if isinstance(store, JoinedStore) else ():
        say(f"warning: {warning}")
    from cmelt.training.loop import pretrain as run

    with watching() as watcher:
        code = run(settings, store, out, watcher, resume=resume, devices=devices, nodes=nodes)
    if code:
        sys.exit(code)
    say(f"finished: the model lies in {out / 'model'}; measure it with cmelt evaluate {out} --data {data[0]}")
