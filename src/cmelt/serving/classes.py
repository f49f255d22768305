"""What a record is to be scored for: a bundled task, bundled statements by name, or prompts of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import statements
from cmelt.evaluation.prompts.abbreviations import known_statement, statement_named
from cmelt.evaluation.tasks import Task, TaskClass, bundled_tasks, load_task

#: A task, the name of a bundled one or of a task file; names of bundled statements; or prompts by class.
Classes = Task | str | Path | Sequence[str] | Mapping[str, Sequence[str]]

NORMAL = "normal-ecg"


def task_of(classes: Classes, against: Sequence[str] | None = None) -> Task:
    """The classes with their prompts, and what they are scored against.

    Args:
        classes: see `Classes`. A task brings its own negative prompts.
        against: negative prompts of statements and of prompts of one's own. None: those of a normal ECG; empty: none, so that the
            raw similarity counts, which ranks records by how like any report they are.
    Raises:
        ConfigError: no class, an unknown name, or a text that is both prompt and negative prompt.
    """
    if isinstance(classes, str | Path | Task):
        if against is not None:
            raise ConfigError("against", "a task brings its own negative prompts", "leave `against` away, or give prompts")
        return classes if isinstance(classes, Task) else _named_task(str(classes))
    if not classes:
        raise ConfigError("classes", "there is none", "name at least one class")
    try:
        if isinstance(classes, Mapping):
            return Task({name: _own(name, prompts, against) for name, prompts in classes.items()}, "own")
        names = [statement_named(name) for name in classes]
        if len(set(names)) < len(names):
            raise ConfigError("classes", f"{max(names, key=names.count)} is named twice", "name each statement once")
        return Task({name: _bundled(name, against) for name in names}, "statements")
    except ValueError as fault:
        raise ConfigError("classes", str(fault)) from None


def _named_task(name: str) -> Task:
    if name.endswith((".yaml", ".yml")) or name in bundled_tasks():
        return load_task(name)
    if (statement := known_statement(name)) is not None:
        return task_of([statement])
    raise ConfigError("classes", f"{name} is no task and no statement", f"tasks: {', '.join(bundled_tasks())}; or give a list")


def _own(name: str, prompts: Sequence[str], against: Sequence[str] | None) -> TaskClass:
    if isinstance(prompts, str):
        raise ConfigError(f"classes.{name}", "its prompts are one text", "give a list of texts, with one or several in it")
    negative = _normal() if against is None else tuple(against)
    return TaskClass((name,), tuple(prompts), tuple(text for text in negative if text not in prompts))


def _bundled(name: str, against: Sequence[str] | None) -> TaskClass:
    statement = statements()[name]
    present, absent = statement.present.texts(), statement.absent.texts()
    if against is not None:
        negative = tuple(against)
    else:
        # Normal is told from what is not; everything else from normal.
        negative = absent if name == NORMAL else tuple(text for text in _normal() if text not in present)
    return TaskClass((name,), present, negative, absent)


def _normal() -> tuple[str, ...]:
    return statements()[NORMAL].present.texts()
