"""Scores of ECGs on stdout: a table for people, JSON, CSV."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from cmelt.cli.console import print_json, say

if TYPE_CHECKING:
    from cmelt.serving.paths import PathScores, ScoredRecord

#: Beyond so many classes a table of many records tells each record's highest alone.
MOST_COLUMNS = 6
HIGHEST = 3


def print_scores_as_json(found: PathScores, model: str) -> None:
    """Everything that is known, the notice first."""
    from cmelt.serving.notice import NOTICE

    records = [{"record": one.record, **one.facts, "scores": one.scores, **_confidence(one)} for one in found.records]
    print_json(
        {"notice": NOTICE, "model": model, "scoring": found.scoring, "classes": list(found.classes),
         **({"taken_as": dict(found.taken_as)} if found.taken_as else {}), "records": records, "left_out": list(found.left_out)}
    )  # fmt: skip


def _confidence(one: ScoredRecord) -> dict[str, Any]:
    """Nothing where nothing is to be said, or nobody has judged."""
    if not one.facts or not (one.probabilities or one.cannot_tell or one.verdicts):
        return {}
    named = ("probability", "low", "high")
    told = {name: dict(zip(named, three, strict=True)) for name, three in one.probabilities.items()}
    return {"probabilities": told, "cannot_tell": one.cannot_tell, "verdicts": list(one.verdicts)}


def print_scores_as_csv(found: PathScores) -> None:
    """A row a record: its name, a column a class, then its flags. The notice goes to stderr: a table has no place for it.

    Where any class has a probability: three more columns for each that has one, empty where none can be told, and why.
    """
    import csv
    import sys

    from cmelt.serving.notice import NOTICE

    say(NOTICE)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    known = [name for name in found.classes if any(name in one.probabilities for one in found.records)]
    more = [f"{name} {part}" for name in known for part in ("probability", "low", "high")]
    writer.writerow(["record", *found.classes, "flags", *more, *(["cannot tell"] if known else [])])
    for one in found.records:
        told = [f"{value:.4g}" if value is not None else ""
                for name in known for value in one.probabilities.get(name, (None,) * 3)]  # fmt: skip
        row = [one.record, *(f"{one.scores[name]:.6g}" for name in found.classes), ";".join(one.flags), *told]
        writer.writerow([*row, *([one.cannot_tell or ""] if known else [])])


def print_scores(found: PathScores) -> None:
    """One record: its classes, highest first. Several: a column a class, or each record's highest."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from cmelt.records.flag_words import flags_in_words
    from cmelt.serving.notice import NOTICE
    from cmelt.serving.typed_lines import told_lines

    console = Console()
    if len(found.records) == 1:
        (one,) = found.records
        console.print(f"[bold]{escape(one.record)}[/bold]")
        table = Table("class", f"score ({found.scoring})", *(["probability"] if one.probabilities else []))
        for name, score in one.scores.items():
            table.add_row(escape(name), f"{score:+.3f}", *([_percent(one, name)] if one.probabilities else []))
        console.print(table)
        if one.cannot_tell:
            console.print("no probabilities: " + escape(one.cannot_tell))
        if one.verdicts:
            console.print("this ECG: " + escape("; ".join(one.verdicts)))
        if one.flags:
            console.print("recording: " + escape("; ".join(flags_in_words(one.flags))))
    else:
        folder, names = _short_names([one.record for one in found.records])
        if folder:
            console.print(f"in {escape(folder)}:", soft_wrap=True)
        few = len(found.classes) <= MOST_COLUMNS
        columns = found.classes if few else (f"highest {HIGHEST} of {len(found.classes)} classes",)
        table = Table(Column("record", overflow="fold"), *map(escape, columns))
        for name, one in zip(names, found.records, strict=True):
            highest = ", ".join(f"{which} {score:+.3f}" for which, score in list(one.scores.items())[:HIGHEST])
            table.add_row(escape(name), *([f"{one.scores[which]:+.3f}" for which in found.classes] if few else [escape(highest)]))
        console.print(table)
    for line in told_lines(found.taken_as):
        console.print(escape(line))
    console.print("A score ranks ECGs within a class; it is no probability.")
    if any(one.probabilities for one in found.records) and len(found.records) == 1:
        console.print("A probability, with its 95 % interval, is that of ECGs like those that the model was calibrated on.")
    console.print(NOTICE, soft_wrap=True)


def _short_names(records: list[str]) -> tuple[str, list[str]]:
    """The folder that all files share, and each one's path below it; no folder where records are not files with paths."""
    paths = [PurePath(record) for record in records]
    if not all(path.parent.name for path in paths) or len({path.is_absolute() for path in paths}) > 1:
        return "", records
    folder = os.path.commonpath([path.parent for path in paths])
    return (folder, [str(path.relative_to(folder)) for path in paths]) if folder else ("", records)


def _percent(one: ScoredRecord, name: str) -> str:
    """A probability with its interval."""
    if name not in one.probabilities:
        return "not calibrated"
    value, low, high = ("<1" if part < 0.005 else f"{100 * part:.0f}" for part in one.probabilities[name])
    return f"{value} % ({low}–{high})"
