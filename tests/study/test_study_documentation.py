"""docs/study.md says what the command, the file and the results really have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import yaml
from typer.main import get_command

from cmelt.cli.study import app
from cmelt.config import from_mapping
from cmelt.evaluation.metrics import Figure
from cmelt.study.results import CellFacts, Column, Entry, Row, StudyResults, to_json
from cmelt.study.settings import Evaluation, EvaluationKind, Study

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")


def test_the_example_is_a_study() -> None:
    study = from_mapping(Study, yaml.safe_load(PAGE.split("```yaml\n")[1].split("```")[0]), "docs/study.md")
    assert study.data["few"].stores["ptbxl100"].pairs == 200
    assert study.data["simulated-then-real"].then == "real"
    assert {item.kind for item in study.evaluate} == {"zero-shot", "probe", "supervised"}


def test_every_way_of_measuring_is_documented_and_every_key_of_it() -> None:
    table = PAGE.split("keeps of each record")[1].split("## What is compared")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) >= set(get_args(EvaluationKind))
    keys = set(Evaluation.__dataclass_fields__) - {"kind", "store"}
    assert keys <= set(re.findall(r"`([a-z_]+)[`:]", PAGE)), keys - set(re.findall(r"`([a-z_]+)[`:]", PAGE))


def test_every_option_is_documented_and_there() -> None:
    there = {name for parameter in get_command(app).params for name in parameter.opts if name.startswith("--")}
    told = set(re.findall(r"`?(--[a-z]+)", PAGE.split("## The file")[0]))
    assert there == told - {"--development"}


def test_every_study_of_the_repository_is_in_the_table() -> None:
    for path in (ROOT / "studies").glob("*.yaml"):
        assert f"| `studies/{path.name}` |" in PAGE, path


def test_every_key_of_the_results_is_documented() -> None:
    figure = Figure(0.5, 0.4, 0.6)
    row, column = Row("ours", "all"), Column("store", "task", "zero-shot", "AUROC", 10, 5, 0, {"a": 3}, True)
    entry = Entry(figure, (0.5,), figure, "other, all", {"a": figure})
    cell = CellFacts("ours-all-0", "ours", "all", 0, "cmelt study", {"seed": (0, 1)}, "store", 1.0, {}, (), 40)
    results = StudyResults("s", "d", "other", 10, "1", (row,), (column,), {(row, column.key): entry}, (cell,))
    layout = PAGE.split("## study.json")[1]

    def walk(value: object) -> set[str]:
        if isinstance(value, dict):
            return set().union(*({key} | walk(inner) for key, inner in value.items()), set())
        return set().union(*map(walk, value), set()) if isinstance(value, list | tuple) else set()

    named = walk(to_json(results)) - {"a", "seed"}  # of a class, of a recipe's key
    assert not {key for key in named if not re.search(rf"\b{key}\b", layout)}
