"""docs/evaluate.md says what the program does."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from cmelt.evaluation.results import Comparison, ProbeResult, Results
from cmelt.evaluation.tasks import bundled_tasks, load_task

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")


def test_every_key_of_the_results_is_documented():
    layout = PAGE.split("## results.json")[1].split("## Python")[0]
    for kind in (Results, Comparison, ProbeResult):
        for field in dataclasses.fields(kind):
            assert field.name in ("examples", "name") or re.search(rf"\b{field.name}\b", layout), field.name


def test_every_bundled_task_is_documented_with_its_number_of_classes():
    for name in bundled_tasks():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
        if name != "simulated":
            assert str(len(load_task(name).classes)) in row


def test_the_example_task_can_be_loaded(tmp_path):
    path = tmp_path / "example.yaml"
    path.write_text(PAGE.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert load_task(path).name == "my-rhythms"
