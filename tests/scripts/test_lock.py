"""locks/ hold what pyproject.toml asks for, in the versions of constraints.txt, and nothing without a hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .conftest import script

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "locks").glob("*.txt"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
AGAIN = "not in step: run `make lock` and commit locks/"


lock, licences = script("lock"), script("licences")


def pins(*names: str) -> dict[str, str]:
    """name → version, of what these locks hold together."""
    return {name: lock.PIN.match(block)[2] for lock_name in names for name, block in lock.pinned_blocks(LOCKS[lock_name]).items()}


def constrained(rest: str) -> dict[str, str]:
    """name → version, of lines of constraints.txt."""
    return {str(canonicalize_name(name)): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", rest, re.MULTILINE)}


def test_locks_and_constraints_name_the_same_versions() -> None:
    installed, tools = (ROOT / "constraints.txt").read_text(encoding="utf-8").split("# Tools that make install does not bring")
    assert pins(*LOCKS) == constrained(installed), AGAIN
    assert not set(constrained(tools)) & set(pins(*LOCKS))


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_a_lock_holds_every_package_that_is_asked_for_in_a_version_that_is_allowed(extra: str) -> None:
    asked = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    held = pins("torch", "package", *({"": [], "dev": ["develop"]}.get(extra, [extra])))
    for requirement in map(Requirement, asked):
        version = held.get(str(canonicalize_name(requirement.name)))
        assert version is not None, f"{requirement.name}: {AGAIN}"
        assert requirement.specifier.contains(version), f"{requirement}: locked is {version}"


@pytest.mark.parametrize("extra", ["", *lock.EXTRAS])
def test_a_lock_holds_what_those_packages_need_in_their_turn(extra: str) -> None:
    """Without this `pip install --no-deps` of the locks would leave a hole that shows at the first import."""
    needed = licences.brought_with("cmelt", *([extra] if extra else [])) - {"cmelt"}
    assert needed <= set(pins("torch", "package", *([extra] if extra else []))), AGAIN


def test_what_make_installs_has_every_extra() -> None:
    developed = pins("torch", "package", "develop")
    assert set(LOCKS) == {*lock.SUBJECTS}
    for extra in lock.EXTRAS:
        assert pins(extra).items() <= developed.items(), extra
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes --no-deps -r locks/package.txt -r locks/develop.txt" in rules


def test_pytorch_is_in_a_lock_of_its_own_since_its_build_is_the_devices() -> None:
    assert "torch" in pins("torch") and all(lock.WITH_TORCH.match(name) for name in pins("torch"))
    assert not [name for name in pins(*(set(LOCKS) - {"torch"})) if lock.WITH_TORCH.match(name)]


def test_locks_name_files_by_their_hashes_and_no_place_to_get_them_from() -> None:
    for name, text in LOCKS.items():
        lines = [line.strip().removesuffix(" \\") for line in text.splitlines() if not line.startswith("#")]
        for line in lines:
            assert re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) or lock.PIN.match(line), (name, line)
            assert "://" not in line and "@" not in line, (name, line)


@pytest.mark.parametrize(
    "text",
    ["six==1.17.0\n", "six>=1 \\\n    --hash=sha256:00\n", "six==1 \\\n    --hash=sha256:00\nsix==2 \\\n    --hash=sha256:11\n"],
    ids=["no hash", "no version", "two versions"],
)
def test_a_resolution_that_pins_no_file_makes_no_lock(text: str) -> None:
    with pytest.raises(lock.LockError, match="not one version with hashes: six"):
        lock.pinned_blocks(text)


def test_a_package_for_more_platforms_than_known_is_added() -> None:
    known = {"a": "a==1 ; sys_platform == 'linux' \\\n", "b": "b==1 \\\n"}
    asked = {"a": "a==1 \\\n", "b": "b==1 \\\n", "c": "c==1 \\\n"}
    assert lock.added(asked, known) == {"a": "a==1 \\\n", "c": "c==1 \\\n"}
