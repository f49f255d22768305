"""Every fault of the authors' release (method page) is kept out by a test that carries its number, and the map names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"def (test_fault_(\d+)_\w+)")


def named_by_fault() -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for path in ROOT.glob("tests/*/test_*.py"):
        for name, number in NAMED.findall(path.read_text(encoding="utf-8")):
            found.setdefault(int(number), set()).add(name)
    return found


@pytest.mark.parametrize("fault", range(1, 13))
def test_each_of_the_twelve_faults_has_a_test_by_name(fault):
    assert named_by_fault().get(fault)


def test_the_map_names_a_test_of_each_fault():
    page = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    for fault, names in named_by_fault().items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {fault}. "))
        assert any(name in row for name in names), row
