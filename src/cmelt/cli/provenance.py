"""`cmelt provenance`: from an answer back to weights, run, stores and source files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmelt.cli.console import print_json
from cmelt.errors import ConfigError

if TYPE_CHECKING:
    from cmelt.serving.provenance import Step

app = typer.Typer()

_MOST_BYTES = 64 << 20


@app.command()
def provenance(
    answer: Annotated[
        str,
        typer.Argument(help="File with an answer of the service (JSON, or all that curl -i prints), - for stdin, or a SHA-256."),
    ],
    model: Annotated[
        str | None, typer.Option(help="Where the weights lie, unless they are bundled: a run's or a model's folder.")
    ] = None,
    data: Annotated[list[Path] | None, typer.Option(help="A store that the run read; repeat for several.")] = None,
    sources: Annotated[list[Path] | None, typer.Option(help="Folder of a dataset that a store was made of; repeat.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The steps as a JSON list, the run's whole configuration with them.")
    ] = False,
) -> None:
    """Follow an answer back: its weights, the run that made them, the stores it read, the files these were made of.

    curl -si -F file=@ecg.dcm http://127.0.0.1:8517/v1/embed | cmelt provenance - --data ptbxl100 --sources ptb-xl

    Each step is named by a SHA-256 that the step before states, and checked where the thing itself is given. Weights that only
    import-dbeta or an older version has written say less; what is not known is said to be so.
    """
    from cmelt.serving.notice import NOTICE
    from cmelt.serving.provenance import as_json as plain
    from cmelt.serving.provenance import named_in
    from cmelt.serving.provenance import provenance as steps_of

    steps = steps_of(named_in(_content(answer)), model, tuple(data or ()), tuple(sources or ()))
    if as_json:
        print_json(plain(steps))
        return
    for step in steps:
        print("\n".join(_lines(step)))
    print(NOTICE)


def _content(answer: str) -> bytes:
    """What is asked about. Raises ConfigError."""
    if answer == "-":
        return sys.stdin.buffer.read(_MOST_BYTES)
    try:
        with Path(answer).open("rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        return answer.encode()  # a SHA-256, or nothing that names weights
    except OSError as error:
        raise ConfigError(answer, f"cannot be read ({type(error).__name__})", "give a file with an answer") from error


def _lines(step: Step) -> list[str]:
    """One step, for people."""
    lines = [f"{step.what}: SHA-256 {step.sha256}" if step.sha256 else f"{step.what}: no SHA-256 is stated"]
    lines += [f"  at {step.place}"] if step.place else []
    lines += [f"  {step.checked}"]
    for key, value in step.facts.items():
        if key == "configuration":
            lines.append("  its whole configuration: --json")
        else:
            told = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append(f"  {key}: {told}")
    return lines
