"""Names that lead out of a folder (benchmarks/faults/hostile_names.py): wherever one is taken from, nothing else is opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"
sys.path.append(str(SCRIPTS))
from hostile_names import FIELDS, PLAIN, STRINGS  # noqa: E402

_TRY = """
import json, sys
from pathlib import Path
sys.path.append(sys.argv[1])
from hostile_names import tried
print(json.dumps(tried(Path(sys.argv[2]))))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Of each string in each field, tried in a process of its own, whose audit hooks end with it."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parents[1] / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _TRY, str(SCRIPTS), str(tmp_path_factory.mktemp("names"))]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_thirty_strings_are_tried():
    assert len(set(STRINGS)) == 30


@pytest.mark.parametrize("field", FIELDS)
def test_a_name_that_leads_out_opens_nothing_elsewhere(outcomes, field):
    mine = [one for one in outcomes if one[0] == field]
    assert len(mine) == len(STRINGS)
    assert [one for one in mine if one[3]] == []


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in PLAIN])
def test_a_name_that_leads_out_is_refused_with_a_reason(outcomes, field):
    assert [string for one, string, told, _ in outcomes if one == field and not told] == []


@pytest.mark.parametrize("field", PLAIN)
def test_a_way_up_is_no_plain_name(outcomes, field):
    taken = [string for one, string, told, _ in outcomes if one == field and not told]
    assert not any(string.startswith(("{up}", "/", "./{up}")) for string in taken)
