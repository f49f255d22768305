"""What is optional is asked for by name: a command that lacks an extra says which, in one line, and publishes nothing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from trees import ROOT

from cmelt.cli import main
from cmelt.records.record import LEADS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOR_NO_COMMAND = {
    "dev",
    "docs",
    "tensorboard",
}  # a run says nothing where TensorBoard is not installed: its log has the same lines
#: extra → a module of it that is taken away, and a command that needs it.
COMMANDS = {
    "dask": ("distributed", ["prepare", "simulated", "--records", "8", "--dask", "local", "--workers", "1", "--out", "store"]),
    "explain": ("captum", ["explain", "patient.npz", "--class", "afib", "--out", "why.svg"]),
    "onnx": ("onnxscript", ["export", "--onnx", "small", "--out", "graphs"]),
    "serve": ("uvicorn", ["serve", "--port", "0"]),
}


def test_every_extra_that_a_command_needs_is_tried_here() -> None:
    assert set(COMMANDS) == set(PROJECT["optional-dependencies"]) - FOR_NO_COMMAND


@pytest.mark.parametrize("extra", COMMANDS)
def test_a_command_that_lacks_its_extra_names_it(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking, command = COMMANDS[extra]
    np.savez(tmp_path / "patient.npz", signal=np.ones((12, 1000)).cumsum(axis=1) % 7 / 7, fs=100, unit="mV", leads=LEADS)
    for name in [name for name in sys.modules if name == lacking or name.startswith(f"{lacking}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacking, None)
    monkeypatch.setattr(sys, "argv", ["cmelt", *command])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert ended.value.code == 1 and said.startswith("cmelt: "), said
    assert lacking in said and re.search(rf"pip install ['\"]cmelt\[{extra}\]['\"]", said), said
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"patient.npz"}


def test_what_the_package_imports_is_required_or_in_an_extra() -> None:
    """A module that only the developers' tools bring would be missing from an installation."""
    known = {
        "PIL": "matplotlib", "click": "typer", "cloudpickle": "distributed", "dask": "distributed", "faiss": "faiss-cpu",
        "huggingface_hub": "transformers", "lightning_fabric": "lightning-fabric", "multipart": "python-multipart",
        "onnx_ir": "onnxscript", "prometheus_client": "prometheus-client", "pydantic": "fastapi",
        "python_multipart": "python-multipart", "sklearn": "scikit-learn", "starlette": "fastapi", "tblib": "distributed",
        "tornado": "distributed", "yaml": "pyyaml",
    }  # fmt: skip
    named = {re.split(r"[><=\[]", one)[0] for one in PROJECT["dependencies"]}
    named |= {
        re.split(r"[><=\[]", one)[0]
        for extra, packages in PROJECT["optional-dependencies"].items()
        if extra != "dev"
        for one in packages
    }
    for path in sorted((ROOT / "src" / "cmelt").rglob("*.py")):
        for module in imported(path) - set(sys.stdlib_module_names) - {"cmelt"}:
            assert known.get(module, module) in named, f"{path}: {module}"


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
