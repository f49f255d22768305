"""The blocks of code of README.md and docs/, with what the page says of how they are run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What a block may be. A fence in braces is a directive of the site, not code, unless it is one of `CODE_DIRECTIVES`.
LANGUAGES = ("bash", "python", "yaml", "json", "js", "text", "toml", "diff")
CODE_DIRECTIVES = ("{code-block}", "{code}", "{code-cell}", "{sourcecode}")

#: A comment right before a block, as in `<!-- not run: needs SLURM -->`: nothing but checked. `<!-- slow: … -->`: run by
#: `make test-all`.
MARKER = re.compile(r"<!-- (not run|slow):?\s*(.*?)\s*-->")
FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*(.*)")


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
        page: below the repository, as in "docs/prepare.md".
        line: of its fence, counted from one.
        language: what its fence says; "" where it says nothing.
        text: what is in it, without the fences' indentation.
        marker: "", "not run" or "slow".
        reason: what the marker says why.
    """

    page: str
    line: int
    language: str
    text: str
    marker: str = ""
    reason: str = ""

    @property
    def place(self) -> str:
        """As an editor takes it."""
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """README.md and every page of docs/ and its folders; what a build of the site leaves there is none."""
    found = (ROOT / "docs").rglob("*.md")
    built = [path for path in found if not any(part.startswith(("_", ".")) for part in path.relative_to(ROOT).parts)]
    return ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in built)]


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    return blocks_in((ROOT / page).read_text(encoding="utf-8"), page)


def blocks_in(text: str, page: str) -> list[Block]:
    """The blocks of a Markdown text; ValueError where one is never closed or code stands without a fence."""
    lines = text.splitlines()
    found: list[Block] = []
    at = 0
    while at < len(lines):
        fence = FENCE.fullmatch(lines[at])
        if fence is None:
            at += 1
            continue
        indent, ticks, language = fence.groups()
        end = at + 1
        while end < len(lines) and lines[end].strip() != ticks:
            end += 1
        if end == len(lines):
            raise ValueError(f"{page}:{at + 1}: the block is never closed")
        before = next((line.strip() for line in reversed(lines[max(at - 2, 0) : at]) if line.strip()), "")
        marker = MARKER.fullmatch(before)
        said = marker.groups() if marker else ("", "")
        inside = "\n".join(line.removeprefix(indent) for line in lines[at + 1 : end])
        if not language.startswith("{") or language.split()[0] in CODE_DIRECTIVES:
            found.append(Block(page, at + 1, language, inside, *said))
        at = end + 1
    return found


def code_without_fences(text: str) -> list[int]:
    """Lines, counted from one, where code stands as an indented paragraph: it says no language, and no test would find it."""
    outside = re.sub(r"(?ms)^(\s*)(`{3,}).*?^\s*\2\s*$", lambda found: "\n" * found[0].count("\n"), text)
    lines = outside.splitlines()
    return [
        number
        for number, (line, before) in enumerate(zip(lines, ["", *lines], strict=False), 1)
        if line.startswith("    ") and line.strip() and not before.strip() and not _in_a_list(lines, number - 1)
    ]


def _in_a_list(lines: list[str], at: int) -> bool:
    """Whether the paragraph that begins there continues an item of a list."""
    while at >= 0 and (not lines[at].strip() or lines[at].startswith(" ")):
        if re.match(r"\s*([*+-]|\d+\.) ", lines[at]):
            return True
        at -= 1
    return at >= 0 and re.match(r"([*+-]|\d+\.) ", lines[at]) is not None
