"""`cmelt export`: a model in a form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import say

app = typer.Typer()


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A bundled model, or the folder of a run or of a model.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.", show_default=False)],
    dbeta: Annotated[bool, typer.Option("--dbeta", help="As a checkpoint of the authors' release, sizes beside it.")] = False,
) -> None:
    """Write a model in a form that others read.

    cmelt export --dbeta models/dbeta --out sample.pt

    Refused, with what differs, where the model is not of the form's construction.
    """
    if not dbeta:
        raise typer.BadParameter("name a form to write: --dbeta")
    _write_dbeta(model, out)


def _write_dbeta(model: str, out: Path) -> None:
    from cmelt.checkpoints import load_model
    from cmelt.interop import save_dbeta

    config = save_dbeta(load_model(model), out)
    say(f"sizes: {config}")
    print(out)
