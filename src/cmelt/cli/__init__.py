"""The command line: one file a command, imported when it is called. A new one is a file with `app`, and one line here."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cmelt import __version__
from cmelt.errors import TRACEBACK, CMeltError, unforeseen

#: Name → (module with a Typer `app`, its line in `cmelt --help`), in the order of use.
COMMANDS: dict[str, tuple[str, str]] = {
    "sources": ("cmelt.cli.sources", "List the datasets that are known: size, licence, where to get them, how to cite."),
    "download": ("cmelt.cli.download", "Download a dataset that is openly published; goes on where it was interrupted."),
    "prepare": ("cmelt.cli.prepare", "Turn a dataset into a store."),
    "inspect": ("cmelt.cli.inspect", "Say what a store holds, and what was left out and why."),
    "show": ("cmelt.cli.show", "Read one ECG and say what is in it."),
    "plot": ("cmelt.cli.plot", "Draw one ECG on its paper, to scale: SVG, PNG or PDF."),
    "info": ("cmelt.cli.info", "Count a model's parameters, part by part."),
    "pretrain": ("cmelt.cli.pretrain", "Pre-train the two encoders on a store."),
    "evaluate": ("cmelt.cli.evaluate", "Measure a model: zero-shot, probes, intervals, controls."),
    "calibrate": ("cmelt.cli.calibrate", "Fit probabilities to a model's scores, from validation records."),
    "finetune": ("cmelt.cli.finetune", "Train the ECG encoder on labels, with 12 leads down to 1, beside its controls."),
    "import-dbeta": ("cmelt.cli.import_dbeta", "Make a model of the authors' published weights."),
    "export": ("cmelt.cli.export", "Write a model in a form that others read."),
    "study": ("cmelt.cli.study", "Compare models: train each on the same pairs, measure all on the same records."),
    "embed": ("cmelt.cli.embed", "Write a vector for every ECG of a store or folder."),
    "classify": ("cmelt.cli.classify", "Score every ECG of a store or folder for classes described in words."),
    "explain": ("cmelt.cli.explain", "Draw over one ECG what speaks for a finding and what against it."),
    "index": ("cmelt.cli.index", "Make a store searchable by ECG and by text."),
    "search": ("cmelt.cli.search", "Find the ECGs most like an ECG, or like what a text says."),
    "serve": ("cmelt.cli.serve", "Answer over HTTP, with a page for people."),
    "provenance": ("cmelt.cli.provenance", "Follow an answer back: weights, run, stores, source files."),
    "demo": ("cmelt.cli.demo", "The whole chain on simulated ECGs, in minutes."),
}

INTERRUPTED = 130


class CommandGroup(TyperGroup):
    """Lists the commands by their lines alone; imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, (_, line) in COMMANDS.items():
            self.add_command(TyperCommand(name, help=line), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that `args` names, with its module imported."""
        name, found, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            found = typer.main.get_command(import_module(COMMANDS[name][0]).app)
            found.name = name
        return name, found, rest


app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cmelt {__version__}")
        raise typer.Exit


@app.callback()
def cmelt(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Pre-train, evaluate and use an ECG encoder and a report encoder together. Research software, not a medical device.

    `cmelt COMMAND --help` begins with a working example. Results go to stdout, messages to stderr.
    Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """


def main() -> None:
    """The entry point `cmelt`: runs a command and turns errors into one message and an exit status."""
    # OpenMP's threads spin while they wait for each other, by default so long that training all but stops on a machine that
    # others use too. Read when torch is imported, hence here.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        app(prog_name="cmelt")
    except CMeltError as error:
        print(f"cmelt: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("cmelt: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:  # a fault of ours or of a library: what its message quotes may be a report
        if os.environ.get(TRACEBACK):
            raise
        print(f"cmelt: {unforeseen(error)}", file=sys.stderr)
        sys.exit(1)
