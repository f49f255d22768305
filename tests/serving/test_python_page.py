"""docs/python.md: its code runs as it stands, and it names what `cmelt` offers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import cmelt
from ecg_files import heart, write_wfdb

PAGE = (Path(__file__).resolve().parents[2] / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_wfdb(tmp_path / "patient", heart(1))
    paths = [write_wfdb(tmp_path / f"ecgs/{seed}", heart(seed)) for seed in range(4)]
    known = {"paths": paths, "has_af": [0, 1, 0, 1]}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), known)
    assert len(BLOCKS) == 4 and list(known["scores"].values.shape) == [1, 2]
    ours = cmelt.embed(known["again"], known["again_processor"], ["patient.hea", known["record"]])
    np.testing.assert_allclose(ours, known["output"].ecg_embeds.detach(), atol=1e-5)


@pytest.mark.parametrize("name", sorted({*cmelt.__all__} - {"__version__"}))
def test_the_page_names_what_there_is(name):
    if name not in ("LEADS", "Hits", "CMeltProcessor"):  # met in the pages of what uses them
        assert re.search(rf"\b{name}\b", PAGE), f"docs/python.md says nothing of cmelt.{name}"
    assert getattr(cmelt, name) is not None
