"""YAML and mappings into frozen dataclasses: every key known, every value of its type, or an error that names the key."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cmelt.errors import ConfigError

Settings = TypeVar("Settings")

LARGEST_YAML = 4 << 20
DEEPEST_YAML = 50


def read_yaml(path: Path) -> dict[str, Any]:
    """One YAML mapping, read without tags that could construct anything but plain values."""
    import yaml

    try:
        with path.open("rb") as stream:
            text = stream.read(LARGEST_YAML + 1)
        _refuse_unplain(text, path)
        content = yaml.safe_load(text.decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(path, "no such file") from None
    except OSError as fault:
        raise ConfigError(path, f"cannot be read: {fault.strerror}", "check the path and its permissions") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as fault:
        raise ConfigError(path, f"not readable as YAML: {str(fault).splitlines()[0]}", "check indentation and quotes") from None
    if not isinstance(content, dict):
        raise ConfigError(path, f"holds a {type(content).__name__}", "a mapping of keys is needed")
    return content


def _refuse_unplain(text: bytes, path: Path) -> None:
    """Refuse what is no settings file: aliases, which let a few lines stand for billions, and what is too large or too deep.

    Raises:
        ConfigError: that, and where.
    """
    import yaml

    if len(text) > LARGEST_YAML:
        raise ConfigError(path, f"is larger than {LARGEST_YAML >> 20} MiB", "no settings file is: check what it is")
    depth = 0
    for event in yaml.parse(text.decode("utf-8"), Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(path, f"refers to another part of itself (*{event.anchor}, line {line})", "write it out in full")
        if isinstance(event, yaml.CollectionStartEvent | yaml.CollectionEndEvent):
            depth += 1 if isinstance(event, yaml.CollectionStartEvent) else -1
        if depth > DEEPEST_YAML:
            raise ConfigError(path, f"is nested more than {DEEPEST_YAML} deep (line {line})", "no settings file is")


def from_mapping(kind: type[Settings], content: Mapping[str, Any], where: str | Path, key: str = "") -> Settings:
    """Build the dataclass `kind` from a mapping.

    Raises ConfigError for an unknown key (naming the known ones), a missing one without a default, a value of another
    type or outside a closed set of words.
    """
    if not isinstance(content, Mapping):
        raise ConfigError(where, f"{key or 'the top level'} is a {type(content).__name__}", "a mapping of keys is needed")
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in content:
        if name not in fields:
            raise ConfigError(where, f"unknown key {_join(key, str(name))}", f"known here: {', '.join(sorted(fields))}")
    values = {name: _value(hints[name], content[name], where, _join(key, name)) for name in content}
    for name, f in fields.items():
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise ConfigError(where, f"key {_join(key, name)} is missing")
    try:
        return kind(**values)
    except ValueError as fault:
        raise ConfigError(where, f"{key or 'settings'}: {fault}") from None


def to_mapping(settings: Any) -> dict[str, Any]:
    """The plain mapping that `from_mapping` reads back to an equal object; tuples become lists as in YAML and JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, list | tuple) else value

    return {k: plain(v) for k, v in dataclasses.asdict(settings).items()}


def differing_keys(one: Any, other: Any, key: str = "") -> list[str]:
    """The dotted keys in which two plain mappings differ, in order; a key that one of them lacks counts."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return [] if one == other else [key]
    names = sorted({str(name) for name in (*one, *other)})
    absent = object()
    return [
        found for name in names for found in differing_keys(one.get(name, absent), other.get(name, absent), _join(key, name))
    ]  # fmt: skip


def merged(kind: type, below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with everything that `above` says put over it; neither is changed.

    Sections that are dataclasses of ours are merged key by key. Lists, and mappings whose keys are not ours (a text encoder's
    architecture), are replaced as a whole. Keys that `kind` does not know stay in, for `from_mapping` to refuse.
    """
    hints = get_type_hints(kind)
    result = dict(below)
    for name, value in above.items():
        hint, beneath = hints.get(name), below.get(name)
        section = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        if section and isinstance(value, Mapping) and isinstance(beneath, Mapping):
            result[name] = merged(hint, beneath, value)  # type: ignore[arg-type]
        else:
            result[name] = value
    return result


def override(content: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """A copy of `content` with "section.key=value" assignments put in; values are read as YAML scalars or lists."""
    import copy

    import yaml

    result = copy.deepcopy(content)
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        if not sign or not path:
            raise ConfigError(f"--set {assignment}", "not of the form section.key=value")
        *sections, last = path.split(".")
        place = result
        for section in sections:
            nested = place.get(section)
            if nested is None:
                nested = place[section] = {}
            if not isinstance(nested, dict):
                raise ConfigError(f"--set {assignment}", f"{section} is a value, not a section")
            place = nested
        try:
            place[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {assignment}", "the value is not readable as YAML", "check brackets and quotes") from None
    return result


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _value(hint: Any, value: Any, where: str | Path, key: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, where, key)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(where, f"{key} is {value!r}", f"choose one of {', '.join(map(str, arguments))}")
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_mapping(hint, value, where, key)
    if origin is tuple:
        return _sequence(arguments, value, where, key)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(where, f"{key} is a {type(value).__name__}", "a mapping is needed")
        return {str(k): _value(arguments[1], v, where, _join(key, str(k))) for k, v in value.items()}
    return _scalar(hint, value, where, key)


def _sequence(arguments: tuple[Any, ...], value: Any, where: str | Path, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(where, f"{key} is {value!r}", "a list is needed")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_value(arguments[0], v, where, f"{key}[{i}]") for i, v in enumerate(value))
    if len(value) != len(arguments):
        raise ConfigError(where, f"{key} has {len(value)} entries", f"{len(arguments)} are needed")
    return tuple(_value(a, v, where, f"{key}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))


def _scalar(hint: Any, value: Any, where: str | Path, key: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-4 (no dot) as a word; people write it all the time.
        try:
            return float(value)
        except ValueError:
            pass
    if hint in (int, bool, str) and type(value) is hint:
        return value
    raise ConfigError(where, f"{key} is {value!r}", f"{getattr(hint, '__name__', hint)} is needed")
