"""`cmelt info`: how large a recipe's or a model's parts are, without making their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cmelt.cli.console import print_json, print_yaml

app = typer.Typer()


@app.command()
def info(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A bundled model, or the folder of a run or of a model.", show_default=False),
    ] = None,
    recipe: Annotated[str | None, typer.Option("--recipe", help="A bundled recipe or a .yaml file.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="The same as MODEL.")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="Every key with its value instead, bases resolved.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help='{"total": …, "parts": {"ecg_encoder": …, …}} to stdout.')] = False,
) -> None:
    """Count a model's parameters, part by part.

    cmelt info small

    cmelt info --recipe paper
    """
    if sum(given is not None for given in (name, recipe, model)) != 1:
        raise typer.BadParameter("give one of MODEL, --recipe and --model")
    from cmelt.checkpoints.finding import find_model
    from cmelt.model.sizes import parameter_counts, settings_of_model, settings_of_recipe

    model = name or model
    folder = None if model is None else find_model(model)
    if settings:
        print_yaml(_settings(recipe, folder))
        return
    counts = parameter_counts(settings_of_model(folder) if folder is not None else settings_of_recipe(str(recipe)))
    if as_json:
        print_json({"total": sum(counts.values()), "parts": counts})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "parameters", title=f"{recipe or model}: {sum(counts.values()) / 1e6:.1f} M parameters")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    Console().print(table)


def _settings(recipe: str | None, model: Path | None) -> dict[str, Any]:
    """Every key of a recipe, its base's included; or of a model, with what trained it."""
    from cmelt.config import load_recipe, to_mapping
    from cmelt.model.sizes import settings_of_model

    if model is None:
        return to_mapping(load_recipe(str(recipe)))
    config = settings_of_model(model)
    return {"model": config.settings, "objectives": config.objectives}
