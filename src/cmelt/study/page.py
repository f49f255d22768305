"""study.html: the table, the plots, the classes, and how every cell was made; one file with everything in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from cmelt.pages import document, facts, html_table, table
from cmelt.study.plots import Dot, curve, forest, shades
from cmelt.study.results import CellFacts, Column, Entry, Row, StudyResults, cell_text, legend, mark

LINKS = {
    "table": "Table", "differences": "Differences", "plots": "Plots", "pairs": "Learning curve", "classes": "Classes",
    "all": "All figures", "cells": "Cells", "method": "Method",
}  # fmt: skip


def page(results: StudyResults) -> str:
    """The whole page."""
    parts = {
        "table": _main(results),
        "differences": _all_differences(results),
        "plots": _plots(results),
        "pairs": _learning_curves(results),
        "classes": _classes(results),
        "all": _everything(results),
        "cells": _cells(results),
        "method": _method(results),
    }
    body = "".join(f'<h2 id="{name}">{LINKS[name]}</h2>{part}' for name, part in parts.items() if part)
    links = {name: LINKS[name] for name, part in parts.items() if part}
    return document(f"Study: {results.name}", links, f"<p>{escape(results.description)}</p>{body}")


def _main(results: StudyResults) -> str:
    parts = [f'<p class="soft">{escape(legend(results))}</p>']
    if results.missing:
        parts.append(f'<p class="warning">{results.missing} of {len(results.cells)} cells are not complete: see Cells.</p>')
    for store, columns in _by_store(results.headlines):
        rows = [_row(row, [_figure(entry) for entry in line]) for row, line in _lines(results, columns)]
        parts.append(f"<h3>{escape(store)}</h3>{html_table(_head(columns), rows)}")
    return "".join(parts)


def _head(columns: Sequence[Column]) -> list[str]:
    """The model, and each measurement on three lines: what is asked, how, on how many records."""
    return ["model", *(f"{escape(c.task or c.what)}<br>{escape(c.what)}<br>{c.metric}, n = {c.records}" for c in columns)]


def _row(row: Row, cells: Sequence[str]) -> str:
    kind = ' class="control"' if row.control else ""
    return f"<tr><td>{escape(row.name)}</td>{''.join(f'<td{kind}>{cell}</td>' for cell in cells)}</tr>"


def _figure(entry: Entry | None) -> str:
    """A figure above its interval."""
    if entry is None or not math.isfinite(entry.figure.value):
        return "–"
    f = entry.figure
    interval = f"<br><small>[{f.low:.3f}, {f.high:.3f}]</small>" if math.isfinite(f.low) else ""
    return f"{f.value:.3f}{mark(entry)}{interval}"


def _all_differences(results: StudyResults) -> str:
    parts = ["<p>Each model minus the reference, on the same patients in every replicate.</p>"]
    for store, columns in _by_store(results.headlines):
        rows = []
        for row, line in _lines(results, columns):
            if any(entry is not None and entry.difference is not None for entry in line):
                rows.append(_row(row, [_difference(entry) for entry in line]))
        if rows:
            parts.append(f"<h3>{escape(store)}</h3>{html_table(_head(columns), rows)}")
    compared = sum(e.difference is not None for e in results.entries.values())
    parts.append(
        f'<p class="soft">{compared} differences are tested in this study, each at 5 %: some intervals exclude zero by chance '
        "alone. Look for what holds in several measurements.</p>"
    )
    return "".join(parts)


def _plots(results: StudyResults) -> str:
    figures = []
    for column in results.headlines:
        dots = [_dot(row, entry) for row in results.rows if (entry := results.entry(row, column)) is not None]
        chart = forest(dots, column.title, 0.5 if column.metric == "AUROC" else None)
        figures.append(f"<figure>{chart}<figcaption><b>{escape(column.title)}</b>, {escape(column.store)}</figcaption></figure>")
    return f'<div class="columns">{"".join(figures)}</div>'


def _learning_curves(results: StudyResults) -> str:
    """One curve a measurement, of the models that were trained on several numbers of pairs."""
    pairs = {(cell.model, cell.data): count for cell in results.cells if (count := cell.pairs) is not None}
    figures = []
    for column in results.headlines:
        lines = []
        for model in dict.fromkeys(row.model for row in results.rows):
            found = [
                (pairs[row.model, row.data], entry.figure)
                for row in results.rows
                if row.model == model and (row.model, row.data) in pairs and (entry := results.entry(row, column)) is not None
            ]
            if len({count for count, _ in found}) > 2:
                lines.append((model, found))
        if lines:
            caption = f"<b>{escape(column.title)}</b>, {escape(column.store)}, over the number of pairs"
            figures.append(f"<figure>{curve(lines, column.title)}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="columns">{"".join(figures)}</div>' if figures else ""


def _classes(results: StudyResults) -> str:
    parts = []
    for column in results.headlines:
        if len(column.positives) < 2:
            continue
        names = list(column.positives)
        rows = [(row, e) for row in results.rows if (e := results.entry(row, column)) is not None and e.classes]
        values = [[entry.classes[name].value if name in entry.classes else None for name in names] for _, entry in rows]
        heat = shades([row.name for row, _ in rows], names, values, [f"{column.positives[name]} positive" for name in names])
        parts.append(f"<details><summary>{escape(column.title)}, {escape(column.store)}</summary>{heat}</details>")
    return f"<p>AUROC by class; intervals are in the JSON.</p>{''.join(parts)}" if parts else ""


def _everything(results: StudyResults) -> str:
    parts = []
    for store, columns in _by_store(results.columns):
        head = ["model", *(column.title for column in columns)]
        rows = [[row.name, *(cell_text(e) for e in line)] for row, line in _lines(results, columns)]
        parts.append(f"<details><summary>{escape(store)}: {len(columns)} figures a model</summary>{table(head, rows)}</details>")
    return "".join(parts)


def _cells(results: StudyResults) -> str:
    rows = [
        [
            cell.model,
            cell.data or "–",
            str(cell.seed),
            cell.stores,
            "not made" if cell.seconds is None else f"{cell.seconds:,.0f} s",
            "; ".join(f"{name} {value:.2f}" for name, value in cell.negatives.items()) or "–",
            "; ".join(cell.missing) or "–",
        ]
        for cell in results.cells
    ]
    head = ["model", "data", "seed", "trained on", "training", "negatives", "not measured"]
    changes = "".join(f"<dt>{escape(name)}</dt><dd>{said}</dd>" for name, said in _changes(results.cells))
    commands = facts({cell.name: cell.command for cell in results.cells})
    return (
        f"{table(head, rows)}<p class='soft'>Negatives: text-only accuracy is how often a negative report is told from "
        "the true one without the ECG (0.5 is honest); coverage is distinct negatives a draw.</p>"
        f"<h3>Recipes, as they differ from the reference's</h3><dl>{changes}</dl>"
        f"<details><summary>The command of each cell</summary>{commands}</details>"
    )


def _changes(cells: Sequence[CellFacts]) -> Iterator[tuple[str, str]]:
    """By model, what its recipe says and the reference's does not."""
    said = {cell.model: cell.changes for cell in cells if cell.changes}
    for model, changes in said.items():
        yield (
            model,
            "<br>".join(f"{escape(key)}: {_value(here)} (reference: {_value(there)})" for key, (here, there) in changes.items()),
        )


