"""What is asked of an ECG: options of a request, each once, known by name and within bounds; nothing of them is echoed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, get_args

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import statements
from cmelt.evaluation.prompts.abbreviations import known_statement
from cmelt.evaluation.tasks import Task, bundled_tasks, load_task
from cmelt.evaluation.tasks.loading import Scoring
from cmelt.records.readers import ReadOptions
from cmelt.serving.classes import task_of
from cmelt.serving.http.refusal import UNPROCESSABLE, Refusal
from cmelt.serving.typed_lines import typed_lines

MOST_CLASSES, MOST_PROMPTS, LONGEST_PROMPT = 100, 400, 500
#: What a file may leave unsaid; in JSON these are keys of the ECG itself.
READING = ("rate", "unit", "leads")
ASKING = ("prompts", "as_typed", "classes", "task", "scoring")
DEFAULT_TASK = "ptbxl-super"

#: Option → its values as they came: texts of a query or a form, anything of JSON.
Given = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Lines:
    """Lines that somebody typed, each a class; `as_typed`: none of them is to be taken for a bundled statement."""

    lines: tuple[str, ...]
    as_typed: bool = False

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Question:
    """What an ECG is scored for.

    Attributes:
        classes: a bundled task's name, names of bundled statements, typed lines, or prompts by class; hashable.
        scoring: None for the task's own.
        only: of a task, these classes alone; () for all.
    """

    classes: str | tuple[str, ...] | Lines | tuple[tuple[str, tuple[str, ...]], ...]
    scoring: Scoring | None = None
    only: tuple[str, ...] = ()

    def task(self) -> Task:
        """The classes with their prompts, as `cmelt.describe` takes them. Raises ConfigError for prompts that cannot be."""
        if isinstance(self.classes, str):
            whole = load_task(self.classes)
            return replace(whole, classes={name: whole.classes[name] for name in self.only}) if self.only else whole
        if isinstance(self.classes, Lines):
            return typed_lines(self.classes.lines, as_typed=self.classes.as_typed)
        if isinstance(self.classes[0], str):
            return task_of([str(name) for name in self.classes])
        return task_of({str(one[0]): list(one[1]) for one in self.classes})


def merged(query: Sequence[tuple[str, Any]], form: Sequence[tuple[str, Any]], known: Sequence[str]) -> dict[str, list[Any]]:
    """Options of query and form or body by name. Raises Refusal for one that is not known, or stands in both."""
    both = {name for name, _ in query} & {name for name, _ in form}
    if both & set(known):
        raise _refused(f"{min(both & set(known))} stands in the query and in the body", "give it once")
    found: dict[str, list[Any]] = {}
    for name, value in (*query, *form):
        if name not in known:
            raise _refused("an option that is not known here", f"known: {', '.join(known)}")
        found.setdefault(name, []).append(value)
    return found


def read_options(given: Given) -> ReadOptions:
    """What the request says of a file that leaves it unsaid."""
    rate, unit, leads = text_of(given, "rate"), text_of(given, "unit"), text_of(given, "leads")
    named = None if leads is None else tuple(lead.strip() for lead in leads.split(","))
    return ReadOptions(False, None if rate is None else number_in(rate, "rate", 1e-3, 1e6), unit, named)


def question_of(given: Given, default: str = DEFAULT_TASK) -> Question:
    """The classes that a request asks for: `prompts`, `classes` or `task`; `default` where none is given.

    `task` with `classes` means these classes of the task.

    Raises:
        Refusal: several, an unknown name, or more than is allowed.
    """
    if "prompts" in given and ("classes" in given or "task" in given):
        raise _refused("prompts are given beside classes or a task", "give prompts, or classes, or a task")
    scoring = text_of(given, "scoring")
    if scoring is not None and scoring not in get_args(Scoring):
        raise _refused("scoring is none that is known", f"known: {', '.join(get_args(Scoring))}")
    chosen: Scoring | None = scoring  # type: ignore[assignment]
    as_typed = _is_true(given, "as_typed")
    if "prompts" in given:
        return Question(_prompts(given["prompts"], as_typed), chosen)
    if "classes" in given and "task" not in given:
        return Question(_statements(given["classes"]), chosen)
    task = text_of(given, "task") or default
    if task not in bundled_tasks():  # no path of a file here: callers name what the service has, not what its disk has
        raise _refused("task is none that is known", f"known: {', '.join(bundled_tasks())}")
    if "classes" not in given:
        return Question(task, chosen)
    return Question(task, chosen, _classes_of(task, given["classes"]))


def _statements(values: Sequence[Any]) -> tuple[str, ...]:
    """Names of bundled statements, whose abbreviations ("afib") count too."""
    return _chosen(values, known_statement, tuple(statements()), "statement")


def _classes_of(task: str, values: Sequence[Any]) -> tuple[str, ...]:
    """Names of some of a task's classes."""
    known = tuple(load_task(task).classes)
    return _chosen(values, lambda name: name if name in known else None, known, "class of this task")


