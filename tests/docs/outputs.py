"""Blocks that show what a command writes or a folder holds, held against what is really written: keys and names, not values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from code_blocks import Block
from shell_lines import Typist

#: What a page's blocks of JSON show, in their order.
JSON_OF = {
    "docs/prepare.md": ("cmelt show patient.xml --json", "cmelt prepare ptb-xl ./ptb-xl --out again --json"),
}


def compare_output(block: Block, folder: Path, typist: Typist) -> None:
    """AssertionError where the block shows something else."""
    if block.language == "yaml":
        yaml.safe_load(block.text)  # what it means: `block_checks.check_yaml`
    elif block.language == "json":
        command = next(command for command in JSON_OF[block.page] if command not in typist.shown)
        typist.shown.append(command)
        found = json.loads(typist.type(command).stdout)
        assert json.loads(block.text).keys() == found.keys(), command
    else:
        TEXT_OF[block.page](block, folder, typist)


def _files_of_a_store(block: Block, folder: Path, _: Typist) -> None:
    for line in block.text.splitlines():
        name = line.split()[0].replace("STORE", "ptbxl100")
        assert (folder / name).is_file(), name


def _keys_of_results(block: Block, folder: Path, _: Typist) -> None:
    """Every key of an evaluation on top and one below is named in the layout."""
    results = json.loads((folder / "RUN/evaluation/results.json").read_text())
    below = [value for value in results.values() if isinstance(value, dict)]
    inner = [entry for value in results["results"].values() for entry in [value]]
    keys: set[str] = set(results) | {key for entry in inner for key in entry}
    assert below
    for key in keys:
        assert re.search(rf"\b{key}\b", block.text), key


def _line_of_the_log(block: Block, _: Path, typist: Typist) -> None:
    """The service's log has a line of that form, numbers and words aside."""
    assert typist.service is not None
    form = re.sub(r"[0-9a-f]{8}", "[0-9a-f]{8}", re.sub(r"\b\d+\b", r"\\d+", block.text.strip()))
    assert re.search(form, typist.service.log.read_text()), form


def _table_of_scores(block: Block, _: Path, typist: Typist) -> None:
    """What is printed of the page's simulated ECG, but for the digits."""
    found = typist.type("cmelt classify patient.npz --classes afib,lbbb").stdout
    assert re.sub(r"\d", "0", block.text.strip()) in re.sub(r"\d", "0", found), found


TEXT_OF: dict[str, Callable[[Block, Path, Typist], Any]] = {
    "docs/prepare.md": _files_of_a_store,
    "docs/evaluate.md": _keys_of_results,
    "docs/index.md": _table_of_scores,
    "docs/serve.md": _line_of_the_log,
}
