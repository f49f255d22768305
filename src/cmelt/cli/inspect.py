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
    overlap: Annotated[
        Path | None, typer.Option("--overlap", help="Another store: which of its records and patients are in STORE?", metavar="B")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The page (STORE.html unless given); with --overlap, a CSV of the copies.")
    ] = None,
) -> None:
    """Say what a store holds, and what was left out and why; what another store has in common with it.

    Example: cmelt inspect ptbxl100 --html

    Example: cmelt inspect cinc100 --overlap ptbxl100
    """
    from cmelt.inspection.facts import facts_of
    from cmelt.store.opened import open_store

    if out is not None and not (html or overlap):
        raise typer.BadParameter("--out says where a page or a list goes: give --html or --overlap too", param_hint="--out")
    if html and overlap:
        raise typer.BadParameter("give one of --html and --overlap", param_hint="--overlap")
    opened = open_store(store, verify="full" if full else "sizes")
    if overlap is not None:
        _print_overlap(opened, open_store(overlap, verify="full" if full else "sizes"), out, as_json)
        return
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
    from cmelt.inspection.page import data_report

    return _write(path, data_report(store))


def _write(path: Path, content: str) -> Path:
    from cmelt.errors import StoreError

    staged = path.with_name(f".{path.name}.part")
    try:
        staged.write_text(content, encoding="utf-8")
        staged.replace(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise StoreError(path, f"cannot be written: {error.strerror}", "choose another --out") from error
    return path


def _print_overlap(first: Store, second: Store, out: Path | None, as_json: bool) -> None:
    """What of `second` is inside `first`, counted; the copies one by one in a CSV where one is asked for."""
    import csv
    from io import StringIO

    from cmelt.inspection.overlap import overlap_of

    found = overlap_of(first, second)
    if out is not None:
        lines = StringIO()
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(["record_in_a", "split_in_a", "record_in_b", "split_in_b", "resemblance"])
        for (one, other), alike in zip(found.pairs.tolist(), found.resemblance.tolist(), strict=True):
            ours, theirs = first.index.iloc[one], second.index.iloc[other]
            table.writerow([ours["record"], ours["split"], theirs["record"], theirs["split"], f"{alike:.4f}"])
        _write(out, lines.getvalue())
    facts: dict[str, Any] = {"a": str(first.path), "b": str(second.path), "records_of_b": len(second)} | found.as_json()
    if as_json:
        print_json(facts)
        return
    print(f"{facts['copies']} of {len(second)} records of {second.path.name} are in {first.path.name} (the same signal)")
    for splits, count in facts["copies_by_split"].items():
        ours_split, _, theirs_split = splits.partition("/")
        print(f"  {count} of its {theirs_split} records are in the {ours_split} split")
    if found.patients_comparable or facts["records_of_known_patients"]:
        print(f"{facts['records_of_known_patients']} of its records are of patients who are in {first.path.name}")
    if not found.patients_comparable:
        print("patients cannot be compared by name: other source or other patient key")
    unknown = found.without_fingerprint
    if any(unknown):
        print(f"{unknown[0]} and {unknown[1]} records are too short or have too few leads to be compared")


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
    splits += f", {facts['held_back']} in none" if facts["held_back"] else ""
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
