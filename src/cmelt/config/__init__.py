"""Typed settings: strict YAML in, frozen dataclasses out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmelt.config.parsing import from_mapping, merged, override, read_yaml, to_mapping
from cmelt.config.settings import Recipe
from cmelt.errors import ConfigError

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
#: The key by which a recipe names the one that it changes.
BASE = "base"

__all__ = ["RECIPES", "Recipe", "from_mapping", "load_recipe", "override", "read_yaml", "recipe_names", "to_mapping"]


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name_or_path: str | Path, assignments: list[str] | None = None) -> Recipe:
    """A recipe by bundled name or by file, with `section.key=value` overrides.

    A recipe that begins with `base: NAME` (a bundled recipe, or a .yaml file beside it) says only what differs from that one;
    its name is its own. What comes back is whole: nothing of it depends on the base any more.

    Raises ConfigError naming the file and key for anything unknown or of the wrong type.
    """
    path = _path_of(name_or_path, Path())
    return from_mapping(Recipe, override(_resolved(path, ()), assignments or []), path)


def _path_of(name_or_path: str | Path, beside: Path) -> Path:
    """Where a recipe lies: a file as it is given (relative to `beside`), or a bundled one."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return beside / path
    path = RECIPES / f"{name_or_path}.yaml"
    if not path.exists():
        known = ", ".join(recipe_names())
        raise ConfigError(f"recipe {name_or_path}", "no such recipe", f"bundled: {known}; or give a .yaml file")
    return path


def _resolved(path: Path, over: tuple[Path, ...]) -> dict[str, Any]:
    """The recipe's whole content, its base's put under its own; `over` are the recipes that build on it."""
    content = read_yaml(path)
    if BASE not in content:
        return content
    below = content.pop(BASE)
    if not isinstance(below, str):
        raise ConfigError(path, f"{BASE} is {below!r}", "the name of a bundled recipe or a .yaml file is needed")
    chain = (*over, path.resolve())
    lower = _path_of(below, path.parent)
    if lower.resolve() in chain:
        raise ConfigError(path, f"{BASE} {below} builds on this recipe itself", "name another one")
    if "name" not in content:
        raise ConfigError(path, "key name is missing", "a recipe has a name of its own, not its base's")
    beneath = _resolved(lower, chain)
    from_mapping(Recipe, beneath, lower)  # a fault of the base is said of the base
    return merged(Recipe, beneath, content)
