"""What a study found, as data: rows are models, columns are measurements, and every entry has its interval and difference."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from typing import Any

from cmelt.evaluation.metrics import Figure
from cmelt.pages import markdown_table

FORMAT, VERSION = "cmelt-study", 1
#: What a measurement is quoted by first.
HEADLINES = ("AUROC", "ECG → report R@10", "report → ECG R@10", "top-1")
#: Of table.csv.
CSV_COLUMNS = (
    *("model", "data", "control", "store", "task", "measurement", "metric", "value", "low", "high", "seeds"),
    *("reference", "difference", "difference_low", "difference_high", "excludes_zero", "records", "patients"),
)


@dataclass(frozen=True)
class Row:
    """A model, and what it was trained on ("" where nothing was). `control` marks what the models are to be better than."""

    model: str
    data: str = ""
    control: bool = False

    @property
    def name(self) -> str:
        """As it is called in tables."""
        return f"{self.model}, {self.data}" if self.data else self.model


@dataclass(frozen=True)
class Column:
    """A measurement: the store and task, the way of measuring, the metric.

    Attributes:
        records, patients: on which all models are compared.
        left_out: records that some model could not be asked, most often because it has seen them.
        positives: by class; empty for measurements without classes.
        headline: whether it belongs in the main table.
    """

    store: str
    task: str
    what: str
    metric: str
    records: int
    patients: int
    left_out: int
    positives: dict[str, int]
    headline: bool

    @property
    def title(self) -> str:
        """In words."""
        return ", ".join(word for word in (self.task or self.store, self.what, self.metric) if word)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from the others."""
        return self.store, self.task, self.what, self.metric


@dataclass(frozen=True)
class Entry:
    """A figure of one row in one column.

    Attributes:
        seeds: the figure of each seed alone.
        difference: from the reference's, paired; None for the reference itself and where pairs are not kept.
        reference: the row that it is the difference from.
        classes: AUROC by class, where the measurement has classes.
    """

    figure: Figure
    seeds: tuple[float, ...] = ()
    difference: Figure | None = None
    reference: str = ""
    classes: dict[str, Figure] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference excludes zero."""
        d = self.difference
        return d is not None and math.isfinite(d.low) and (d.low > 0 or d.high < 0)


@dataclass(frozen=True)
class CellFacts:
    """How one cell was made.

    Attributes:
        command: makes it, and it alone.
        changes: of the recipe, against the reference's: "section.key" → (here, there).
        stores: what it was trained on, in words; `pairs`: on how many, None where it is not made or has none.
        seconds: of training; None where it is not made.
        negatives: what its run says of its negatives.
        missing: titles of measurements that are not there.
    """

    name: str
    model: str
    data: str
    seed: int
    command: str
    changes: dict[str, tuple[Any, Any]]
    stores: str
    seconds: float | None
    negatives: dict[str, float]
    missing: tuple[str, ...]
    pairs: int | None = None


@dataclass(frozen=True)
class StudyResults:
    """A study's results: `entries` by row and column; a combination that was not measured has none."""

    name: str
    description: str
    reference: str
    bootstrap: int
    version: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    entries: dict[tuple[Row, tuple[str, str, str, str]], Entry]
    cells: tuple[CellFacts, ...]

    def entry(self, row: Row, column: Column) -> Entry | None:
        """The figure of a row in a column, or None."""
        return self.entries.get((row, column.key))

    @property
    def headlines(self) -> tuple[Column, ...]:
        """The columns of the main table."""
        return tuple(column for column in self.columns if column.headline and column.metric in HEADLINES)

    @property
    def missing(self) -> int:
        """Cells that are not complete."""
        return sum(cell.seconds is None or bool(cell.missing) for cell in self.cells)


