"""From the cells on disk to the study's results: every model on the same records, each compared with the reference in pairs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cmelt import __version__
from cmelt.evaluation.comparison import Bench, shuffled_figure, text_only_figure
from cmelt.evaluation.metrics import Figure, dense
from cmelt.study import outcomes
from cmelt.study.cells import Cell, Item, Plan, differences, said_by
from cmelt.study.folders import (
    REPLICATES,
    cell_folder,
    is_measured,
    item_folder,
    missing_items,
    negatives_report,
    pairs_of,
    seconds_of,
)
from cmelt.study.outcomes import Outcome, Scores
from cmelt.study.replicates import AUROC, Ground, Summary, cached_summary, ground_of, summarise
from cmelt.study.results import CellFacts, Column, Entry, Row, StudyResults

PERMUTATIONS = 200
#: Ways of measuring by classes that a network trained on the labels stands beside.
_BESIDE_SUPERVISED = ("zero-shot", "probe", "fine-tune")

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Measured:
    """One item with the folders of all models that have it, by row and seed."""

    item: Item
    folders: dict[Row, dict[int, Path]]


def collect(plan: Plan, out: Path, command: str, say: Say = lambda _: None) -> StudyResults:
    """Everything that lies in `out`, compared. Cells that are not there are named in the results, and missing in the tables.

    Args:
        command: that makes the study, to be quoted with each cell.
    Raises CheckpointError for a measurement that was altered.
    """
    columns: list[Column] = []
    entries: dict[tuple[Row, tuple[str, str, str, str]], Entry] = {}
    measured = [one for one in _measured(plan, out) if one.folders]
    for place, one in enumerate(measured, start=1):
        say(f"comparing {one.item.title} ({place} of {len(measured)})")
        for column, row, entry in _compare(plan, one, out / REPLICATES):
            if column.key not in [known.key for known in columns]:
                columns.append(column)
            entries[row, column.key] = entry
    study = plan.study
    return StudyResults(
        name=study.name,
        description=study.description,
        reference=", ".join(filter(None, (study.reference.model, study.reference.data))),
        bootstrap=study.bootstrap,
        version=__version__,
        rows=tuple(_rows_in_order(plan, {row for row, _ in entries})),
        columns=tuple(columns),
        entries=entries,
        cells=tuple(_facts(plan, cell, out, command) for cell in plan.cells),
    )


def row_of(cell: Cell) -> Row:
    """The row that a cell's seed is part of."""
    return Row(cell.model, cell.data, control=cell.kind != "pretrained")


def reference_row(plan: Plan, row: Row, rows: Mapping[Row, object]) -> Row | None:
    """What a row is compared with: the reference on the data that the study names, else on the row's own, else on its first."""
    wanted = plan.study.reference
    choices = [wanted.data] if wanted.data else [row.data, *plan.study.data, ""]
    for data in choices:
        for found in rows:
            if found.model == wanted.model and found.data == (data or ""):
                return None if found == row else found
    return None


def _measured(plan: Plan, out: Path) -> Iterator[_Measured]:
    """Each distinct item once, in the order of the study's file, with those models that have it on disk."""
    items: dict[str, Item] = {}
    folders: dict[str, dict[Row, dict[int, Path]]] = {}
    for cell in plan.cells:
        for item in plan.items_of(cell):
            items.setdefault(item.name, item)
            place = cell_folder(out, cell.name)
            if is_measured(place, item):
                folders.setdefault(item.name, {}).setdefault(row_of(cell), {})[cell.seed] = item_folder(place, item)
    lines = [(asked.kind, asked.store, asked.target) for asked in plan.study.evaluate]
    names = sorted(items, key=lambda name: _place(items[name], lines))
    supervised = {_beside(items[name]): rows for name, rows in folders.items() if items[name].kind == "supervised"}
    for name in names:
        item, found = items[name], folders.get(name, {})
        if item.kind in _BESIDE_SUPERVISED and found:
            found = {**found, **supervised.get(_beside(item), {})}
        if item.kind != "supervised":
            yield _Measured(item, found)


def _beside(item: Item) -> tuple[str, str, int]:
    """What a supervised network must have in common with a measurement to stand beside it: store, task and leads."""
    return item.store.sha256, item.task, item.leads or 12


def _place(item: Item, lines: Sequence[tuple[str, str, str | None]]) -> tuple[int, str, float]:
    """Items of one line of the file stay together, tasks in turn, rising shares of the labels, falling numbers of leads."""
    place = lines.index((item.kind, item.store.name, item.target.name if item.target is not None else None))
    return place, item.task, item.fraction if item.fraction is not None else -float(item.leads or 0)


