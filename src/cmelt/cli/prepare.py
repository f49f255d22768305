"""`cmelt prepare`: a dataset into a store. A new source is one command here, where it has options of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cmelt.cli.console import print_json, progress_of, say
from cmelt.cli.store_options import StoreOptions, with_store_options
from cmelt.sources import known_sources, source_class
from cmelt.sources.source import Source


class SourceGroup(TyperGroup):
    """Our sources, each with options of its own; those of installed packages, with a folder and a rate."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours, and what was added."""
        ours = super().list_commands(ctx)
        return [*ours, *(name for name in known_sources() if name not in ours)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a source."""
        found = super().get_command(ctx, cmd_name)
        return _added_command(cmd_name) if found is None and cmd_name in known_sources() else found


app = typer.Typer(cls=SourceGroup, no_args_is_help=True, add_completion=False)

#: Reasons that are told one by one; the most frequent come first.
_MOST_REASONS = 20

Rate = Annotated[float, typer.Option(help="Hz of the store; records are resampled to it.")]
Splits = Annotated[
    list[Path] | None, typer.Option(help="A list of records with their split, as MERL publishes them; may be repeated.")
]


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
    development: Annotated[
        bool,
        typer.Option("--development", help="To choose a recipe: folds 1-6 train, 7 validation, 8 test, no others."),
    ] = False,
) -> None:
    """PTB-XL, with its reports, statements and official folds.

    Example: cmelt prepare ptb-xl ./ptb-xl --out ptbxl100
    """
    if rate not in (100, 500):
        raise typer.BadParameter("PTB-XL has files at 100 and 500 Hz", param_hint="--rate")
    from cmelt.sources.ptb_xl import PtbXl

    _prepare(PtbXl(_place(folder), float(rate), development), float(rate), store)


@app.command("mimic-iv-ecg")
@with_store_options
def mimic_iv_ecg(
    folder: Annotated[Path, typer.Argument(help="Where record_list.csv lies.", show_default=False)],
    store: StoreOptions,
    rate: Rate = 100.0,
    splits: Annotated[Path | None, typer.Option(help="CSV with subject_id or study_id, and split.")] = None,
) -> None:
    """MIMIC-IV-ECG, with the machine's statements as reports; split by patient.

    Example: cmelt prepare mimic-iv-ecg ./mimic-iv-ecg --out mimic100
    """
    from cmelt.sources.mimic_iv_ecg import MimicIvEcg

    _prepare(MimicIvEcg(_place(folder), rate, None if splits is None else str(splits)), rate, store)


@app.command("cinc2021")
@with_store_options
def cinc2021(
    folder: Annotated[Path, typer.Argument(help="The Challenge's folder, or one of its parts.", show_default=False)],
    store: StoreOptions,
    rate: Rate = 100.0,
    part: Annotated[list[str] | None, typer.Option(help="Take these parts alone; may be repeated.")] = None,
    ptb_xl_table: Annotated[
        Path | None, typer.Option(help="ptbxl_database.csv: gives PTB-XL's part its patients and official folds.")
    ] = None,
) -> None:
    """PhysioNet/CinC Challenge 2021, all parts, with SNOMED and scored classes.

    It contains PTB-XL, CPSC2018 and CSN: cmelt inspect A --overlap B says what two stores share.

    Example: cmelt prepare cinc2021 ./challenge-2021/training --out cinc100 --part georgia
    """
    from cmelt.sources.cinc2021 import Cinc2021

    _prepare(Cinc2021(_place(folder), rate, tuple(part or ()), str(ptb_xl_table or "")), rate, store)


@app.command("cpsc2018")
@with_store_options
def cpsc2018(
    folder: Annotated[Path, typer.Argument(help="The Challenge's copy, or the original with REFERENCE.csv.", show_default=False)],
    store: StoreOptions,
    rate: Rate = 100.0,
    splits: Splits = None,
) -> None:
    """CPSC2018, in either of its layouts, with its nine classes.

    Example: cmelt prepare cpsc2018 ./cpsc2018 --out cpsc100
    """
    from cmelt.sources.cpsc2018 import Cpsc2018

    _prepare(Cpsc2018(_place(folder), rate, tuple(map(str, splits or ()))), rate, store)


@app.command("csn")
@with_store_options
def csn(
    folder: Annotated[Path, typer.Argument(help="Where WFDBRecords lies.", show_default=False)],
    store: StoreOptions,
    rate: Rate = 100.0,
    splits: Splits = None,
) -> None:
    """Chapman–Shaoxing–Ningbo, with labels from its own SNOMED codes, and MERL's where its lists are given.

    Example: cmelt prepare csn ./ecg-arrhythmia --out csn100
    """
    from cmelt.sources.csn import Csn

    _prepare(Csn(_place(folder), rate, tuple(map(str, splits or ()))), rate, store)


@app.command("code-15")
@with_store_options
def code_15(
    folder: Annotated[Path, typer.Argument(help="Where exams.csv and the HDF5 parts lie.", show_default=False)],
    store: StoreOptions,
    rate: Rate = 100.0,
) -> None:
    """CODE-15 %, six classes, no reports.

    Example: cmelt prepare code-15 ./code-15 --out code100
    """
    from cmelt.sources.code_15 import Code15

    _prepare(Code15(_place(folder), rate), rate, store)


@app.command("code-test")
@with_store_options
def code_test(
    folder: Annotated[Path, typer.Argument(help="Where ecg_tracings.hdf5 lies.", show_default=False)],
    store: StoreOptions,
    rate: Rate = 100.0,
) -> None:
    """CODE-test, six classes by consensus of cardiologists; all of it is test.

    Example: cmelt prepare code-test ./code-test --out code-test100
    """
    from cmelt.sources.code_test import CodeTest

    _prepare(CodeTest(_place(folder), rate), rate, store)


@app.command("ludb")
@with_store_options
def ludb(
    folder: Annotated[Path, typer.Argument(help="Where ludb.csv lies.", show_default=False)],
    store: StoreOptions,
    rate: Rate = 100.0,
) -> None:
    """LUDB, 200 ECGs with findings.

    Example: cmelt prepare ludb ./ludb --out ludb100
    """
    from cmelt.sources.ludb import Ludb

    _prepare(Ludb(_place(folder), rate), rate, store)


@app.command()
@with_store_options
def folder(
    tree: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds the records.", show_default=False)],
    store: StoreOptions,
    table: Annotated[
        Path | None,
        typer.Option(
            help="CSV or parquet with the column record and, where known, pseudonym, patient, report, labels, split, age, sex."
        ),
    ] = None,
    rate: Rate = 100.0,
    file_rate: Annotated[float | None, typer.Option(help="Hz of files that hold bare numbers and do not say.")] = None,
    file_unit: Annotated[str | None, typer.Option(help="mV, uV, V or nV, likewise.")] = None,
    file_leads: Annotated[str | None, typer.Option(help="The leads in the files' order, likewise: I,II,III,aVR,…")] = None,
) -> None:
    """Your own archive: a tree of ECG files of any format, beside a table of reports, labels, patients.

    Example: cmelt prepare folder ./archive --table ./archive/table.csv --out archive100
    """
    from cmelt.sources.folder import Folder

    leads = None if file_leads is None else tuple(lead.strip() for lead in file_leads.split(","))
    source = Folder(_place(tree), None if table is None else str(table), rate, file_rate, file_unit, leads)
    _prepare(source, rate, store)


@app.command()
@with_store_options
def simulated(
    store: StoreOptions,
    records: Annotated[int, typer.Option(min=1, help="How many ECGs.")] = 2000,
    patients: Annotated[int, typer.Option(min=0, help="Of how many patients; 0: about 1.5 records each.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same records.")] = 0,
    rate: Annotated[float, typer.Option(help="Hz of the store, and of the simulation.")] = 100.0,
    languages: Annotated[str, typer.Option(help="Of reports: en, en-statements, de; named twice: twice as often.")] = "en",
    domain: Annotated[str, typer.Option(help="textbook; extended: 77 conditions; archive: as hospitals have.")] = "textbook",
) -> None:
    """Simulated ECGs with reports, from known conditions.

    Example: cmelt prepare simulated --out simulated100 --records 2000

    Example: cmelt prepare simulated --out archive100 --domain archive --languages de,de,en-statements
    """
    from cmelt.sources.simulated import Simulated

    named = tuple(word.strip() for word in languages.split(","))
    _prepare(Simulated(records, patients, seed, rate, store.seconds, named, domain), rate, store)


def _added_command(name: str) -> Any:
    """The command of a source that an installed package adds: its class is made of the folder and the rate."""
    kind = source_class(name)
    made: Callable[..., Source] = kind
    added = typer.Typer(add_completion=False)

    @added.command(name, help=kind.about.title)
    @with_store_options
    def command(
        folder: Annotated[Path, typer.Argument(help="Where its files lie.", show_default=False)],
        store: StoreOptions,
        rate: Rate = 100.0,
    ) -> None:
        _prepare(made(_place(folder), rate), rate, store)

    return typer.main.get_command(added)


def _place(folder: Path) -> str:
    """Where `folder` is for every worker, wherever it was started."""
    return str(folder.absolute())


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
            dask=store.dask,
        )
    if prepared.shards_kept:
        say(f"kept {prepared.shards_kept} of {prepared.shards} shards from an interrupted run")
    if prepared.missing_files:
        say(f"{prepared.missing_files} rows of the table have no files in this copy")
    for warning in prepared.warnings:
        say(f"warning: {warning}")
    for reason, count in list(prepared.reasons.items())[:_MOST_REASONS]:
        say(f"left out {count}: {reason}")
    if len(prepared.reasons) > _MOST_REASONS:
        say(f"{len(prepared.reasons) - _MOST_REASONS} more reasons are in quarantine.jsonl")
    if store.as_json:
        print_json(asdict(prepared))
    else:
        print(f"{prepared.records} records in {prepared.path}, {prepared.quarantined} left out")
    if store.strict and prepared.quarantined:
        say("some records were left out, which --strict does not accept")
        raise typer.Exit(1)
