"""`cmelt demo`: the whole chain on simulated ECGs, from nothing to a report, in minutes on a laptop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import progress_of, say, stages

app = typer.Typer()

RATE, SECONDS = 100.0, 10.0


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where store, run and report go.")] = Path("demo-output"),
    records: Annotated[int, typer.Option(min=200, help="How many ECGs to simulate.")] = 12000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that simulate.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated patients.")] = 0,
) -> None:
    """Simulate an archive, pre-train on it, evaluate on unseen patients with unseen phrasings, write a report.

    cmelt demo --out demo-output

    An interrupted demo goes on where it stopped when it is called again.
    """
    from cmelt.checkpoints import load_embedder
    from cmelt.cli.evaluate import print_figures
    from cmelt.cli.watching import watching
    from cmelt.config import load_recipe
    from cmelt.evaluation.evaluate import evaluate_tasks
    from cmelt.evaluation.protocol import Protocol
    from cmelt.evaluation.report import write_report
    from cmelt.evaluation.tasks import load_task
    from cmelt.store import open_store
    from cmelt.training.loop import pretrain

    say("1/3  simulating patients")
    store_folder, run = out / "store", out / "run"
    _prepare(store_folder, records, workers, seed)
    store = open_store(store_folder)
    say("2/3  pre-training on the train split")
    with watching() as watcher:
        code = pretrain(load_recipe("demo"), store, run, watcher)
    if code:
        sys.exit(code)
    say("3/3  evaluating on unseen patients, with prompts phrased as no report was")
    embedder, control = load_embedder(run), load_embedder(run, random=True)
    with stages() as progress:
        results = evaluate_tasks(embedder, control, store, [load_task("simulated")], Protocol(fractions=()), progress)
    report = write_report(results, out / "report", loss_log=run / "metrics.jsonl", store=store)
    print_figures(results)
    print(f"\nThe report lies in {report}; open it in a browser. Research use only, not a medical device.")


def _prepare(folder: Path, records: int, workers: int, seed: int) -> None:
    from cmelt.sources.simulated import Simulated
    from cmelt.store import ShardSettings, prepare_store

    if folder.exists():
        say(f"the store of an earlier demo is there: {folder}")
        return
    with progress_of("simulating") as progress:
        prepare_store(
            Simulated(records, seed=seed, rate=RATE, seconds=SECONDS),
            folder,
            ShardSettings(RATE, SECONDS, "centre", "demo"),
            workers=workers,
            progress=progress,
        )
