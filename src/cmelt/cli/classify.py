"""`cmelt classify`: scores of every ECG of an archive for classes that are described in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cmelt.cli.bulk_options import BulkOptions, run_bulk, with_bulk_options

if TYPE_CHECKING:
    from cmelt.serving.classes import Classes

app = typer.Typer(add_completion=False)


@app.command()
@with_bulk_options
def classify(
    archive: Annotated[Path, typer.Argument(help="A prepared store, or a folder of ECG files.", show_default=False)],
    bulk: BulkOptions,
    task: Annotated[
        list[str], typer.Option(help="A bundled task, a task file, or a bundled statement; statements may be repeated.")
    ],
    scoring: Annotated[
        Literal["contrast", "pairs", "similarity"] | None, typer.Option(help="Default: the task's own.", show_default=False)
    ] = None,
) -> None:
    """Score every ECG of a store or folder for classes described in words. A score ranks; it is no probability.

    Example: cmelt classify ptbxl100 --task ptbxl-super --out scores.parquet

    Started again after an interruption it keeps the finished shards.
    """
    from cmelt.serving.bulk import classify_archive

    how, classes = bulk.how(), _classes(task)
    run_bulk(
        "classifying",
        bulk,
        lambda progress: classify_archive(archive, bulk.out, classes, bulk.model, how, scoring=scoring, progress=progress),
    )


def _classes(names: list[str]) -> Classes:
    """One name may be a task's; several are statements."""
    return names[0] if len(names) == 1 else names
