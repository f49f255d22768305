"""`cmelt inspect`: what a store holds, and what was left out and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmelt.cli.console import print_json

if TYPE_CHECKING:
    from cmelt.store.opened import Store

app = typer.Typer(add_completion=False)

_SHOWN = 40


@app.command()
def inspect(
    store: Annotated[Path, typer.Argument(help="The store.", show_default=False)],
    full: Annotated[bool, typer.Option("--full", help="Check the SHA-256 of every file, not their sizes alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, with all classes.")] = False,
    html: Annotated[bool, typer.Option("--html", help="Write a page to look at: distributions, quality, reports, ECGs.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="The page; STORE.html beside the store unless given.")] = None,
) -> None:
    """Say what a store holds, and what was left out and why.

    Example: cmelt inspect ptbxl100 --html
    """
    from cmelt.inspection.facts import facts_of
    from cmelt.store.opened import open_store

    if out is not None and not html:
        raise typer.BadParameter("--out says where the page goes: give --html too", param_hint="--out")
    opened = open_store(store, verify="full" if full else "sizes")
    if html:
        print(_write_page(opened, out or store.absolute().with_name(store.absolute().name + ".html")))
        return
    facts = facts_of(opened)
    if as_json:
        print_json(facts)
    else:
        _print_tables(facts)


def _write_page(store: Store, path: Path) -> Path:
    """The data report at `path`, whole or not at all."""
    from cmelt.errors import StoreError
    from cmelt.inspection.page import data_report

    staged = path.with_name(f".{path.name}.part")
    page = data_report(store)
    try:
        staged.write_text(page, encoding="utf-8")
        staged.replace(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise StoreError(path, f"cannot be written: {error.strerror}", "choose another --out") from error
    return path


def _print_tables(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for title, rows in _sections(facts):
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(name, value)
        console.print(table)
    classes = Table("class", "all", "train", "validation", "test", title="Classes", title_justify="left")
    for label, counts in list(facts["classes"].items())[:_SHOWN]:
        classes.add_row(label, *(str(counts[name]) for name in ("all", "train", "validation", "test")))
    if len(facts["classes"]) > _SHOWN:
        classes.add_row(f"… {len(facts['classes']) - _SHOWN} more (--json)", "", "", "", "")
    if facts["classes"]:
        console.print(classes)


def _sections(facts: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titles with rows of (name, value)."""
    splits = ", ".join(f"{count} {split}" for split, count in facts["splits"].items())
    reports = facts["reports"]
    holds = [
        ("source", facts["source"]["name"]),
        ("records", f"{facts['records']} of {facts['patients']} patients ({splits})"),
        ("signals", f"{len(facts['leads'])} leads, {facts['rate_hz']:g} Hz, {facts['seconds']:g} s, {facts['megabytes']:.1f} MB"),
        ("leads", " ".join(facts["leads"])),
        ("rates in the source", _joined(facts["source_rates_hz"], " Hz")),
        ("seconds in the source", _spread_text(facts["source_seconds"])),
        ("sex", _joined(facts["sex"])),
        ("age", _spread_text(facts["age"])),
        ("identity", facts["sha256"]),
    ]
    text = [
        ("with a report", f"{reports['with_report']}, without {reports['without_report']}"),
        ("distinct", f"{reports['distinct']}, cleaned {reports['distinct_cleaned']}"),
        ("usable", f"{reports['usable']} (three words or more)"),
        ("words", _spread_text(reports["words"])),
        ("languages", _joined(reports["languages"])),
    ]
    wrong = [("rows without files", str(facts["missing_files"])), ("left out", str(facts["quarantined"]))]
    wrong += [(f"  {count} records", reason) for reason, count in facts["quarantine_reasons"].items()]
    wrong += [("warning", warning) for warning in facts["warnings"]]
    wrong += [("copies of another signal", str(facts["identical_signals"]))]
    wrong += [("flags", _joined(facts["flags"]) or "none"), ("missing leads", _joined(facts["missing_leads"]) or "none")]
    return [("Holds", holds), ("Reports", text), ("Left out, flagged", wrong)]


def _joined(counts: dict[str, int], unit: str = "") -> str:
    return ", ".join(f"{name}{unit} ({count})" for name, count in counts.items())


def _spread_text(spread: dict[str, float] | None) -> str:
    if spread is None:
        return "none"
    return f"{spread['least']:g} to {spread['greatest']:g}, middle half {spread['quarter']:g} to {spread['three_quarters']:g}"
