"""Every key that a recipe may have: what it is for, what it may be, and what the bundled recipes say."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cmelt.config import RECIPES, load_recipe, recipe_names
from cmelt.config.settings import Recipe

#: Recipes that have a column. The rivals of `small` are `small` but for what their own files say.
SHOWN = ("paper", "base", "small", "demo")
#: Characters of a text that is not repeated in a column.
LONG = 30
_LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*)(?:# (?P<comment>.*))?$")


def settings_reference() -> str:
    """Markdown: a heading and a table for each section of a recipe."""
    recipes = {name: load_recipe(name) for name in SHOWN}
    return "\n".join(_section(Recipe, "", recipes))


def _section(kind: type, path: str, values: dict[str, Any]) -> Iterator[str]:
    """The plain keys of one dataclass as a table, then its sections."""
    hints = get_type_hints(kind)
    rows: list[str] = []
    inner: list[tuple[type, str, dict[str, Any]]] = []
    for field in dataclasses.fields(kind):
        hint, key = hints[field.name], f"{path}{field.name}"
        of_recipes = {name: getattr(value, field.name) for name, value in values.items()}
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            inner.append((hint, f"{key}.", of_recipes))
        else:
            said = " | ".join(_value(value) for value in of_recipes.values())
            rows.append(f"| `{field.name}` | {_purpose(kind, key)} | {_words(hint)} | {said} |")
    if rows:
        yield f"## {path.rstrip('.') or 'The recipe itself'}\n"
        yield f"{inspect.getdoc(kind)}\n"
        yield f"| key | what it is for | may be | {' | '.join(f'`{name}`' for name in values)} |"
        yield "|---" * (3 + len(values)) + "|"
        yield "\n".join(rows) + "\n"
    for hint, key, of_recipes in inner:
        yield from _section(hint, key, of_recipes)


def _purpose(kind: type, key: str) -> str:
    """What a recipe's file says beside the key (`paper` before the others), else what stands above the field in the code."""
    comments = _comments()
    text = comments.get(key) or _above(kind, key.rpartition(".")[2])
    return text.replace("|", "\\|")


@cache
def _comments() -> dict[str, str]:
    """Full key → the comment beside it in the first recipe that has one."""
    found: dict[str, str] = {}
    for name in (*SHOWN, *recipe_names()):
        above: list[str] = []
        for line in (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
            if match := _LINE.match(line):
                above = [*above[: len(match["indent"]) // 2], match["key"]]
                if match["comment"]:
                    found.setdefault(".".join(above), match["comment"])
    return found


def _above(kind: type, name: str) -> str:
    """The comment lines right above a field in its class."""
    comment: list[str] = []
    for line in map(str.strip, inspect.getsource(kind).splitlines()):
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif line.startswith(f"{name}:"):
            break
        else:
            comment = []
    return " ".join(comment)


def _words(hint: Any) -> str:
    """A type as a person would say it."""
    if get_origin(hint) is Literal:
        return " ".join(f"`{word}`" for word in get_args(hint))
    if get_origin(hint) is UnionType:
        return " or ".join("`null`" if part is NoneType else _words(part) for part in get_args(hint))
    if get_origin(hint) is tuple:
        inner = dict.fromkeys(_words(part) for part in get_args(hint) if part is not ...)
        return f"list of {', '.join(inner)}"
    if get_origin(hint) is dict:
        return "mapping"
    return {bool: "`true` `false`", int: "whole number", float: "number", str: "text"}[hint]


def _value(value: Any) -> str:
    """A value as YAML would have it."""
    match value:
        case None | bool():
            return f"`{'null' if value is None else str(value).lower()}`"
        case dict():
            return "its own" if value else ""
        case list() | tuple():
            return f"[{', '.join(_value(part) for part in value)}]"
        case float():
            return f"{value:g}"
    return str(value) if len(str(value)) < LONG else "its own"
