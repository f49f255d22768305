"""Running a page's Python, statement by statement, and holding what its comments say of a result against the result."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from code_blocks import Block

#: "[2, 256]" or "[2, D]", perhaps with what it is of before it, as in "ecg_embeds [2, D]".
SHAPE = re.compile(r"(?:(\w+) )?\[(\w+(?:, \w+)*)\]")


def run_python(block: Block, names: dict[str, Any]) -> int:
    """Run the block in `names`; how many results were compared with their comments.

    Raises:
        AssertionError: a result is not what its comment says.
    """
    compared = 0
    lines = block.text.splitlines()
    tree = ast.increment_lineno(ast.parse(block.text, block.place), block.line)
    for statement in tree.body:
        result = _run(statement, block, names)
        comment = _comment(lines[(statement.end_lineno or 1) - block.line - 1], statement.end_col_offset or 0)
        if comment and _agrees(result, comment, block, statement.lineno):
            compared += 1
    return compared


def _run(statement: ast.stmt, block: Block, names: dict[str, Any]) -> Any:
    """What an expression gives, or what a name or several were given."""
    kept = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if isinstance(statement, ast.Expr):
        kept = ast.Name("_", ast.Store())
        statement = ast.copy_location(ast.Assign([kept], statement.value), statement)
    exec(compile(ast.fix_missing_locations(ast.Module([statement], [])), block.page, "exec"), names)
    return names[kept.id] if isinstance(kept, ast.Name) else None


def _comment(line: str, behind: int) -> str:
    """What stands behind a statement that ends at `behind`, a number of bytes."""
    rest = line.encode()[behind:].decode().strip()
    return rest.removeprefix("#").strip() if rest.startswith("#") else ""


def _agrees(result: Any, comment: str, block: Block, line: int) -> bool:
    """Whether the comment says something that could be compared; AssertionError where it is something else."""
    place = f"{block.page}:{line}: {comment!r}"
    literal = _literal(comment)
    if literal is not None:
        said, found = (set(literal), set(result)) if isinstance(literal, Mapping) else (literal, result)
        assert found == said, f"{place}, and it is {result!r}"
        return True
    compared = False
    for name, dimensions in () if "→" in comment else SHAPE.findall(comment):
        shape = getattr(getattr(result, name, result), "shape", None)
        if shape is not None:
            assert _fits(shape, dimensions.split(", ")), f"{place}, and it is {tuple(shape)}"
            compared = True
    return compared


def _literal(comment: str) -> Any:
    """A string, tuple or mapping that the comment is; None where it is words."""
    try:
        found = ast.literal_eval(comment)
    except (SyntaxError, ValueError):
        return None
    return found if isinstance(found, str | tuple | dict) else None


def _fits(shape: tuple[int, ...], said: list[str]) -> bool:
    """Numbers are themselves, letters are any."""
    numbers = np.array([int(word) if word.isdigit() else -1 for word in said])
    return len(shape) == len(said) and bool(np.all((numbers < 0) | (numbers == np.array(shape))))
