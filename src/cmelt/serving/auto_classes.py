"""After `import cmelt`, the Auto classes of transformers know our models, and `import cmelt` has imported nothing for that.

transformers has no plugin entry: its Auto classes must be told of each model type, by classes that cost seconds to import. So
nothing is told until the module of an Auto class is itself imported; whoever does that pays for torch in any case.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_AUTO = "transformers.models.auto."

#: Module of an Auto class → the module of ours that tells it.
TOLD_BY = {
    f"{_AUTO}configuration_auto": "cmelt.model.configuration",
    f"{_AUTO}modeling_auto": "cmelt.serving.transformers_api",
    f"{_AUTO}feature_extraction_auto": "cmelt.serving.transformers_api",
    f"{_AUTO}processing_auto": "cmelt.serving.transformers_api",
}


def make_known() -> None:
    """Tell the Auto classes that are imported already, and the others once they are. Calling it again changes nothing."""
    for name in TOLD_BY:
        if name in sys.modules:
            _tell(name)
    if not any(isinstance(finder, _AutoClassFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AutoClassFinder())


def _tell(name: str) -> None:
    ours = import_module(TOLD_BY[name])
    # Where this very import is what brought the Auto class in, ours is not complete: it registers itself at its end.
    if register := getattr(ours, "register", None):
        register()


class _AutoClassFinder(MetaPathFinder):
    """Finds nothing on its own: it lets the others find the Auto classes' modules, and adds what follows their execution."""

    def __init__(self) -> None:
        self._asking: set[str] = set()

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """The spec that the others find, for the modules of `TOLD_BY`; None for all else."""
        if fullname not in TOLD_BY or fullname in self._asking:
            return None
        self._asking.add(fullname)
        try:
            spec = find_spec(fullname)
        finally:
            self._asking.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _then_tell(spec.loader, fullname)  # type: ignore[assignment, method-assign]
        return spec


def _then_tell(loader: Loader, name: str) -> Callable[[ModuleType], None]:
    execute = loader.exec_module

    def execute_and_tell(module: ModuleType) -> None:
        execute(module)
        _tell(name)

    return execute_and_tell
