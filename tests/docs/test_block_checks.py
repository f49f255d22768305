"""What the checks of the pages' blocks find, and what running them holds against the comments."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from block_checks import check, parse, patched
from code_blocks import Block, blocks_in, code_without_fences
from python_lines import run_python
from shell_lines import commands_in
from shortened import ADDED, SAID_OTHERWISE, shortened

from cmelt.errors import ConfigError


def block(language: str, text: str) -> Block:
    return Block("page.md", 1, language, text)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("bash", "cmelt classfy a.xml"),
        ("bash", "cmelt classify a.xml --clases afib"),
        ("bash", "cmelt plot a.xml --out page.svg --layout 9x9"),
        ("bash", "cmelt pretrain --recipe small --data S --out R --set training.epoch=3"),
        ("bash", "cmelt prepare ptb-xl ./x --out y && cmelt inspct y"),
        ("bash", "torchrun --nproc-per-node 8 -m cmelt.cli pretrain --recipe paper --date STORE --out RUN"),
        ("bash", "if true; then"),
        ("bash", "make nothing"),
        ("bash", 'pip install "cmelt[nothing]"'),
        ("bash", "python scripts/ship_model.py card a b --nothing"),
        ("python", "import cmelt\ncmelt.classfy(1)"),
        ("python", "from cmelt.store import open_stor"),
        ("python", "x = = 1"),
        ("yaml", "base: small\nname: a\nmasking: {lead_drops: 0.1}"),
        ("yaml", "classes: {a: {labels: [x], promts: [y]}}"),
        ("yaml", "data: {a: {stores: {s: {}}}}\nmodels: {m: {recipes: small}}"),
        ("json", '{"a": 1,}'),
        ("toml", "[project"),
        ("diff", "--- a/README.md\n+++ b/README.md\n@@ -1,1 +1,1 @@\n-no such line\n+another\n"),
        ("js", "const = 1;"),
        ("", "cmelt show a"),
        ("console", "$ cmelt show a"),
    ],
)
def test_a_block_that_says_what_is_not_is_found(language: str, text: str, tmp_path: Path) -> None:
    errors = (AssertionError, *typer.BadParameter.__bases__, ConfigError, SyntaxError, ImportError, ValueError)
    with pytest.raises(errors):
        check(block(language, text), tmp_path)


def test_options_are_parsed_as_the_command_would() -> None:
    told = parse(["search", "index", "--text", "lbbb", "--age", "60-", "--sex", "f"])
    assert (told["text"], told["age"], told["sex"]) == ("lbbb", "60-", "f")


@pytest.mark.parametrize(
    "line",
    [
        "x = np.zeros((2, 3))  # [3, 2]",
        "np.zeros((2, 3))  # float32 [2, N, 1]",
        "np.zeros((2, 3))  # [4, D]",
        "{'a': 1}  # {'b': 1}",
        "'one'  # 'two'",
        "('a', 'b')  # ('a',)",
    ],
)
def test_a_result_that_is_not_what_its_comment_says_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match="and it is"):
        run_python(block("python", line), {"np": __import__("numpy")})


def test_results_are_compared_where_comments_say_something() -> None:
    lines = "x = np.zeros((2, 3))  # [2, D], unit vectors\n'a'  # 'a'\n{'b': 0.1}  # {'b': 0.7}\nlen(x)  # rows [n]\nf = 1\n"
    assert run_python(block("python", lines), {"np": __import__("numpy")}) == 3


def test_blocks_markers_and_directives() -> None:
    text = "a\n<!-- not run: needs SLURM -->\n```bash\nsbatch x\n```\n- a\n\n  ```python\n  x = 1\n  ```\n```{toc}\nx\n```\n"
    first, second = blocks_in(text, "p.md")
    assert (first.language, first.marker, first.reason, first.line) == ("bash", "not run", "needs SLURM", 3)
    assert (second.language, second.text, second.marker) == ("python", "x = 1", "")
    with pytest.raises(ValueError, match=r"p\.md:1: the block is never closed"):
        blocks_in("```bash\nx", "p.md")


def test_code_without_a_fence_is_found() -> None:
    assert code_without_fences("Words:\n\n    cmelt show a\n\n```bash\n\n    x\n```\n") == [3]
    assert code_without_fences("- item\n\n    goes on\n") == []


def test_lines_to_type() -> None:
    text = "cmelt a --b 'c # d'   # why\n\n# nothing\ncmelt e \\\n  --f g > h.json\n"
    assert commands_in(text) == ["cmelt a --b 'c # d'", "cmelt e --f g > h.json"]


def test_what_is_shortened_says_why() -> None:
    assert all(len(why.split()) >= 2 for _, _, why in (*ADDED, *SAID_OTHERWISE))
    assert shortened("cmelt plot a.xml > b.svg") == "cmelt plot a.xml > b.svg"
    assert shortened("cmelt index a --out b > c").endswith("--workers 1 --device cpu > c")


def test_a_diff_fits_whatever_its_line_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\n\nthree\n")
    found = patched("--- a/a.py\n+++ b/a.py\n@@ -91,2 +91,3 @@\n two\n\n+new\n three\n", tmp_path)
    assert found == {tmp_path / "a.py": "one\ntwo\n\nnew\nthree\n"}
