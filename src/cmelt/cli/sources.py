"""`cmelt sources`: which datasets are known, what they hold, where they are to be had."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmelt.cli.console import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from cmelt.sources.about import About

app = typer.Typer(add_completion=False)

_WIDTH_OF_FILES = 100
_ACCESS = {"open": "open", "credentialed": "account and agreement", "yours": "yours", "computed": "computed here"}


@app.command()
def sources(
    name: Annotated[str | None, typer.Argument(help="One of them, in full, with the files it needs.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the datasets that are known: size, licence, where to get them, how to cite.

    Example: cmelt sources ptb-xl
    """
    from cmelt.sources import known_sources
    from cmelt.sources.about import about_of

    if name is not None and name not in known_sources():
        raise typer.BadParameter(f"no source {name!r}; there are {', '.join(known_sources())}", param_hint="NAME")
    abouts = {source: about_of(source) for source in ([name] if name else known_sources())}
    if as_json:
        facts = [facts_of(source, about) for source, about in abouts.items()]
        print_json(facts[0] if name else facts)
    elif name:
        _print_one(name, abouts[name])
    else:
        _print_all(abouts)


def facts_of(name: str, about: About) -> dict[str, Any]:
    """What `--json` prints of one source."""
    facts = {"name": name, **asdict(about)}
    facts["files"] = [{"path": path, "what": what} for path, what in about.files]
    return facts


def size_of(about: About) -> str:
    """The size of the download, in words; '–' where there is none."""
    return "–" if about.gigabytes is None else f"{about.gigabytes:g} GB"


def count(number: int | None) -> str:
    """800,035; '–' where unknown."""
    return "–" if number is None else f"{number:,}"


def _console() -> Console:
    from rich.console import Console

    # A file or a pipe has no width; rich would take 80 columns.
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_FILES)


def _print_all(abouts: dict[str, About]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("source", no_wrap=True, style="bold")
    table.add_column("what", ratio=1)
    for heading in ("records", "patients", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("licence, access", max_width=22)
    # Addresses and citations have a width of their own: in the table they would be cut.
    places = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    places.add_column("source", no_wrap=True, style="bold")
    places.add_column("where, and how to cite", ratio=1, overflow="fold")
    for name, about in abouts.items():
        licence = about.licence if about.access in ("yours", "computed") else f"{about.licence}; {_ACCESS[about.access]}"
        what = escape(about.title) + (f"\n[dim]{escape(about.signals)}[/dim]" if about.signals else "")
        table.add_row(name, what, count(about.records), count(about.patients), size_of(about), escape(licence))
        if about.where:
            places.add_row(name, f"{escape(about.where)}\n[dim]{escape(about.citation)}[/dim]")
    console = _console()
    console.print(table)
    console.print(places)


def _print_one(name: str, about: About) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = _console()
    console.print(f"[bold]{escape(about.title)}[/bold]")
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(ratio=1)
    told = {
        "records": count(about.records), "patients": count(about.patients), "signals": about.signals, "size": size_of(about),
        "licence": about.licence, "access": _ACCESS[about.access], "where": about.where, "cite": about.citation,
    }  # fmt: skip
    for fact, value in told.items():
        if value and value != "–":
            facts.add_row(fact, escape(value))
    console.print(facts)
    if about.files:
        files = Table("the folder holds", "which is")
        for path, what in about.files:
            files.add_row(escape(path), escape(what))
        console.print(files)
    if about.download:
        console.print(f"cmelt download {name} DIR", highlight=False)
    folder = "" if about.access == "computed" else " DIR"
    console.print(f"cmelt prepare {name}{folder} --out STORE", highlight=False)
