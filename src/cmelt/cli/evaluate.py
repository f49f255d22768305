"""`cmelt evaluate`: how good a model is, with intervals and controls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmelt.cli.console import numbers_of, print_json, say, stages, words_of
from cmelt.errors import StoreError

if TYPE_CHECKING:
    from cmelt.evaluation.embedder import Embedder
    from cmelt.evaluation.further import Further
    from cmelt.evaluation.protocol import Protocol
    from cmelt.evaluation.results import Results
    from cmelt.evaluation.tasks import Task
    from cmelt.store import Store

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, a model's, or a bundled model's name.", show_default=False)
    ],
    data: Annotated[Path, typer.Option("--data", help="The store to evaluate on.", show_default=False)],
    task: Annotated[
        list[str] | None, typer.Option(help="A bundled task or a task file; may be repeated. Default: all whose labels occur.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the report goes. Default: RUN/evaluation.")] = None,
    fractions: Annotated[str, typer.Option(help="Shares of the training labels for linear probes.")] = "0.01,0.1,1",
    draws: Annotated[int, typer.Option(min=1, help="Random draws for each share below 1.")] = 5,
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Whether to fit linear probes.")] = True,
    splits: Annotated[str, typer.Option(help="Evaluate these splits, such as test. Default: the task's.")] = "",
    bootstrap: Annotated[int, typer.Option(min=1, help="Replicates of the patient bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of draws, replicates and the random control.")] = 0,
    examples: Annotated[
        bool, typer.Option("--examples/--no-examples", help="Whether the report shows ECGs with their report texts.")
    ] = True,
    leave_out_known: Annotated[
        bool, typer.Option("--leave-out-known", help="Leave out records that training has seen, which are refused otherwise.")
    ] = False,
    retrieval: Annotated[bool, typer.Option("--retrieval", help="Search reports by ECG and ECGs by report, too.")] = False,
    identification: Annotated[bool, typer.Option("--identification", help="Tell patients by their ECGs, too.")] = False,
    shift_to: Annotated[Path | None, typer.Option(help="Ask a head learned on --data of this store, too.")] = None,
    shift_part: Annotated[str, typer.Option(help="Of that store this source, collection or beginning of origin.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Measure a model: zero-shot and linear probe, with patient intervals, beside a random-weights control.

    cmelt evaluate runs/small --data ptbxl100 --task ptbxl-super
    """
    from cmelt.checkpoints import load_embedder
    from cmelt.evaluation.evaluate import evaluate_tasks
    from cmelt.evaluation.further import Asked, measure_further
    from cmelt.evaluation.protocol import Protocol
    from cmelt.evaluation.report import write_report
    from cmelt.evaluation.report.writing import check_replaceable
    from cmelt.store import open_store

    folder = out or _default_folder(run)
    check_replaceable(folder)
    shares = numbers_of(fractions, "--fractions") if probe else ()
    protocol = Protocol(shares, draws, bootstrap, seed, words_of(splits), leave_out_known)
    store = open_store(data)
    tasks = _tasks(task, store, protocol)
    asked = Asked(retrieval, identification, open_store(shift_to) if shift_to else None, shift_part)
    embedder, control = load_embedder(run), load_embedder(run, random=True, seed=seed)
    _check_aligned(embedder, protocol, retrieval)
    with stages() as progress:
        results = evaluate_tasks(embedder, control, store, tasks, protocol, progress)
        further = measure_further(embedder, control, store, protocol, asked, progress)
    log = Path(run) / "metrics.jsonl"
    report = write_report(results, folder, further=further, loss_log=log, store=store if examples else None)
    _print_found(results, further, as_json)
    say(f"report: {report}")


def _check_aligned(embedder: Embedder, protocol: Protocol, retrieval: bool) -> None:
    """Before anything is computed: refuse what would be chance, or say what is left out."""
    from cmelt.evaluation.embedder import check_aligned

    if retrieval:
        check_aligned(embedder, "--retrieval")
    if not protocol.fractions:
        check_aligned(embedder, "zero-shot")
    if not embedder.aligned:
        say("zero-shot is left out: the model has never learned to compare ECGs with texts; linear probes are measured")


def _default_folder(run: str) -> Path:
    """`evaluation` inside the run's folder; beside the caller where RUN is a name and no folder."""
    return Path(run) / "evaluation" if Path(run).is_dir() else Path(f"{Path(run).name}-evaluation")


def _tasks(names: list[str] | None, store: Store, protocol: Protocol) -> list[Task]:
    """The named ones; without names, every bundled one that the store can answer. One of these that it cannot ends nothing."""
    from cmelt.evaluation.protocol import answerable
    from cmelt.evaluation.tasks import bundled_tasks, load_task, tasks_in

    if names:
        return [load_task(name) for name in names]
    tasks = []
    for task in tasks_in(store.index["labels"].tolist()):
        if answerable(store, task, protocol):
            tasks.append(task)
        else:
            say(f"{task.name} is left out: none of its classes has both positives and negatives among the records to evaluate")
    if not tasks:
        fault = "none of its labels belongs to a bundled task"
        raise StoreError(store.path, fault, f"give a task file with --task (bundled: {', '.join(bundled_tasks())})")
    return tasks


def _print_found(results: list[Results], further: Further, as_json: bool) -> None:
    if as_json:
        from cmelt.evaluation.results import envelope

        print_json(envelope(results) | further.to_json())
    else:
        print_figures(results)
        print_further(further)


def print_figures(results: list[Results]) -> None:
    """One line a measurement: the model, its interval, and the random-weights control's."""
    from cmelt.evaluation.report.page import headline_rows

    print(f"{'macro AUROC':<38}{'model':<24}random weights")
    for name, comparison in headline_rows(results):
        print(f"{name:<38}{comparison.model.macro_auroc.text():<24}{comparison.random.macro_auroc.text()}")


def print_further(further: Further) -> None:
    """One line a share or macro AUROC measured beside the tasks: the model, the random-weights control, and chance."""
    from cmelt.evaluation.further import lines

    found = lines(further)
    if found:
        print(f"\n{'beside the tasks':<38}{'model':<24}{'random weights':<24}chance")
    for line in found:
        print(f"{line.name:<38}{line.model.text():<24}{line.random.text():<24}{line.chance:.3f}")
