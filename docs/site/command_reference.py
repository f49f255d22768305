"""Every command of `cmelt` with its usage, help and options, read from the Typer application itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from cmelt.cli import COMMANDS, app

#: Typer's own, of commands that leave them on.
_OF_THE_SHELL = {"--install-completion", "--show-completion", "--help"}
_CONSTRAINTS = re.compile(r"\s*\[((?:required|default|env var|[x\d]).*)\]$")


def command_reference() -> str:
    """Markdown: a heading for each command and subcommand, in the order of `cmelt --help`."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="cmelt")
    parts: list[str] = []
    for name in COMMANDS:
        command = group.resolve_command(context, [name])[1]
        parts += _section(command, typer.Context(command, info_name=name, parent=context), depth=2)
    return "\n".join(parts)


def _section(command: Any, context: Any, depth: int) -> Iterator[str]:
    """A command's heading, usage, help and tables, then those of its subcommands a level deeper."""
    yield f"{'#' * depth} {context.command_path}\n"
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    yield from _help(command.help or "")
    records = [(parameter, parameter.get_help_record(context)) for parameter in command.params]
    shown = [record for parameter, record in records if record and not _OF_THE_SHELL & set(parameter.opts)]
    if shown:
        yield "| argument, option | what it is for | must or may be |\n|---|---|---|"
        yield from (_row(*record) for record in shown)
        yield ""
    for name, inner in getattr(command, "commands", {}).items():
        yield from _section(inner, typer.Context(inner, info_name=name, parent=context), depth + 1)


def _help(text: str) -> Iterator[str]:
    """The paragraphs of a help text; those that are commands as code."""
    for paragraph in _plain(text).split("\n\n"):
        lines = re.sub(r"^Examples?: ", "", paragraph).splitlines()
        if all(line.startswith("cmelt ") for line in lines) and not any(":" in line.replace("://", "") for line in lines):
            yield "```text\n" + "\n".join(line.rstrip(",") for line in lines) + "\n```\n"
        else:
            yield _prose(paragraph) + "\n"


def _row(names: str, told: str) -> str:
    """One option: its names, what it is for, and what it must or may be."""
    found = _CONSTRAINTS.search(told)
    what, rule = (told[: found.start()], found[1]) if found else (told, "")
    code = names.replace("|", "\\|")
    return f"| `{code}` | {_prose(_plain(what))} | {_prose(rule)} |"


def _plain(text: str) -> str:
    """Without the strokes that keep the terminal's mark-up from taking brackets away."""
    return text.replace("\\[", "[")


def _prose(text: str) -> str:
    """Words that Markdown takes as words, whatever stars, brackets and bars are among them."""
    return re.sub(r"([\\*_<>\[\]|`])", r"\\\1", text)
