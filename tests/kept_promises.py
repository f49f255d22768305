"""What a room promises of every call, held while its tests run: None goes nowhere unasked, and errors say what a user needs.

A fault in what a function hands on shows in a test only where the one path is taken on which it matters: a file's name that is
lost on the way is missed by the error that would tell it, and by nothing else. Here every call of every test is looked at.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from cmelt.errors import RecordError

#: Faults that say what to do about them.
SAY_ALL = ("the record has no samples",)
_MAY_BE_NONE = ("None", "Any", "object", "Optional", "_Fact")


@contextmanager
def promises_kept(package: str) -> Iterator[None]:
    """While it lasts, calls within `package` fail where an argument, a field or an answer is None that may not be, and errors
    where they do not name a file, a fault and a remedy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecordError, "__init__", _telling)
        for module in modules_of(package):
            for name, held in list(vars(module).items()):
                if isinstance(held, FunctionType) and held.__module__.startswith(package):
                    patch.setattr(module, name, _asking(held))
                elif is_dataclass(held) and isinstance(held, type) and held.__module__ == module.__name__:
                    patch.setattr(held, "__init__", _asking(held.__init__))
        yield


def modules_of(package: str) -> list[ModuleType]:
    """The modules of `package`, those below it too; what runs as a program of its own is left out."""
    top = importlib.import_module(package)
    names = [found.name for found in pkgutil.walk_packages(top.__path__, f"{package}.")]
    return [top, *(importlib.import_module(name) for name in names if not name.endswith("_child"))]


def _asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which fails where it is handed None, or answers None, without having said that it may."""
    names = list(inspect.signature(function).parameters)
    strict = {name for name, told in function.__annotations__.items() if not any(word in str(told) for word in _MAY_BE_NONE)}
    answers = "return" in strict

    @functools.wraps(function)
    def asked(*args: Any, **named: Any) -> Any:
        for value in (*args, *named.values()):  # a million times in some tests
            if value is None or (value.__class__ is str and value == "None"):
                given = dict(zip(names, args, strict=False)) | named
                _no_nothing(function.__qualname__, given, strict)
                break
        answer = function(*args, **named)
        assert answer is not None or not answers, f"{function.__qualname__} answers None"
        return answer

    return asked


def _no_nothing(name: str, given: dict[str, Any], strict: set[str]) -> None:
    """No argument of `given` is None that is among `strict`, and none is its name."""
    assert "None" not in [value for value in given.values() if isinstance(value, str)], "nothing, written out"
    unasked = [argument for argument, value in given.items() if value is None and argument in strict]
    assert not unasked, f"{name} is handed None as {', '.join(unasked)}"


def _telling(self: RecordError, where: str | Path, fault: str, remedy: str = "") -> None:
    """A RecordError's beginning, held to what the family promises."""
    assert isinstance(where, str | Path) and str(where) not in ("", "None"), "an error that names no file"
    assert isinstance(fault, str) and fault and isinstance(remedy, str), "an error that says nothing"
    assert remedy or fault in SAY_ALL, f"an error without a remedy: {fault}"
    assert str(where) != fault and not str(where).startswith(("holds ", "is ", "has ", "the ", "a ")), (
        "a fault in the file's place"
    )
    super(RecordError, self).__init__(where, fault, remedy)