def _chosen(values: Sequence[Any], named: Callable[[str], str | None], known: Sequence[str], what: str) -> tuple[str, ...]:
    """Names out of `classes=a,b`, `classes=a&classes=b` or a JSON list, as `named` has them; each counts once."""
    found: dict[str, None] = {}
    for place, name in enumerate(texts_of(values, "classes", ","), 1):
        try:
            own = named(name)
        except ConfigError as error:  # an abbreviation of several; what it may mean is ours to say
            raise _refused(f"number {place} of classes means several things", error.remedy) from error
        if own is None:
            near = get_close_matches(name, known, n=3)
            remedy = f"perhaps {' or '.join(near)}" if near else "GET /v1/tasks lists them; or send prompts of your own"
            raise _refused(f"number {place} of classes is no {what} that is known", remedy)
        found[own] = None
    if not 1 <= len(found) <= MOST_CLASSES:
        raise _refused(f"classes names none, or more than {MOST_CLASSES}", "name some, separated by commas")
    return tuple(found)


def _prompts(values: Sequence[Any], as_typed: bool) -> Lines | tuple[tuple[str, tuple[str, ...]], ...]:
    """Lines, a class each, as text or JSON ["line", …]; or classes with their prompts, JSON {"class": ["prompt", …]}."""
    if len(values) == 1 and isinstance(values[0], str) and values[0].lstrip().startswith("{"):
        try:
            values = [json.loads(values[0])]
        except (ValueError, RecursionError):
            raise _refused("prompts begins like JSON and is none", "send one finding a line, or JSON") from None
    named = len(values) == 1 and isinstance(values[0], dict)
    if named:
        classes = {name: tuple(texts_of([texts], "a class of prompts", "\n")) for name, texts in values[0].items()}
    else:
        classes = {text: (text,) for text in texts_of(values, "prompts", "\n")}
    if not 1 <= len(classes) <= MOST_CLASSES or sum(map(len, classes.values())) > MOST_PROMPTS:
        raise _refused(f"prompts has none, more than {MOST_CLASSES} classes, or than {MOST_PROMPTS} texts", "send fewer")
    if any(not texts for texts in classes.values()):
        raise _refused("a class of prompts has no text", "give each at least one")
    if any(len(text) > LONGEST_PROMPT for name, texts in classes.items() for text in (name, *texts)):
        raise _refused(f"a prompt is longer than {LONGEST_PROMPT} characters", "say one finding in a few words")
    if any(len(set(texts)) < len(texts) for texts in classes.values()):
        raise _refused("a class of prompts has the same text twice", "give each once")
    return tuple(classes.items()) if named else Lines(tuple(classes), as_typed)


def texts_of(values: Sequence[Any], name: str, separator: str) -> list[str]:
    """Texts out of texts and lists of texts, cut at `separator`, stripped, without empty ones."""
    found: list[str] = []
    for value in values:
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise _refused(f"{name} holds something that is no text", "send texts")
            found += [part.strip() for part in text.split(separator)]
    return [text for text in found if text]


def text_of(given: Given, name: str) -> str | None:
    """The one text that `name` has; None where it is not given."""
    values = given.get(name, ())
    if not values:
        return None
    if len(values) > 1 or not isinstance(values[0], str | int | float):
        raise _refused(f"{name} is given more than once, or is no text", "give it once")
    return str(values[0]).strip() or None


def _is_true(given: Given, name: str) -> bool:
    """Whether an option that is true or false is true; not given, it is false."""
    value = (text_of(given, name) or "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise _refused(f"{name} is neither true nor false", "send true or false")
    return value in ("true", "1")


def number_in(text: str, name: str, lowest: float, highest: float) -> float:
    """`text` as a number within bounds."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:
        raise _refused(f"{name} is no number between {lowest:g} and {highest:g}", "correct it")
    return value


def _refused(reason: str, remedy: str) -> Refusal:
    return Refusal(UNPROCESSABLE, "the question", reason, remedy)
