"""`cmelt study`: models × data × seeds, trained and measured, and one table of paired differences."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmelt.cli.console import say

if TYPE_CHECKING:
    from cmelt.study.cells import Plan
    from cmelt.study.results import StudyResults

app = typer.Typer(add_completion=False)


@app.command()
def study(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The study's .yaml file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Where cells and results lie.", show_default=False)],
    stores: Annotated[
        Path | None, typer.Option("--stores", help="The folder of the stores that the file names. Default: the file's own.")
    ] = None,
    only: Annotated[str, typer.Option("--only", help="Some of the cells, as in model=cmelt,data=real,seed=0.")] = "",
    table: Annotated[
        bool, typer.Option("--table", help="Train and measure nothing; rebuild the results of what is there.")
    ] = False,
    rerun: Annotated[str, typer.Option("--rerun", help="Make this cell again, aside, and say whether its figures agree.")] = "",
    tolerance: Annotated[float, typer.Option(min=0, help="Of --rerun: by how much a figure may differ.")] = 0.001,
    workers: Annotated[int | None, typer.Option(min=1, help="Cells side by side. Default: as the file says.")] = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Say which cells there are and which are made, and stop.")] = False,
) -> None:
    """Train and measure every cell of a study, and compare the models on the same records.

    cmelt study studies/smoke.yaml --out runs/smoke --stores stores

    Finished cells are skipped and an interrupted one goes on. Exit status 1 when a cell failed, 130 or 143 after a signal.
    """
    from cmelt.study.cells import plan_study
    from cmelt.study.settings import load_study, selection_of

    settings = load_study(config)
    place = stores if stores is not None else config.parent
    plan = plan_study(settings, place, config.parent)
    command = " ".join(
        ["cmelt study", shlex.quote(str(config)), f"--out {shlex.quote(str(out))}"]
        + ([f"--stores {shlex.quote(str(stores))}"] if stores is not None else [])
    )
    chosen = selection_of(only, settings)
    if plan_only:
        _print_plan(plan, out)
        return
    if rerun:
        sys.exit(_rerun(plan, out, rerun, tolerance))
    failed = False
    if not table:
        from cmelt.study.scheduling import jobs_of, make_cells

        made = make_cells(jobs_of(plan, out, chosen), workers or settings.workers, say)
        if made.code is not None:
            sys.exit(made.code)
        for name, errors in made.failures.items():
            for error in errors:
                say(f"failed: {name}: {error}")
        failed = bool(made.failures)
    _publish(plan, out, command)
    sys.exit(1 if failed else 0)


def _publish(plan: Plan, out: Path, command: str) -> None:
    from cmelt.study.assembly import collect
    from cmelt.study.publication import JSON, PAGE, publish_results

    results = collect(plan, out, command, say)
    folder = publish_results(results, out)
    _print_table(results)
    if results.missing:
        say(f"{results.missing} of {len(results.cells)} cells are not complete; the page says which")
    say(f"page: {folder / PAGE}; figures: {folder / JSON}")


def _print_table(results: StudyResults) -> None:
    """The main table, one measurement after another: it is too wide for a terminal."""
    from cmelt.study.results import cell_text, legend

    for column in results.headlines:
        print(f"{column.store}: {column.title}, {column.records} records of {column.patients} patients")
        for row in results.rows:
            entry = results.entry(row, column)
            if entry is None:
                continue
            d = entry.difference
            paired = "" if d is None else f"  {d.text(signed=True)} from {entry.reference}"
            print(f"  {row.name:<32}{cell_text(entry):<26}{paired}")
    print(legend(results))


def _print_plan(plan: Plan, out: Path) -> None:
    from cmelt.study.scheduling import is_done, jobs_of
    from cmelt.study.settings import Selection

    for job in jobs_of(plan, out, Selection()):
        print(f"{'made' if is_done(job) else 'to do':<7}{job.cell.name}  ({len(job.items)} measurements)")


def _rerun(plan: Plan, out: Path, name: str, tolerance: float) -> int:
    from cmelt.study.rerun import rerun_cell

    found = rerun_cell(plan, out, name, say)
    for line in found.compared:
        print(f"{line.title}: {line.figure} {line.before:.6f}, again {line.again:.6f}, {line.again - line.before:+.6f}")
    agree = found.largest <= tolerance
    print(f"{name}: {'the figures agree' if agree else 'the figures differ'}, by at most {found.largest:.6f}")
    return 0 if agree else 1
