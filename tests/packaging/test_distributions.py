"""What `pip install` gets: wheel and sdist hold the package, all of it and nothing else, and are the same bytes every time."""

from __future__ import annotations

import email
import hashlib
import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from trees import ROOT, built, contents, copy_of_the_tree, files_of_the_tree

import cmelt

MEGABYTE = 2**20
#: What the package's own files may be. ECGs, tables of patients and other people's checkpoints have other endings.
ENDINGS = {".py", ".yaml", ".json", ".css", ".js", ".html", ".svg", ".csv", ".md", ".safetensors", ".npy"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tree, of files of one day."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("tree") / "here", 1_700_000_000, 0o644)
    return built(tree, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of a copy of the tree, of files of another day that their group may write."""
    tree = copy_of_the_tree(tmp_path_factory.mktemp("tree") / "elsewhere", 1_750_000_000, 0o664)
    return built(tree, tmp_path_factory.mktemp("sdist"), "sdist")


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    held = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert held == {name.removeprefix("src/") for name in files_of_the_tree("src/cmelt")}
    assert {Path(name).suffix for name in held} <= ENDINGS
    for needed in (
        "weights/small/model.safetensors",
        "evaluation/prompts/rhythm.yaml",
        "serving/page/index.html",
        "recipes/small.yaml",
    ):
        assert f"cmelt/{needed}" in held, needed


def test_the_wheel_is_small_and_brings_its_licence(wheel: Path) -> None:
    assert wheel.stat().st_size < 10 * MEGABYTE
    licences = {name: digest for name, digest in contents(wheel).items() if "/licenses/" in name}
    assert licences == {f"cmelt-{cmelt.__version__}.dist-info/licenses/LICENSE": _sha256(ROOT / "LICENSE")}


def test_the_bundled_weights_arrive_as_their_manifest_says(wheel: Path) -> None:
    held = contents(wheel)
    with zipfile.ZipFile(wheel) as opened:
        stated = json.loads(opened.read("cmelt/weights/small/manifest.json"))["files"]
    assert "model.safetensors" in stated
    for name, facts in stated.items():
        assert held[f"cmelt/weights/small/{name}"] == facts["sha256"], name


def test_the_metadata_says_what_the_package_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith("/METADATA")]
        stated = email.message_from_bytes(opened.read(name))
        (entries,) = [opened.read(name).decode() for name in opened.namelist() if name.endswith("/entry_points.txt")]
    assert (stated["Name"], stated["Version"], stated["License-Expression"]) == ("cmelt", cmelt.__version__, "Apache-2.0")
    assert stated["Description-Content-Type"] == "text/markdown" and "not a medical device" in stated.get_payload()
    assert "cmelt = cmelt.cli:main" in entries
    oldest = re.fullmatch(r">=3\.(\d+)", stated["Requires-Python"])
    pythons = [line.split(" :: ")[-1] for line in stated.get_all("Classifier") if re.search(r"Python :: 3\.\d+$", line)]
    assert oldest is not None and pythons[0] == f"3.{oldest[1]}"


def test_the_sdist_holds_the_tree_and_nothing_of_the_machine(sdist: Path) -> None:
    held = set(contents(sdist)) - {"PKG-INFO"}
    assert held == set(files_of_the_tree())
    assert not [name for name in held if re.search(r"(^|/)(\.venv|__pycache__|\.git/|build|dist|stores|runs)(/|$)|\.pyc$", name)]
    assert sdist.stat().st_size < 15 * MEGABYTE


def test_a_wheel_of_the_sdist_is_the_wheel_of_the_tree_byte_for_byte(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    """Built of other files' dates, other permissions, another folder: a wheel that is offered can be built anew and compared."""
    with tarfile.open(sdist) as opened:
        opened.extractall(tmp_path / "sdist", filter="data")
    (tree,) = (tmp_path / "sdist").iterdir()
    again = built(tree, tmp_path / "again", "wheel")
    assert again.name == wheel.name and _sha256(again) == _sha256(wheel)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