def _value(value: object) -> str:
    return "default" if value is None else escape(str(value))


def _method(results: StudyResults) -> str:
    return (
        "<p>Every model is measured on the same records with the same draws of labels. A figure is the mean over seeds "
        "and label draws. A bootstrap replicate draws patients with replacement, and seeds, and draws within each seed; all "
        "models have the same patients in the same replicate, which makes differences paired. With two or three seeds, what "
        "they add to an interval is a rough estimate. In the mean over classes, a class that vanishes from a replicate keeps "
        "its value.</p>"
        "<p>Random weights: the same network before training, through the same steps. Shuffled ECGs: the reference's scores "
        "when every record has another patient's ECG; the range is over permutations. Text only: a score that never sees the "
        "ECG is the same for all records, 0.5 by construction. A supervised network, trained on all labels of the task, stands "
        "beside every measurement of it. F1 and calibration error are measured on test records, with thresholds and "
        "scaling from validation ones. Records that a model has seen are refused, or left out for all models.</p>"
        + facts({"reference": results.reference, "bootstrap": f"{results.bootstrap} replicates", "cmelt": results.version})
    )


def _by_store(columns: Sequence[Column]) -> Iterator[tuple[str, list[Column]]]:
    for store in dict.fromkeys(column.store for column in columns):
        yield store, [column for column in columns if column.store == store]


def _lines(results: StudyResults, columns: Sequence[Column]) -> Iterator[tuple[Row, list[Entry | None]]]:
    """The rows that have any figure in these columns, with their entries."""
    for row in results.rows:
        line = [results.entry(row, column) for column in columns]
        if any(line):
            yield row, line


def _dot(row: Row, entry: Entry) -> Dot:
    return Dot(row.name, entry.figure, "control" if row.control else "model", mark(entry))


def _difference(entry: Entry | None) -> str:
    """A difference above its interval."""
    d = None if entry is None else entry.difference
    if entry is None or d is None or not math.isfinite(d.value):
        return "–"
    return f"{d.value:+.3f}{mark(entry)}<br><small>[{d.low:+.3f}, {d.high:+.3f}]</small>".replace("-", "−")
