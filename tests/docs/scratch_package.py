"""The pages of docs/extend done for real: their blocks become files, and an installed package."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from code_blocks import Block, blocks_of

from cmelt import sources
from cmelt.records import readers

#: The longest addition that a page may show, lines of code.
MOST_LINES = 40


def files_of(page: str) -> dict[str, str]:
    """The blocks that begin with a comment that names a file, by that name."""
    named = {}
    for block in blocks_of(page):
        first = block.text.partition("\n")[0]
        if found := re.fullmatch(r"# (\S+\.(?:py|yaml))", first):
            named[found[1]] = block.text + "\n"
    return named


def commands_of(page: str) -> list[Block]:
    """The blocks for the shell."""
    return [block for block in blocks_of(page) if block.language == "bash"]


def python_of(page: str) -> list[Block]:
    """The blocks of Python that are no files."""
    return [block for block in blocks_of(page) if block.language == "python" and not re.match(r"# \S+\.py\n", block.text)]


def lines_of_code(text: str) -> int:
    """Lines that are not blank; of a diff, those that it adds."""
    return sum(bool(line.strip()) for line in text.splitlines())


def write(files: dict[str, str], folder: Path) -> None:
    """Put files into a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def put_like_pip(folder: Path) -> None:
    """Files of the package of the pages, and what pip writes beside them: its metadata with the entry points."""
    project = next(tomllib.loads(block.text) for block in blocks_of("docs/extend/format.md") if block.language == "toml")[
        "project"
    ]
    write({**files_of("docs/extend/format.md"), **files_of("docs/extend/dataset.md")}, folder)
    told = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    points = [
        line
        for group, named in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {place}" for name, place in named.items()), "")
    ]
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    write({f"{told.name}/METADATA": metadata, f"{told.name}/entry_points.txt": "\n".join(points)}, folder)


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """The package of the pages is installed as long as this lasts."""
    put_like_pip(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        _look_again()
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "ward_ecgs"]:
        del sys.modules[name]
    _look_again()


def _look_again() -> None:
    readers._added_readers.cache_clear()
    sources.known_sources.cache_clear()
