"""`cmelt inspect`: what a store holds, and what was left out and why."""

from __future__ import annotations

from collections import Counter
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
) -> None:
    """Say what a store holds, and what was left out and why.

    Example: cmelt inspect ptbxl100
    """
    from cmelt.store.opened import open_store

    facts = facts_of(open_store(store, verify="full" if full else "sizes"))
    if as_json:
        print_json(facts)
    else:
        _print_tables(facts)


def facts_of(store: Store) -> dict[str, Any]:
    """What `--json` prints."""
    index, manifest = store.index, store.manifest
    flags = Counter(flag for found in index["flags"] for flag in found)
    reports = [report for report in index["report"] if report]
    return {
        "path": str(store.path),
        "sha256": store.sha256,
        "source": manifest["source"],
        "records": len(store),
        "patients": int(index["patient"].nunique()),
        "splits": manifest["splits"],
        "rate_hz": store.rate,
        "seconds": manifest["seconds"],
        "leads": list(store.leads),
        "microvolts_per_step": store.microvolts_per_step,
        "megabytes": sum(file["bytes"] for file in manifest["files"].values()) / 1e6,
        "source_rates_hz": _counts(index["source_rate"]),
        "source_seconds": _spread(index["seconds"].to_list()),
        "identical_signals": len(store) - int(index["fingerprint"].nunique()),
        "missing_leads": _counts(lead for found in index["missing_leads"] for lead in found),
        "flags": dict(flags.most_common()),
        "reports": _reports(reports, len(store)),
        "age": _spread(index["age"].dropna().to_list()),
        "sex": _counts(sex or "unknown" for sex in index["sex"]),
        "classes": _classes(store),
        "missing_files": manifest["source"]["missing_files"],
        "quarantined": len(store.quarantine),
        "quarantine_reasons": _counts(line["reason"] for line in store.quarantine),
        "warnings": manifest["warnings"],
    }


def _reports(reports: list[str], records: int) -> dict[str, Any]:
    """Counts of reports as the source has them, and cleaned as training sees them."""
    from cmelt.text.cleaning import clean_report

    distinct = set(reports)
    cleaned = {report: clean_report(report) for report in distinct}
    return {
        "with_report": len(reports),
        "without_report": records - len(reports),
        "distinct": len(distinct),
        "distinct_cleaned": len(set(cleaned.values())),
        "words": _spread([len(report.split()) for report in reports]),
    }


def _classes(store: Store) -> dict[str, dict[str, int]]:
    """Records with each label, in all and by split, most frequent first."""
    by_split: dict[str, Counter[str]] = {}
    for split, labels in zip(store.index["split"], store.index["labels"], strict=True):
        by_split.setdefault(split, Counter()).update(set(labels))
    total = sum(by_split.values(), Counter())
    splits = ("train", "validation", "test")
    return {
        label: {"all": count} | {split: by_split.get(split, Counter())[label] for split in splits}
        for label, count in sorted(total.items(), key=lambda item: (-item[1], item[0]))
    }


def _counts(values: Any) -> dict[str, int]:
    found = Counter(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
    return dict(found.most_common())


def _spread(values: list[float]) -> dict[str, float] | None:
    """Least, quartiles and greatest."""
    import numpy as np

    if not values:
        return None
    names = ("least", "quarter", "middle", "three_quarters", "greatest")
    return dict(zip(names, (float(value) for value in np.percentile(values, [0, 25, 50, 75, 100])), strict=True))


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
        ("words", _spread_text(reports["words"])),
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
