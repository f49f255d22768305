"""The options that every `cmelt prepare SOURCE` shares, declared once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from cmelt.cli.shared_options import with_options


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class StoreOptions:
    """Where the store goes and how it is made; each field is an option."""

    out: Annotated[Path, typer.Option("--out", help="The store to make.", show_default=False)]
    seconds: Annotated[float, typer.Option(help="Length of every record: shorter ones are padded, longer ones cropped.")] = 10.0
    crop: Annotated[Literal["first", "centre"], typer.Option(help="Which stretch of a longer record.")] = "first"
    workers: Annotated[int, typer.Option(min=1, help="Processes.", show_default="one a core")] = _cores()
    dask: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler (tcp://host:8786) whose workers do it; local: --workers processes here.",
            show_default=False,
        ),
    ] = None
    shard_records: Annotated[int, typer.Option(min=1, help="Records a shard.")] = 512
    patient_key: Annotated[
        str,
        typer.Option(envvar="CMELT_PATIENT_KEY", help="Key of the patients' hashes; one of your own where numbers are secret."),
    ] = "cmelt"
    force: Annotated[bool, typer.Option("--force", help="Replace an existing store, once the new one is complete.")] = False
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when a record was left out.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False


def with_store_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command(…, store: StoreOptions)` as a function for Typer that has one option for each field instead."""
    return with_options(command, "store", StoreOptions)
