"""Public names of `cmelt` as autodoc's directives: a class with its public members, a function, a constant."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import cmelt


def api_reference(names: Iterable[str]) -> str:
    """Directives for `names`, in their order, inside MyST's fence for reStructuredText."""
    directives = [_directive(name) for name in names]
    return "```{eval-rst}\n" + "\n".join(directives) + "```\n" if directives else ""


def public_names() -> list[str]:
    """All of them but the version."""
    return [name for name in cmelt.__all__ if not name.startswith("_")]


def _directive(name: str) -> str:
    found = getattr(cmelt, name)
    if inspect.isclass(found):
        return f".. autoclass:: cmelt.{name}\n   :members:\n\n"
    kind = "autofunction" if callable(found) else "autodata"
    return f".. {kind}:: cmelt.{name}\n\n"
