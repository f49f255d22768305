"""The options that `cmelt embed` and `cmelt classify` share, and how they tell what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cmelt.cli.console import print_json, progress_of, say
from cmelt.cli.shared_options import with_options

if TYPE_CHECKING:
    from cmelt.serving.bulk import How
    from cmelt.serving.bulk_results import Results
    from cmelt.store.staging import Progress

#: Where results of an archive go.
Out = Annotated[Path, typer.Option("--out", help="A .parquet file, or a folder with one a shard.", show_default=False)]
#: Reasons that are told one by one; the most frequent come first.
_MOST_REASONS = 20


@dataclass(frozen=True)
class BulkOptions:
    """Which model and how the work is done; each field is an option."""

    model: Annotated[str, typer.Option(help="A bundled model's name, a run's or a model's folder.")] = "small"
    precision: Annotated[
        Literal["float32", "bfloat16", "int8", "auto"],
        typer.Option(help="Of the ECG encoder's products; auto: bfloat16 where the device has it."),
    ] = "float32"
    device: Annotated[str | None, typer.Option(help="Such as cpu, cuda:1.", show_default="every GPU, else cpu")] = None
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, a thread each.", show_default="one a GPU or core")] = None
    dask: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler (tcp://host:8786) whose workers do it; local: --workers processes here.",
            show_default=False,
        ),
    ] = None
    shard_records: Annotated[int, typer.Option(min=1, help="Records of a folder in one shard; a store has its own.")] = 512
    file_rate: Annotated[
        float | None, typer.Option("--file-rate", "--rate", help="Hz of files that hold bare numbers and do not say.")
    ] = None
    file_unit: Annotated[str | None, typer.Option("--file-unit", "--unit", help="mV, uV, V or nV, likewise.")] = None
    file_leads: Annotated[
        str | None, typer.Option("--file-leads", "--leads", help="The leads in the files' order, likewise: I,II,III,aVR,…")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace existing results, once the new ones are complete.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False

    def how(self) -> How:
        """For `cmelt.serving.bulk`."""
        from cmelt.records.readers import ReadOptions
        from cmelt.serving.bulk import How

        leads = None if self.file_leads is None else tuple(lead.strip() for lead in self.file_leads.split(","))
        reading = ReadOptions(rate=self.file_rate, unit=self.file_unit, leads=leads)
        return How(self.precision, self.device, reading, self.workers, self.dask, self.shard_records, self.force)


def with_bulk_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command(…, bulk: BulkOptions)` as a function for Typer that has one option for each field instead."""
    return with_options(command, "bulk", BulkOptions)


def run_bulk(what: str, bulk: BulkOptions, work: Callable[[Progress], Results]) -> Results:
    """Do the work under a bar of progress, and report what came of it; what that is."""
    with progress_of(what) as progress:
        results = work(progress)
    if results.shards_kept:
        say(f"kept {results.shards_kept} of {results.shards} shards from an earlier run")
    for reason, count in list(results.reasons.items())[:_MOST_REASONS]:
        say(f"left out {count}: {reason}")
    if bulk.as_json:
        print_json(asdict(results))
    else:
        print(f"{results.records} records in {results.path}, {results.quarantined} left out")
    return results
