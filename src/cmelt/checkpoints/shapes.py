"""Modules that are shapes without content until weights are put into them: nothing is drawn, no memory is taken.

PyTorch's own way (`torch.device("meta")`) draws all the same, on a device whose random numbers import 800 modules: over a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

#: What modules make their parameters and buffers with.
_MAKERS = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.tensor, torch.arange})


class _WithoutContent(TorchFunctionMode):
    """Puts new tensors on the meta device, and leaves out whatever would fill them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):  # in place: normal_, fill_, copy_, kaiming_uniform_ …
            return args[0] if args else given["tensor"]
        if func in _MAKERS:
            given = {**given, "device": "meta"}
        return func(*args, **given)


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Modules made inside have parameters and buffers without content; `load_state_dict(…, assign=True)` gives it to them."""
    with _WithoutContent():
        yield
