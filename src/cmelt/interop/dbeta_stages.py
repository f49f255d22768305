"""The release's notation of its front end: Python's text of a list, such as "[(256, 2, 2)] * 4", read without running it."""

from __future__ import annotations

import ast
import json
from itertools import groupby
from typing import Any

from cmelt.errors import ConfigError

#: (channels, kernel, stride) of a stage.
Stage = tuple[int, int, int]

#: More stages than any record has samples for.
MOST = 32


def stages_of(notation: Any, where: str) -> tuple[Stage, ...]:
    """The stages of a list of triples, or of the text of one: lists joined by + and repeated by *.

    Raises:
        ConfigError: anything else.
    """
    try:
        text = notation if isinstance(notation, str) else json.dumps(notation)
        found = _stages(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        found = []
    if not found or min(min(stage) for stage in found) < 1:
        fault = f"model.conv_feature_layers is {str(notation)[:80]!r}"
        raise ConfigError(where, fault, 'give (channels, kernel, stride) a stage, as in "[(256, 2, 2)] * 4"')
    return tuple(found)


def stages_text(stages: tuple[Stage, ...]) -> str:
    """The shortest text that `stages_of` and the release read as these stages."""
    runs = [(stage, len(list(same))) for stage, same in groupby(stages)]
    return " + ".join(f"[{stage}] * {count}" for stage, count in runs)


def _stages(node: ast.expr) -> list[Stage]:
    if isinstance(node, ast.List | ast.Tuple):
        found = [_stage(element) for element in node.elts]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        found = _stages(node.left) + _stages(node.right)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        listed, times = (node.right, node.left) if isinstance(node.left, ast.Constant) else (node.left, node.right)
        found = _stages(listed) * min(_number(times), MOST + 1)
    else:
        raise ValueError("no list of stages")
    if len(found) > MOST:
        raise ValueError("too many stages")
    return found


def _stage(node: ast.expr) -> Stage:
    if not isinstance(node, ast.List | ast.Tuple) or len(node.elts) != 3:
        raise ValueError("no triple")
    channels, kernel, stride = (_number(element) for element in node.elts)
    return channels, kernel, stride


def _number(node: ast.expr) -> int:
    if not isinstance(node, ast.Constant) or type(node.value) is not int:
        raise ValueError("no integer")
    return node.value