def _compare(plan: Plan, one: _Measured, cache: Path) -> Iterator[tuple[Column, Row, Entry]]:
    read = {row: {seed: outcomes.read(folder) for seed, folder in seeds.items()} for row, seeds in one.folders.items()}
    every = [outcome for seeds in read.values() for outcome in seeds.values()]
    ground = ground_of(every, plan.study.bootstrap, plan.study.least_positives)
    if len(ground.rows) == 0 or (isinstance(every[0], Scores) and not ground.classes):
        return
    summaries = {
        row: cached_summary(cache, [folders[s] for s in sorted(folders)], ground, partial(summarise, read[row], ground))
        for row, folders in one.folders.items()
    }
    left_out = max(len(outcome.rows) for outcome in every) - len(ground.rows)
    column = Column(
        one.item.store.name, one.item.task, one.item.what, "", len(ground.rows), ground.patients, left_out, ground.positives,
        one.item.headline,
    )  # fmt: skip
    for row, summary in summaries.items():
        reference = reference_row(plan, row, summaries)
        yield from _entries(column, row, summary, reference, summaries.get(reference) if reference else None)
    if one.item.kind == "zero-shot":
        yield from _controls(plan, replace(column, metric=AUROC), read, ground)


def _entries(
    column: Column, row: Row, summary: Summary, reference: Row | None, rival: Summary | None
) -> Iterator[tuple[Column, Row, Entry]]:
    for metric, mine in summary.measures.items():
        paired = rival is not None and metric in rival.measures
        difference = mine.minus(rival.measures[metric]) if rival is not None and paired else None
        classes = summary.classes if metric == AUROC else {}
        said = reference.name if reference is not None and paired else ""
        entry = Entry(mine.figure, tuple(map(float, mine.seeds)), difference, said, classes)
        yield replace(column, metric=metric), row, entry
    for metric, figure in summary.decisions.items():
        yield replace(column, metric=metric), row, Entry(figure)


def _controls(
    plan: Plan, column: Column, read: Mapping[Row, Mapping[int, Outcome]], ground: Ground
) -> Iterator[tuple[Column, Row, Entry]]:
    """What the reference's scores are worth when every record is given another patient's ECG, and without any ECG."""
    reference = reference_row(plan, Row(""), read)
    seeds = read.get(reference, {}) if reference else {}
    scored = next((one.at(ground.rows) for _, one in sorted(seeds.items()) if isinstance(one, Scores)), None)
    if reference is None or scored is None:
        return
    kept = [scored.classes.index(name) for name in ground.classes]
    truth, scores = scored.truth[:, kept], scored.scores[0][:, kept]
    patients = dense(scored.patients)
    bench = Bench(ground.classes, truth, patients, 1, 0)
    yield (
        column,
        Row(f"shuffled ECGs ({reference.name})", control=True),
        Entry(shuffled_figure(bench, scores, patients, PERMUTATIONS, 0)),
    )
    value = text_only_figure(bench)
    yield column, Row("text only", control=True), Entry(Figure(value, value, value))


def _rows_in_order(plan: Plan, rows: set[Row]) -> Iterator[Row]:
    """Models in the order of the file, each with its data in theirs; controls below."""
    models, data = list(plan.study.models), ["", *plan.study.data]

    def place(row: Row) -> tuple[bool, int, int, str]:
        known = row.model in models
        return row.control, models.index(row.model) if known else len(models), data.index(row.data), row.model

    yield from sorted(rows, key=place)


def _facts(plan: Plan, cell: Cell, out: Path, command: str) -> CellFacts:
    folder = cell_folder(out, cell.name)
    only = ",".join([f"model={cell.model}", *([f"data={cell.data}"] if cell.data else []), f"seed={cell.seed}"])
    return CellFacts(
        cell.name,
        cell.model,
        cell.data,
        cell.seed,
        f"{command} --only {shlex.quote(only)}",
        _changes(plan, cell),
        stores_of(cell),
        seconds_of(folder),
        negatives_report(folder),
        tuple(item.title for item in missing_items(folder, plan.items_of(cell))),
        pairs_of(folder),
    )


def _changes(plan: Plan, cell: Cell) -> dict[str, tuple[Any, Any]]:
    """What a trained cell's recipe says otherwise than the reference's for the same data."""
    rivals = [one for one in plan.cells if one.model == plan.study.reference.model and one.recipe is not None]
    rivals.sort(key=lambda one: one.data != cell.data)
    if cell.kind != "pretrained" or cell.recipe is None or not rivals or cell.model == rivals[0].model:
        return {}
    return differences(said_by(cell.recipe), said_by(rivals[0].recipe))


def stores_of(cell: Cell) -> str:
    """What a cell's model is trained on, in words."""
    stages = []
    for stage in cell.stages:
        words = [
            part.name
            + (f" × {part.weight:g}" if part.weight != 1 and len(stage) > 1 else "")
            + (f", {part.pairs} pairs" if part.pairs else "")
            for part in stage
        ]
        stages.append(" + ".join(words))
    if cell.kind == "random":
        return f"none (vocabulary of {stages[0]})"
    return ", then ".join(stages) or "the labels of each task"
