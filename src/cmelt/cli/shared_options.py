"""Options that several commands share: declared once, as a dataclass whose fields are options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def with_options(command: Callable[..., None], name: str, options: type[Any]) -> Callable[..., None]:
    """`command(…, name: options)` as a function for Typer that has one option for each field of `options` instead."""
    own = [parameter for known, parameter in signature(command).parameters.items() if known != name]
    hints = get_type_hints(options, include_extras=True)
    hints |= {key: hint for key, hint in get_type_hints(command, include_extras=True).items() if key != name}
    shared = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=Parameter.empty if field.default is MISSING else field.default)
        for field in fields(options)
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        gathered = options(**{field.name: given.pop(field.name) for field in fields(options)})
        command(**given, **{name: gathered})

    parameters = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[parameter.name]) for parameter in (*own, *shared)
    ]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__  # else the original's annotations are read
    return run
