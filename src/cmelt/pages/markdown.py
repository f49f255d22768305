"""Tables of the markdown that we write: cards of models, results of studies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, figures: bool = False) -> str:
    """A table of text; with `figures`, all columns but the first are right-aligned."""
    rule = ["---", *("---:" if figures else "---" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
