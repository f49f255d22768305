"""What starts at once must stay light: the package, its command's help, the rooms' doors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "matplotlib",
    "wfdb",
    "pydicom",
    "h5py",
    "soundfile",
    "distributed",
    "faiss",
    "lightning_fabric",
)
HELP = """
import contextlib, io, sys
from cmelt.cli import app
with contextlib.redirect_stdout(io.StringIO()) as told:
    app(["--help"], standalone_mode=False)
assert "pretrain" in told.getvalue()
"""


def loaded_by(code: str) -> tuple[set[str], float]:
    """Which heavy packages a fresh Python holds after running the code, and how many seconds of its CPU the code took."""
    script = f"import time; start = time.process_time()\n{code}\nspent = time.process_time() - start\n"
    script += f"import json, sys; print(json.dumps([[m for m in {HEAVY!r} if m in sys.modules], spent]))"
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    ended = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    modules, spent = json.loads(ended.stdout.splitlines()[-1])
    return set(modules), spent


@pytest.mark.parametrize(
    "code",
    ["import cmelt", HELP]
    + [
        f"import cmelt.{room}"
        for room in (
            "config",
            "records",
            "drawing",
            "simulation",
            "sources",
            "store",
            "text",
            "inspection",
            "pages",
            "negatives",
            "cli",
        )
    ],
    ids=lambda code: "cmelt --help" if code is HELP else code,
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    modules, spent = loaded_by(code)
    assert not modules, f"imported: {sorted(modules)}; move the import into the function that needs it"
    assert spent < 1.0, f"{spent:.2f} s of CPU"


def test_help_is_there_within_a_second() -> None:
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    times = []
    for _ in range(3):
        start = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "cmelt.cli", "--help"], env=env, capture_output=True, text=True, check=False
        )
        times.append(time.perf_counter() - start)
        assert ended.returncode == 0, ended.stderr
    assert min(times) < 1.0, f"{min(times):.2f} s at best"


def test_a_heavy_import_would_be_noticed() -> None:
    assert loaded_by("import faiss")[0] == {"faiss"}
