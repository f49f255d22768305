"""`cmelt prepare`: a dataset into a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from cmelt.cli.console import print_json, progress_of, say
from cmelt.sources.source import Source

app = typer.Typer(no_args_is_help=True)


@app.callback()
def prepare() -> None:
    """Turn a dataset into a store.

    cmelt prepare ptb-xl ./ptb-xl --out ptbxl100
    """


_Out = Annotated[Path, typer.Option("--out", help="The store to make.", show_default=False)]
_Seconds = Annotated[float, typer.Option(help="Length of every record; shorter ones are padded, longer ones cropped.")]
_Crop = Annotated[Literal["first", "centre"], typer.Option(help="Which stretch of a longer record.")]
_Workers = Annotated[int, typer.Option(min=1, help="Processes.")]
_ShardRecords = Annotated[int, typer.Option(min=1, help="Records a shard.")]
_PatientKey = Annotated[
    str, typer.Option(help="Key of the patients' hashes; give one of your own where patient numbers are secret.")
]
_Force = Annotated[bool, typer.Option("--force", help="Replace an existing store, once the new one is complete.")]
_Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 when a record was left out.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_KEY = "cmelt"
_SHARD = 512


def _run(
    source: Source,
    out: Path,
    settings: tuple[float, float, Literal["first", "centre"], str],
    work: tuple[int, int, bool],
    strict: bool,
    as_json: bool,
) -> None:
    """Prepare and report. `settings` are rate, seconds, crop, key; `work` workers, records a shard, force."""
    from cmelt.store.prepare import prepare_store
    from cmelt.store.shard import ShardSettings

    workers, shard_records, force = work
    with progress_of(f"preparing {source.name}") as progress:
        prepared = prepare_store(
            source,
            out,
            ShardSettings(*settings),
            workers=workers,
            shard_records=shard_records,
            force=force,
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
    if as_json:
        print_json(asdict(prepared))
    else:
        print(f"{prepared.records} records in {prepared.path}, {prepared.quarantined} left out (quarantine.jsonl)")
    if strict and prepared.quarantined:
        raise typer.Exit(1)


@app.command("ptb-xl")
def ptb_xl(
    folder: Annotated[Path, typer.Argument(help="Where ptbxl_database.csv lies.", show_default=False)],
    out: _Out,
    rate: Annotated[int, typer.Option(help="100 (records100) or 500 (records500).")] = 100,
    seconds: _Seconds = 10.0,
    crop: _Crop = "first",
    workers: _Workers = 2,
    shard_records: _ShardRecords = _SHARD,
    patient_key: _PatientKey = _KEY,
    force: _Force = False,
    strict: _Strict = False,
    as_json: _Json = False,
) -> None:
    """PTB-XL, with its reports, statements and official folds.

    cmelt prepare ptb-xl ./ptb-xl --out ptbxl100
    """
    if rate not in (100, 500):
        raise typer.BadParameter("PTB-XL has files at 100 and 500 Hz", param_hint="--rate")
    from cmelt.sources.ptb_xl import PtbXl

    source = PtbXl(str(folder), float(rate))
    _run(source, out, (float(rate), seconds, crop, patient_key), (workers, shard_records, force), strict, as_json)
