"""`cmelt embed`: vectors of every ECG of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.bulk_options import BulkOptions, Out, run_bulk, with_bulk_options

app = typer.Typer(add_completion=False)


@app.command()
@with_bulk_options
def embed(
    archive: Annotated[Path, typer.Argument(help="A prepared store, or a folder of ECG files.", show_default=False)],
    out: Out,
    bulk: BulkOptions,
) -> None:
    """Write a unit vector for every ECG of a store or folder.

    Example: cmelt embed ptbxl100 --model small --out vectors.parquet

    Started again after an interruption it keeps the finished shards.
    """
    from cmelt.serving.bulk import embed_archive

    how = bulk.how()
    run_bulk("embedding", bulk, lambda progress: embed_archive(archive, out, bulk.model, how, progress))