def to_json(results: StudyResults) -> dict[str, Any]:
    """Plain dictionaries, lists and numbers; a figure that does not exist is null."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": results.name,
        "description": results.description,
        "reference": results.reference,
        "bootstrap": results.bootstrap,
        "cmelt": results.version,
        "columns": [_column_json(column) for column in results.columns],
        "rows": [
            {
                "model": row.model,
                "data": row.data or None,
                "control": row.control,
                "entries": [_entry_json(results.entry(row, column)) for column in results.columns],
            }
            for row in results.rows
        ],
        "cells": [
            {
                "name": cell.name, "model": cell.model, "data": cell.data or None, "seed": cell.seed, "command": cell.command,
                "changes": {key: list(pair) for key, pair in cell.changes.items()}, "stores": cell.stores,
                "seconds": cell.seconds, "negatives": cell.negatives, "missing": list(cell.missing), "pairs": cell.pairs,
            }
            for cell in results.cells
        ],
    }  # fmt: skip


def to_csv(results: StudyResults) -> str:
    """One line an entry."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in results.rows:
        for column in results.columns:
            entry = results.entry(row, column)
            if entry is None:
                continue
            d = entry.difference
            writer.writerow(
                [row.model, row.data, int(row.control), column.store, column.task, column.what, column.metric]
                + [_short(v) for v in (entry.figure.value, entry.figure.low, entry.figure.high)]
                + [" ".join(_short(v) for v in entry.seeds), entry.reference]
                + (["", "", "", ""] if d is None else [_short(d.value), _short(d.low), _short(d.high), int(entry.differs)])
                + [column.records, column.patients]
            )
    return text.getvalue()


def to_markdown(results: StudyResults) -> str:
    """The main table: one block a store, models down, measurements across."""
    blocks = [f"# {results.name}\n\n{results.description}".rstrip(), legend(results)]
    for store in dict.fromkeys(column.store for column in results.headlines):
        columns = [column for column in results.headlines if column.store == store]
        rows = [row for row in results.rows if any(results.entry(row, column) for column in columns)]
        head = ["", *(f"{column.title} ({column.records})" for column in columns)]
        lines = [[row.name, *(cell_text(results.entry(row, column)) for column in columns)] for row in rows]
        blocks.append(f"## {store}\n\n{markdown_table(head, lines, figures=True)}")
    return "\n\n".join(blocks) + "\n"


def legend(results: StudyResults) -> str:
    """How the main table is to be read."""
    counts = sorted({len(entry.seeds) for entry in results.entries.values() if entry.seeds}) or [0]
    runs = "One seed" if counts[-1] == 1 else f"Mean of {counts[-1]} seeds"
    if counts[0] != counts[-1]:
        runs = f"Mean of {counts[0]} to {counts[-1]} seeds"
    drawn = "patients and seeds" if counts[-1] > 1 else "patients: nothing is said about another training"
    return (
        f"{runs}, with 95 % intervals; ▲ and ▼: the paired difference from {results.reference} (same data where it was "
        f"trained on it) has an interval above or below zero; {results.bootstrap} bootstrap replicates over {drawn}. "
        "Research use only; not a medical device."
    )


def cell_text(entry: Entry | None) -> str:
    """ "0.843 [0.812, 0.871] ▼"; a dash where there is none."""
    return "–" if entry is None else f"{entry.figure.text()}{mark(entry)}"


def mark(entry: Entry) -> str:
    """ " ▲" above the reference, " ▼" below it, nothing where the interval of the difference holds zero."""
    if not entry.differs or entry.difference is None:
        return ""
    return " ▲" if entry.difference.low > 0 else " ▼"


def _column_json(column: Column) -> dict[str, Any]:
    return {
        "store": column.store, "task": column.task or None, "measurement": column.what, "metric": column.metric,
        "records": column.records, "patients": column.patients, "left_out": column.left_out, "positives": column.positives,
        "headline": column.headline,
    }  # fmt: skip


def _entry_json(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        **_figure_json(entry.figure),
        "seeds": [_finite(value) for value in entry.seeds],
        "reference": entry.reference or None,
        "difference": None if entry.difference is None else {**_figure_json(entry.difference), "excludes_zero": entry.differs},
        "classes": {name: _figure_json(figure) for name, figure in entry.classes.items()},
    }


def _figure_json(figure: Figure) -> dict[str, float | None]:
    return {"value": _finite(figure.value), "low": _finite(figure.low), "high": _finite(figure.high)}


def _finite(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:.5f}" if math.isfinite(value) else ""
