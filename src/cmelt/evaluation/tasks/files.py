"""Task files: strict YAML in, a task out, with the words of the statements that it names put in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from cmelt.config.parsing import from_mapping
from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import LANGUAGES, Language, Statement, statements
from cmelt.evaluation.strict_yaml import read_strict_yaml
from cmelt.evaluation.tasks.loading import Scoring, Split, Task, TaskClass


@dataclass(frozen=True)
class _ClassFile:
    """One class as written: texts of its own, names of statements, or both; texts of its own come last.

    Attributes:
        statements: whose wordings describe the class: any of them makes a record positive.
        against: statements whose wordings are negative prompts; left out, the task's.
    """

    labels: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    negative_prompts: tuple[str, ...] = ()
    absent_prompts: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    against: tuple[str, ...] | None = None


@dataclass(frozen=True)
class _TaskFile:
    """A task as written: `Task`, and what is to be said of its statements.

    Attributes:
        against: of classes that neither say `against` nor bring negative prompts of their own.
        languages: in which statements are worded.
    """

    classes: dict[str, _ClassFile]
    name: str = ""
    description: str = ""
    population: Literal["labelled", "all"] = "all"
    splits: tuple[Split, ...] = ("validation", "test")
    headline: Scoring = "contrast"
    against: tuple[str, ...] = ()
    languages: tuple[Language, ...] = LANGUAGES


def read_task(path: Path) -> Task:
    """The task of a file. Raises ConfigError naming the file and the key for anything that is not understood."""
    file = from_mapping(_TaskFile, read_strict_yaml(path), path)
    if not file.languages:
        raise ConfigError(path, "languages is empty", f"name one or more of {', '.join(LANGUAGES)}, or leave the key out")
    classes = {name: _task_class(one, file, path, f"classes.{name}") for name, one in file.classes.items()}
    try:
        return Task(classes, file.name or path.stem, file.description, file.population, file.splits, file.headline)
    except ValueError as fault:
        raise ConfigError(path, str(fault)) from None


def _task_class(one: _ClassFile, file: _TaskFile, path: Path, key: str) -> TaskClass:
    if not one.prompts and not one.statements:
        raise ConfigError(path, f"{key}.prompts and {key}.statements are both missing", "one of them must describe the class")
    against = file.against if one.against is None and not one.negative_prompts else one.against or ()
    described = _named(one.statements, path, f"{key}.statements")
    others = _named(against, path, f"{key}.against")
    try:
        return TaskClass(
            labels=one.labels,
            prompts=_union((s.present.texts(file.languages) for s in described), one.prompts),
            negative_prompts=_union((s.present.texts(file.languages) for s in others), one.negative_prompts),
            absent_prompts=_union((s.absent.texts(file.languages) for s in described), one.absent_prompts),
        )
    except ValueError as fault:
        raise ConfigError(path, f"{key}: {fault}") from None


def _named(names: Iterable[str], path: Path, key: str) -> list[Statement]:
    known = statements()
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3)
            remedy = f"perhaps {' or '.join(near)}" if near else "docs/prompts.md lists them; or write prompts of your own"
            raise ConfigError(path, f"{key} names {name}, which is no bundled statement", remedy)
    return [known[name] for name in names]


def _union(groups: Iterable[tuple[str, ...]], own: tuple[str, ...]) -> tuple[str, ...]:
    """The statements' texts, each once though two statements may share it, and then the file's own as they are."""
    return (*dict.fromkeys(text for group in groups for text in group), *own)
