"""A disk that is really full: a memory file system of a given size, mounted where nobody else sees it, with a preparation on it.

As a program, in user and mount namespaces of its own (unshare -rm): it mounts the disk, puts the old store on it, runs the
command, makes the disk larger, runs the command again, and prints what was there each time as JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

#: Processes with namespaces of their own.
_APART = ("unshare", "-rm")


@cache
def can_be_mounted() -> bool:
    """Whether this machine lets us."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_APART, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0


def on_a_disk(
    limits: str, place: Path, command: list[str], environment: dict[str, str], old: Path | None
) -> list[dict[str, object]]:
    """Run `command`, which makes `place`/out, on a disk with these `limits` ("size=400k"), then on a large one.

    old: a store that lies there as `out` before.

    Returns:
        For each of the two: `code`, `said`, `files` of out with their SHA-256, `names` of what lies in `place`, `drafts`.
    """
    asked = {"limits": limits, "place": str(place), "command": command, "old": str(old or "")}
    program = [*_APART, sys.executable, __file__, json.dumps(asked)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told: list[dict[str, object]] = json.loads(done.stdout)
    return told


def _on_it(limits: str, place: Path, command: list[str], old: str) -> list[dict[str, object]]:
    _mount("size=64m,nr_inodes=10000", place)
    if old:
        shutil.copytree(old, place / "out")
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in place.rglob("*") if path.is_file())
    inodes = sum(1 for _ in place.rglob("*")) + 1
    amount = int(limits.partition("=")[2].rstrip("k"))
    if limits.startswith("size"):
        _mount(f"remount,size={max(used + amount, 4)}k", place)
    else:
        _mount(f"remount,nr_inodes={inodes + amount}", place)
    first = _run(place, command)
    _mount("remount,size=64m,nr_inodes=10000", place)
    return [first, _run(place, command)]


def _mount(options: str, place: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], check=True)


def _run(place: Path, command: list[str]) -> dict[str, object]:
    from preparation_runs import tree_or_fault

    done = subprocess.run(command, capture_output=True, text=True)
    return {
        "code": done.returncode,
        "said": done.stderr,
        "files": tree_or_fault(place / "out"),
        "names": sorted(path.name for path in place.iterdir()),
        "drafts": [path.name for path in place.rglob("*.part")],
    }


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1])]
    told = json.loads(sys.argv[1])
    print(json.dumps(_on_it(told["limits"], Path(told["place"]), told["command"], told["old"])))
