"""YAML of tasks and prompts: a key that occurs twice is an error, not the loss of a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cmelt.config.parsing import read_yaml
from cmelt.errors import ConfigError


def read_strict_yaml(path: Path) -> dict[str, Any]:
    """One YAML mapping. Raises ConfigError for what `read_yaml` refuses, and for a key that occurs twice."""
    content = read_yaml(path)
    _refuse_repeated_keys(path)
    return content


def _refuse_repeated_keys(path: Path) -> None:
    """YAML readers keep the last of two equal keys without a word; here that would silently drop a class."""
    import yaml

    def walk(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    raise ConfigError(
                        path, f"key {key.value} occurs twice (line {key.start_mark.line + 1})", "rename or drop one of them"
                    )
                seen.add(key.value)
                walk(value)

    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    if root is not None:
        walk(root)
