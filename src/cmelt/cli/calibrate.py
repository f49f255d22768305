"""`cmelt calibrate`: probabilities for a model's scores, from validation records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import print_json, progress_of, say

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="A run's folder, a model's, or a bundled model's name.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", help="A store; its validation split is used alone.", show_default=False)],
    task: Annotated[
        list[str],
        typer.Option(help="A bundled task or a task file; may be repeated. Replaces what is there.", show_default=False),
    ],
    bootstrap: Annotated[int, typer.Option(min=20, help="Draws of the patients, for intervals.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and folds.")] = 0,
    leave_out_known: Annotated[
        bool, typer.Option("--leave-out-known", help="Leave out records that training has seen, which are refused otherwise.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Fit probabilities to a model's scores, class by class, and keep them as calibration.json beside its weights.

    Example: cmelt calibrate runs/small --data ptbxl100 --task ptbxl-super

    A class of too few patients, or whose score tells nothing, gets none. Test records play no part.
    """
    from cmelt.checkpoints import load_embedder
    from cmelt.checkpoints.finding import find_model
    from cmelt.errors import ConfigError
    from cmelt.evaluation.tasks import load_task
    from cmelt.serving.calibrating import Draws, keep
    from cmelt.serving.calibrating import calibrate as fit
    from cmelt.store import open_store

    tasks = [load_task(name) for name in task]
    names = [one.name for one in tasks]
    if len(set(names)) < len(names):
        raise ConfigError("--task", f"two tasks are called {max(names, key=names.count)}", "name each once")
    with progress_of("embedding") as progress:
        found = fit(
            load_embedder(model),
            open_store(data),
            tasks,
            Draws(bootstrap, seed),
            leave_out_known=leave_out_known,
            progress=progress,
        )
    path = keep(find_model(model), found)
    kept = [{key: getattr(one, key) for key in _TOLD} for one in found.classes]
    if as_json:
        print_json({"path": str(path), "weights": found.weights, "store": found.store, "classes": kept})
        return
    print(f"{'class':<48}{'curve':<10}{'positives':>9} of records")
    for one in found.classes:
        why = f"  {one.why_none}" if one.why_none else ""
        print(f"{one.task + ' ' + one.name:<48}{one.kind:<10}{one.positives:>9} of {one.records}{why}")
    say(f"calibration: {path}")


_TOLD = ("task", "name", "kind", "records", "positives", "patients", "positive_patients", "loss", "why_none")
