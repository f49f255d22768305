"""Typed settings: strict YAML in, frozen dataclasses out."""

from __future__ import annotations

from pathlib import Path

from cmelt.config.parsing import from_mapping, override, read_yaml, to_mapping
from cmelt.config.settings import Recipe
from cmelt.errors import ConfigError

RECIPES = Path(__file__).resolve().parent.parent / "recipes"

__all__ = ["RECIPES", "Recipe", "from_mapping", "load_recipe", "override", "read_yaml", "recipe_names", "to_mapping"]


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name_or_path: str | Path, assignments: list[str] | None = None) -> Recipe:
    """A recipe by bundled name or by file, with `section.key=value` overrides.

    Raises ConfigError naming the file and key for anything unknown or of the wrong type.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = RECIPES / f"{name_or_path}.yaml"
        if not path.exists():
            known = ", ".join(recipe_names())
            raise ConfigError(f"recipe {name_or_path}", "no such recipe", f"bundled: {known}; or give a .yaml file")
    return from_mapping(Recipe, override(read_yaml(path), assignments or []), path)
