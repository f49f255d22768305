"""`cmelt search`: the ECGs of an archive that are most like an ECG, or like what a text says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmelt.cli.console import print_json, say, words_of

if TYPE_CHECKING:
    from cmelt.serving.search import Hits

app = typer.Typer(add_completion=False)


@app.command()
def search(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `cmelt index` made.", show_default=False)],
    ecg: Annotated[Path | None, typer.Option("--ecg", help="An ECG file of any format.", show_default=False)] = None,
    text: Annotated[str | None, typer.Option("--text", help="What to look for, as a report says it.", show_default=False)] = None,
    count: Annotated[int, typer.Option("--count", "-k", min=1, help="How many records.")] = 10,
    age: Annotated[str | None, typer.Option(help="Years: 40-60, 40- or -60, both included.", show_default=False)] = None,
    sex: Annotated[str | None, typer.Option(help="f or m.", show_default=False)] = None,
    label: Annotated[list[str] | None, typer.Option(help="AFIB or scp:AFIB; of several, all.", show_default=False)] = None,
    model: Annotated[
        str | None, typer.Option(help="The model that made the index, where it lies elsewhere now.", show_default=False)
    ] = None,
    device: Annotated[str | None, typer.Option(help="Such as cpu, cuda:1.", show_default="a GPU, else cpu")] = None,
    rate: Annotated[float | None, typer.Option(help="Hz, for an ECG file of bare numbers.")] = None,
    unit: Annotated[str | None, typer.Option(help="mV, uV, V or nV, likewise.")] = None,
    leads: Annotated[str | None, typer.Option(help="The leads in the file's order, likewise: I,II,III,aVR,…")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the hits as JSON.")] = False,
) -> None:
    """Find the ECGs most like an ECG, or like what a text says, with their reports.

    Example: cmelt search ptbxl-index --text "left bundle branch block" --age 60- --sex f
    """
    if (ecg is None) == (text is None):
        raise typer.BadParameter("give one of --ecg and --text")
    filters = {"age": _range(age), "sex": sex, "label": label or None}
    from cmelt.records.readers import ReadOptions
    from cmelt.serving.loading import load
    from cmelt.serving.search import search as find
    from cmelt.serving.search_index import Filters, open_index

    chosen = Filters.of(filters)
    index = open_index(folder)
    towers, processor = load(model or index.facts.model_name, device=device)
    options = ReadOptions(rate=rate, unit=unit, leads=None if leads is None else words_of(leads))
    hits = find(towers, processor, index, ecg=ecg, text=text, k=count, filters=chosen, options=options)
    if as_json:
        print_json(hits.to_json())
    else:
        _print_table(hits)


def _range(text: str | None) -> tuple[float | None, float | None] | None:
    """ "40-60" as (40, 60), "40-" as (40, None), "-60" as (None, 60), "40" as (40, 40)."""
    if text is None:
        return None
    low, dash, high = (part.strip() for part in text.partition("-"))
    try:
        bounds = float(low) if low else None, float(high if dash else low) if high or not dash else None
    except ValueError:
        bounds = None, None
    if bounds == (None, None):
        raise typer.BadParameter(f"{text!r} is not a range such as 40-60, 40- or -60", param_hint="--age")
    return bounds


def _print_table(hits: Hits) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cmelt.serving.notice import NOTICE

    table = Table("similarity", "record", "age", "sex", "labels", "report", show_lines=True)
    for hit in hits:
        told = (hit.record, hit.age, hit.sex, _bare(hit.labels), hit.report)
        table.add_row(f"{hit.similarity:.3f}", *(escape(_cell(value)) for value in told))
    Console().print(table)
    if hits.facts is not None and (hits.facts.missing_leads or hits.facts.flags):
        missing = tuple(f"no {lead}" for lead in hits.facts.missing_leads)
        say("of the ECG: " + ", ".join((*missing, *hits.facts.flags)))
    say(f"{len(hits)} of {hits.among} records. {NOTICE}")


def _bare(labels: tuple[str, ...]) -> str:
    """Each label once, without its vocabulary; mere code numbers are left to `--json`."""
    names = dict.fromkeys(label.partition(":")[2] or label for label in labels)
    return " ".join(name for name in names if not name.isdigit())


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)
