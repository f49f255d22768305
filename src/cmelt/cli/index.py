"""`cmelt index`: a search index of a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from cmelt.cli.console import print_json, stages

app = typer.Typer(add_completion=False)


@app.command()
def index(
    store: Annotated[Path, typer.Argument(help="A prepared store.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The folder to make.", show_default=False)],
    model: Annotated[str, typer.Option(help="A bundled model's name, a run's or a model's folder.")] = "small",
    precision: Annotated[
        Literal["float32", "bfloat16", "int8", "auto"],
        typer.Option(help="Of the ECG encoder's products; auto: bfloat16 where the device has it."),
    ] = "float32",
    device: Annotated[str | None, typer.Option(help="Such as cpu, cuda:1.", show_default="every GPU, else cpu")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a GPU or core")] = None,
    dask: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, or local: --workers processes here.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace another index, once the new one is complete.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Embed every ECG of a store and make them searchable.

    Example: cmelt index ptbxl100 --model small --out ptbxl-index

    Started again after an interruption it keeps the finished shards. Reports lie in the index as they do in the store.
    """
    from cmelt.serving.bulk import How
    from cmelt.serving.indexing import index_store

    how = How(precision, device, workers=workers, dask=dask, force=force)
    with stages("records") as progress:
        made = index_store(store, out, model, how, progress)
    kind, recall = made.vectors.facts.kind, made.vectors.facts.recall
    if as_json:
        print_json(
            {**asdict(made.facts), "path": str(made.folder), "kind": kind, "recall": None if recall is None else asdict(recall)}
        )
    else:
        found = "" if recall is None else f", {recall.reached:.3f} of the 10 nearest are found"
        print(f"{len(made)} records in {made.folder}: {kind}{found}")
