"""`cmelt prepare`: a dataset into a store. A new source is one command here."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import print_json, progress_of, say
from cmelt.cli.store_options import StoreOptions, with_store_options
from cmelt.sources.source import Source

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def prepare() -> None:
    """Turn a dataset into a store.

    Example: cmelt prepare ptb-xl ./ptb-xl --out ptbxl100

    Started again after an interruption it keeps the finished shards.

    Records that cannot be used are listed in STORE/quarantine.jsonl with the reason, and counted.
    """


@app.command("ptb-xl")
@with_store_options
def ptb_xl(
    folder: Annotated[Path, typer.Argument(help="Where ptbxl_database.csv lies.", show_default=False)],
    store: StoreOptions,
    rate: Annotated[int, typer.Option(help="100 (from records100) or 500 (from records500).")] = 100,
) -> None:
    """PTB-XL, with its reports, statements and official folds.

    Example: cmelt prepare ptb-xl ./ptb-xl --out ptbxl100
    """
    if rate not in (100, 500):
        raise typer.BadParameter("PTB-XL has files at 100 and 500 Hz", param_hint="--rate")
    from cmelt.sources.ptb_xl import PtbXl

    _prepare(PtbXl(str(folder), float(rate)), float(rate), store)


@app.command()
@with_store_options
def folder(
    tree: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the records.", show_default=False)],
    store: StoreOptions,
    table: Annotated[
        Path | None,
        typer.Option(
            help="CSV or parquet with the column record and, where there are, patient, report, labels, split, age, sex."
        ),
    ] = None,
    rate: Annotated[float, typer.Option(help="Hz of the store; records are resampled to it.")] = 100.0,
) -> None:
    """Your own archive: a tree of WFDB records beside a table of reports, labels, patients.

    Example: cmelt prepare folder ./archive --table ./archive/table.csv --out archive100
    """
    from cmelt.sources.folder import Folder

    _prepare(Folder(str(tree), None if table is None else str(table), rate), rate, store)


@app.command()
@with_store_options
def simulated(
    store: StoreOptions,
    records: Annotated[int, typer.Option(min=1, help="How many ECGs.")] = 2000,
    patients: Annotated[int, typer.Option(min=0, help="Of how many patients; 0: about 1.5 records each.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same records.")] = 0,
    rate: Annotated[float, typer.Option(help="Hz of the store, and of the simulation.")] = 100.0,
) -> None:
    """Simulated ECGs with reports, from known conditions.

    Example: cmelt prepare simulated --out simulated100 --records 2000
    """
    from cmelt.sources.simulated import Simulated

    _prepare(Simulated(records, patients, seed, rate, store.seconds), rate, store)


def _prepare(source: Source, rate: float, store: StoreOptions) -> None:
    """Prepare the store and report what came of it."""
    from cmelt.store.prepare import prepare_store
    from cmelt.store.shard import ShardSettings

    settings = ShardSettings(rate, store.seconds, store.crop, store.patient_key)
    with progress_of(f"preparing {source.name}") as progress:
        prepared = prepare_store(
            source,
            store.out,
            settings,
            workers=store.workers,
            shard_records=store.shard_records,
            force=store.force,
            progress=progress,
        )
    if prepared.shards_kept:
        say(f"kept {prepared.shards_kept} of {prepared.shards} shards from an interrupted run")
    if prepared.missing_files:
        say(f"{prepared.missing_files} rows of the table have no files in this copy")
    for warning in prepared.warnings:
        say(f"warning: {warning}")
    for reason, count in prepared.reasons.items():
        say(f"left out {count}: {reason}")
    if store.as_json:
        print_json(asdict(prepared))
    else:
        print(f"{prepared.records} records in {prepared.path}, {prepared.quarantined} left out")
    if store.strict and prepared.quarantined:
        say("some records were left out, which --strict does not accept")
        raise typer.Exit(1)
