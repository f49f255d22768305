"""Copies of the repository to build from, and what lies in what was built."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def files_of_the_tree(folder: str = ".") -> list[str]:
    """Files that belong to the repository, tracked or about to be; without git all that a clone would not have lying about."""
    asked = ["git", "ls-files", "-co", "--exclude-standard", "-z", "--", folder]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted({name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})
    names = (path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(name for name in names if "__pycache__" not in name and not name.startswith((".venv/", "build/", "dist/")))


def copy_of_the_tree(folder: Path, modified: float, mode: int) -> Path:
    """The repository's files in another folder, as a clone of another day and another umask would hold them."""
    for name in files_of_the_tree():
        to = folder / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, to)
        to.chmod(mode)
        os.utime(to, (modified, modified))
    return folder


def built(tree: Path, out: Path, target: str) -> Path:
    """The wheel or the sdist of a tree, made by the build backend itself: no network, no environment of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    (made,) = out.glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[target])
    return made


def contents(archive: Path) -> dict[str, str]:
    """name → SHA-256 of each file of a wheel or an sdist; an sdist's names without its outer folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist()}
    found = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            assert member.isfile(), member.name
            content = opened.extractfile(member)
            assert content is not None
            found[member.name.split("/", 1)[1]] = hashlib.sha256(content.read()).hexdigest()
    return found
