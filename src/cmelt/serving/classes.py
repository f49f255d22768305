"""What a record is to be scored for: a bundled task, bundled statements by name, or prompts of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import statements
from cmelt.evaluation.tasks import Task, TaskClass, bundled_tasks, load_task

if TYPE_CHECKING:
    from cmelt.evaluation.prompts import Statement

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
        return Task({name: _bundled(name, against) for name in classes}, "statements")
    except ValueError as fault:
        raise ConfigError("classes", str(fault)) from None


def _named_task(name: str) -> Task:
    if name.endswith((".yaml", ".yml")) or name in bundled_tasks():
        return load_task(name)
    if name in statements():
        return task_of([name])
    raise ConfigError("classes", f"{name} is no task and no statement", f"tasks: {', '.join(bundled_tasks())}; or give a list")


def _own(name: str, prompts: Sequence[str], against: Sequence[str] | None) -> TaskClass:
    if isinstance(prompts, str):
        raise ConfigError(f"classes.{name}", "its prompts are one text", "give a list of texts, with one or several in it")
    negative = _normal() if against is None else tuple(against)
    return TaskClass((name,), tuple(prompts), tuple(text for text in negative if text not in prompts))


def _bundled(name: str, against: Sequence[str] | None) -> TaskClass:
    statement = _statement(name)
    present, absent = statement.present.texts(), statement.absent.texts()
    if against is not None:
        negative = tuple(against)
    else:
        # Normal is told from what is not; everything else from normal.
        negative = absent if name == NORMAL else tuple(text for text in _normal() if text not in present)
    return TaskClass((name,), present, negative, absent)


def _normal() -> tuple[str, ...]:
    return _statement(NORMAL).present.texts()


def _statement(name: str) -> Statement:
    known = statements()
    if name not in known:
        near = get_close_matches(name, known, n=3)
        remedy = f"perhaps {' or '.join(near)}" if near else "cmelt.evaluation.prompts lists them; or give prompts of your own"
        raise ConfigError("classes", f"{name} is no bundled statement", remedy)
    return known[name]
