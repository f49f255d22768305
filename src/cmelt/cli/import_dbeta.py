"""`cmelt import-dbeta`: the authors' checkpoint becomes a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import print_json, say

app = typer.Typer()


@app.command()
def import_dbeta(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="The authors' sample.pt.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The model's folder; it must not exist.", show_default=False)],
    config: Annotated[
        Path | None,
        typer.Option("--config", help='Sizes: json, {"model": {…}, "t5": {…}} in the authors\' words. Default: the published.'),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help="A folder of tokenizer files, or a hub's name. Default: Flan-T5-base's, if to be had."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say what was made as JSON.")] = False,
) -> None:
    """Make a model of the authors' published weights (D-BETA).

    cmelt import-dbeta sample.pt --tokenizer flan-t5-base --out models/dbeta

    The weights' own licence counts. Named leads go to the channels they were trained in.
    """
    from cmelt.interop import import_dbeta as run

    made = run(checkpoint, out, config, tokenizer)
    if made.tokenizer is None:
        say(f"no tokenizer: {made.lacking}. The model embeds ECGs; to read texts, import it again with --tokenizer PATH.")
    if as_json:
        print_json({"folder": str(made.folder), "parameters": made.parameters, "leads": made.leads, "tokenizer": made.tokenizer})
    else:
        print(f"{made.folder}: {made.parameters / 1e6:.1f} M parameters, leads {' '.join(made.leads)}")
