"""Scores of ECGs on stdout: a table for people, JSON, CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cmelt.cli.console import print_json, say

if TYPE_CHECKING:
    from cmelt.serving.paths import PathScores

#: Beyond so many classes a table of many records tells each record's highest alone.
MOST_COLUMNS = 6
HIGHEST = 3


def print_scores_as_json(found: PathScores, model: str) -> None:
    """Everything that is known, the notice first."""
    from cmelt.serving.notice import NOTICE

    records = [{"record": one.record, **one.facts, "scores": one.scores} for one in found.records]
    print_json(
        {"notice": NOTICE, "model": model, "scoring": found.scoring, "classes": list(found.classes), "records": records,
         "left_out": list(found.left_out)}
    )  # fmt: skip


def print_scores_as_csv(found: PathScores) -> None:
    """A row a record: its name, a column a class, then its flags. The notice goes to stderr: a table has no place for it."""
    import csv
    import sys

    from cmelt.serving.notice import NOTICE

    say(NOTICE)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["record", *found.classes, "flags"])
    for one in found.records:
        writer.writerow([one.record, *(f"{one.scores[name]:.6g}" for name in found.classes), ";".join(one.flags)])


def print_scores(found: PathScores) -> None:
    """One record: its classes, highest first. Several: a column a class, or each record's highest."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from cmelt.records.flag_words import flags_in_words
    from cmelt.serving.notice import NOTICE

    console = Console()
    if len(found.records) == 1:
        (one,) = found.records
        console.print(f"[bold]{escape(one.record)}[/bold]")
        table = Table("class", f"score ({found.scoring})")
        for name, score in one.scores.items():
            table.add_row(escape(name), f"{score:+.3f}")
        console.print(table)
        if one.flags:
            console.print("recording: " + escape("; ".join(flags_in_words(one.flags))))
    elif len(found.classes) <= MOST_COLUMNS:
        table = Table(Column("record", overflow="fold"), *map(escape, found.classes))
        for one in found.records:
            table.add_row(escape(one.record), *(f"{one.scores[name]:+.3f}" for name in found.classes))
        console.print(table)
    else:
        table = Table(Column("record", overflow="fold"), f"highest {HIGHEST} of {len(found.classes)} classes")
        for one in found.records:
            highest = list(one.scores.items())[:HIGHEST]
            table.add_row(escape(one.record), escape(", ".join(f"{name} {score:+.3f}" for name, score in highest)))
        console.print(table)
    console.print("A score ranks ECGs within a class; it is no probability.")
    console.print(NOTICE, soft_wrap=True)
