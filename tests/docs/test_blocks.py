"""Every block of code in README.md and docs/ is run, or says why not and is checked all the same."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from block_checks import check
from code_blocks import ROOT, Block, blocks_of, code_without_fences, pages
from outputs import JSON_OF, compare_output
from python_lines import run_python
from readers_folder import Library
from shell_lines import Typist, commands_in
from shortened import names_given, said_otherwise

#: At least this share of the blocks is run by the quick suite, and this by both.
LEAST_RUN, LEAST_RUN_BY_ALL = 0.8, 0.85

#: Pages whose blocks are parts of one whole, which a module of its own puts together and runs.
EXTEND = "docs/extend/"

ALL = [block for page in pages() for block in blocks_of(page)]
CHECKED = [block for block in ALL if not (block.page.startswith(EXTEND) and block.language in ("bash", "python"))]
RUN = sorted({block.page for block in ALL if not block.marker and not block.page.startswith(EXTEND)})
SLOW = sorted({block.page for block in ALL if block.marker == "slow"})


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("library"))


@pytest.mark.parametrize("block", CHECKED, ids=lambda block: block.place)
def test_what_a_block_names_exists(block: Block, tmp_path: Path) -> None:
    check(block, tmp_path)


@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run_in_their_order(
    page: str, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_page([block for block in blocks_of(page) if not block.marker], library, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_the_slow_blocks_of_a_page_run(page: str, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page([block for block in blocks_of(page) if block.marker == "slow"], library, tmp_path, monkeypatch)


def run_page(blocks: list[Block], library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run blocks of one page in a folder that has what they name."""
    monkeypatch.chdir(folder)
    page = blocks[0].page
    library.lay_out(said_otherwise("\n".join([*(block.text for block in blocks), *JSON_OF.get(page, ())])), folder)
    names: dict[str, Any] = {"__name__": "page", **names_given(page, folder)}
    with Typist(folder) as typist:
        for block in blocks:
            try:
                if block.language == "bash":
                    for command in commands_in(block.text):
                        typist.type(command)
                elif block.language == "python":
                    run_python(replace(block, text=said_otherwise(block.text)), names)
                else:
                    compare_output(block, folder, typist)
            except Exception as error:
                raise AssertionError(f"{block.place}: {type(error).__name__}: {error}") from error


def test_no_code_stands_outside_a_fence() -> None:
    for page in pages():
        assert not code_without_fences((ROOT / page).read_text(encoding="utf-8")), page


def test_a_block_that_is_not_run_says_why() -> None:
    for block in ALL:
        assert not block.marker or len(block.reason.split()) >= 2, block.place
        for test in re.findall(r"tests/\S+\.py", block.reason):
            assert (ROOT / test).is_file(), f"{block.place}: there is no {test}"


def test_every_page_of_an_addition_is_put_together_by_a_test() -> None:
    told = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_extend_*.py"))
    for page in {block.page for block in ALL if block.page.startswith(EXTEND)}:
        assert f'"{page}"' in told, page


def test_most_blocks_are_run(record_testsuite_property: Any) -> None:
    counted = Counter(block.marker or "run" for block in ALL)
    said = f"{len(ALL)} blocks: {counted['run']} run, {counted['slow']} by slow tests, {counted['not run']} only checked"
    record_testsuite_property("documentation", said)
    print(said)
    assert counted["run"] / len(ALL) >= LEAST_RUN, said
    assert (counted["run"] + counted["slow"]) / len(ALL) >= LEAST_RUN_BY_ALL, said
