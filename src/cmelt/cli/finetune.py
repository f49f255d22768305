"""`cmelt finetune`: the ECG encoder trained on labels, with twelve leads down to one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmelt.cli.console import numbers_of, print_json, say, stages, words_of

if TYPE_CHECKING:
    from cmelt.evaluation.fine_tune_results import FineTuneResults

app = typer.Typer(add_completion=False)


@app.command()
def finetune(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or a model's.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="The store to learn from and to measure on.", show_default=False)],
    task: Annotated[str, typer.Option(help="A bundled task or a task file.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Where report, scores and classifier go.", show_default=False)],
    leads: Annotated[str, typer.Option(help="Numbers of leads, each a training of its own.")] = "12,6,4,3,2,1",
    fractions: Annotated[str, typer.Option(help="Shares of the training labels.")] = "1",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training records, of every network.", show_default="each its own")
    ] = None,
    supervised: Annotated[
        bool, typer.Option("--supervised/--no-supervised", help="Whether to train a ResNet1d from scratch beside it.")
    ] = True,
    draws: Annotated[int, typer.Option(min=1, help="Random draws for each share below 1.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings on all labels, from seeds of their own.")] = 1,
    splits: Annotated[str, typer.Option(help="Measure on these splits, such as test. Default: the task's.")] = "",
    bootstrap: Annotated[int, typer.Option(min=1, help="Replicates of the patient bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    leave_out_known: Annotated[
        bool, typer.Option("--leave-out-known", help="Leave out records that training has seen, which are refused otherwise.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Fine-tune the ECG encoder on a task's labels, beside random weights and a supervised network.

    cmelt finetune runs/small --data ptbxl100 --task ptbxl-super --leads 12,1 --out fine-tuned
    """
    from cmelt.checkpoints import load_embedder
    from cmelt.evaluation.fine_tune import FineTuneSettings, fine_tune
    from cmelt.evaluation.protocol import Protocol
    from cmelt.evaluation.report.fine_tuning import OURS, write_fine_tuning
    from cmelt.evaluation.report.writing import check_replaceable
    from cmelt.evaluation.tasks import load_task
    from cmelt.store import open_store

    check_replaceable(out, OURS)
    chosen = tuple(int(number) for number in numbers_of(leads, "--leads"))
    settings = FineTuneSettings(leads=chosen, fractions=numbers_of(fractions, "--fractions"), epochs=epochs, repeats=repeats)
    if not supervised:
        settings = replace(settings, supervised=None)
    protocol = Protocol((), draws, bootstrap, seed, words_of(splits), leave_out_known)
    asked, store, embedder = load_task(task), open_store(data), load_embedder(run)
    with stages("steps") as progress:
        results = fine_tune(embedder, store, asked, settings, protocol, progress)
    report = write_fine_tuning(results, out)
    if as_json:
        print_json(results.to_json())
    else:
        print_lines(results)
    say(f"report: {report}")


def print_lines(results: FineTuneResults) -> None:
    """One line a lead set and share: the three networks with their intervals."""
    print(f"{'leads':<7}{'labels':<9}{'macro AUROC':<24}{'random weights':<24}ResNet1d from scratch")
    for line in results.lines:
        c = line.comparison
        rival = "–" if c.supervised is None else c.supervised.macro_auroc.text()
        cells = f"{c.model.macro_auroc.text():<24}{c.random.macro_auroc.text():<24}{rival}"
        print(f"{line.leads:<7}{f'{100 * line.fraction:g} %':<9}{cells}")
