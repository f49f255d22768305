"""It installs anywhere: wheel and sdist into empty environments, by hashes; each extra; lowest versions; other Pythons.

python benchmarks/faults/installing.py --scratch FOLDER [--only wheel sdist lowest python] [--python PATH …] [--rooms ROOM …]

wheel   an empty environment by locks/ (hashes) and the wheel: jobs without extras, then each extra by its lock: its command
        names it before, and works after; a lock with one wrong hash is refused
sdist   an empty environment by constraints.txt and the sdist, with the extra `serve`
lowest  every direct requirement in its lowest stated version (uv, `--resolution lowest-direct`), the extra `onnx` left out,
        which asks for a later PyTorch: jobs, then the quick tests of --rooms
python  the constraints' versions under each interpreter of --python: jobs, then the quick tests of --rooms

Tests run against what is installed, not against src/. Environments are kept in FOLDER (2 to 6 GB each) and taken again; results
go to results/installing.json, a part at a time. PyTorch is taken from where pip is told to look (PIP_INDEX_URL and its like).
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path += [str(HERE), str(ROOT / "tests" / "packaging")]
from installed_jobs import EXTRA, LACKING, PLAIN, Environment, Job, bare_environment, names_the_extra, tell  # noqa: E402
from trees import built, copy_of_the_tree  # noqa: E402

RESULTS = HERE / "results" / "installing.json"
TORCH = "torch==2.13.0"
#: Rooms whose tests show what a library of another version does: reading, writing, computing, drawing, and what is not fast.
ROOMS: tuple[str, ...] = (
    "config",
    "text",
    "objectives",
    "negatives",
    "drawing",
    "pages",
    "publishing",
    "records",
    "sources",
    "inspection",
    "store",
)
ROOMS += ("model", "batches", "checkpoints", "interop", "index", "explanation", "serving")
TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "wfdb", "pyedflib", "edfio", "ecgdatakit", "neurokit2")
EXTRAS = "explain,serve,onnx,dask,tensorboard"
MONDAY = 1_700_000_000

Command = list[str | Path]


@dataclass(frozen=True)
class Workshop:
    """The folder that everything is made in: a copy of the tree, what was built of it, environments."""

    scratch: Path

    @property
    def tree(self) -> Path:
        """A copy of the repository, made once."""
        tree = self.scratch / "tree"
        return tree if tree.exists() else copy_of_the_tree(tree, MONDAY, 0o644)

    def made(self, target: str) -> Path:
        """The "wheel" or the "sdist" of the tree, built once."""
        out = self.scratch / target
        ready = [*out.glob("cmelt-*")]
        return ready[0] if ready else built(self.tree, out, target)

    def environment(self, name: str, python: str = sys.executable) -> tuple[Environment, bool]:
        """An environment by its name, and whether it is new and empty."""
        place = Environment(self.scratch / "environments" / name, self.scratch / "away" / name)
        if place.python.exists():
            return place, False
        checked([python, "-m", "venv", place.folder])
        return place, True


def main() -> None:
    """Do the parts that are asked for, and keep what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True, help="a folder for environments: 2 to 6 GB each")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=["wheel", "sdist", "lowest"])
    parser.add_argument("--python", nargs="+", default=[], help="other interpreters")
    parser.add_argument("--rooms", nargs="*", default=ROOMS, help="folders of tests/ that are run")
    parser.add_argument("--extras", nargs="+", choices=tuple(EXTRA), default=list(EXTRA), help="extras of the wheel")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where results are kept, beside those of before")
    chosen = parser.parse_args()
    workshop = Workshop(chosen.scratch.resolve())
    for part in chosen.only:
        for name, found in PARTS[part](workshop, chosen):
            keep(chosen.json, name, found)
            tell(f"{name}: {json.dumps(found)}")


def by_wheel(workshop: Workshop, chosen: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Locks, hashes, the wheel; then each extra by its own lock."""
    where, new = workshop.environment("wheel")
    if new:
        locked = checked(
            [where.python, "-m", "pip", "install", "--require-hashes", "--no-deps", "-r", ROOT / "locks/package.txt"]
        )
        checked([where.python, "-m", "pip", "install", "-c", ROOT / "constraints.txt", TORCH])
        checked([where.python, "-m", "pip", "install", "--no-deps", workshop.made("wheel")])
        assert "Successfully installed" in locked
    checked([where.python, "-m", "pip", "check"])
    yield "wheel", {"by": "locks/package.txt, --require-hashes", **jobs_done(where, PLAIN)}
    yield "a wrong hash", {"refused": refuses_a_wrong_hash(where, workshop.scratch)}
    for extra, job in EXTRA.items():
        if extra not in chosen.extras:
            continue
        lock = ROOT / "locks" / f"{extra}.txt"
        named = names_the_extra(where, extra) if extra in LACKING else None
        checked([where.python, "-m", "pip", "install", "--require-hashes", "--no-deps", "-r", lock])
        checked([where.python, "-m", "pip", "check"])
        yield f"extra {extra}", {"named when it is lacking": named, **jobs_done(where, [job])}
        before = pinned(ROOT / "locks/package.txt")
        checked([where.python, "-m", "pip", "uninstall", "--yes", *sorted(pinned(lock) - before)])


def by_sdist(workshop: Workshop, _: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Constraints and the sdist, which pip builds by itself."""
    where, new = workshop.environment("sdist")
    if new:
        pip: Command = [where.python, "-m", "pip", "install", "-c", ROOT / "constraints.txt"]
        checked([*pip, TORCH])
        checked([*pip, f"cmelt[serve] @ {workshop.made('sdist').as_uri()}"])
    checked([where.python, "-m", "pip", "check"])
    yield "sdist", {"by": "constraints.txt", **jobs_done(where, [*PLAIN, EXTRA["serve"]])}


def by_lowest(workshop: Workshop, chosen: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """The lowest version of everything that pyproject.toml names, the newest of what those need."""
    where, new = workshop.environment("lowest")
    resolved = workshop.scratch / "lowest.txt"
    if new:
        asked = [argument for extra in EXTRAS.split(",") if extra != "onnx" for argument in ("--extra", extra)]
        uv: Command = [shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv", "pip"]
        lowest = ["--python-version", platform.python_version(), "--resolution", "lowest-direct", "--no-header", "--no-annotate"]
        checked([*uv, "compile", "--quiet", "--no-config", *lowest, *asked, ROOT / "pyproject.toml", "-o", resolved])
        checked([where.python, "-m", "pip", "install", "-r", resolved])
        checked([where.python, "-m", "pip", "install", "--no-deps", workshop.made("wheel")])
        checked([where.python, "-m", "pip", "install", "-c", resolved, *TOOLS[:4]])
    versions = dict(re.findall(r"^([\w.-]+)==([\w.]+)", resolved.read_text(encoding="utf-8"), re.MULTILINE))
    yield "lowest: versions", {name: versions[name] for name in sorted(named_in_pyproject() & versions.keys())}
    yield "lowest: jobs", jobs_done(where, [*PLAIN, *(job for extra, job in EXTRA.items() if extra != "onnx")])
    yield from rooms_of(where, "lowest", workshop.tree, chosen.rooms)


def by_python(workshop: Workshop, chosen: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """The same versions under other interpreters."""
    for python in chosen.python:
        version = checked([python, "-c", "import platform; print(platform.python_version())"]).strip()
        where, new = workshop.environment(f"python-{version}", python)
        if new:
            pip: Command = [where.python, "-m", "pip", "install", "-c", ROOT / "constraints.txt"]
            checked([*pip, TORCH])
            checked([*pip, f"cmelt[{EXTRAS}] @ {workshop.made('wheel').as_uri()}", *TOOLS])
        yield f"Python {version}: jobs", jobs_done(where, [*PLAIN, *EXTRA.values()])
        yield from rooms_of(where, f"Python {version}", workshop.tree, chosen.rooms)


PARTS = {"wheel": by_wheel, "sdist": by_sdist, "lowest": by_lowest, "python": by_python}


def jobs_done(where: Environment, jobs: Sequence[Job]) -> dict[str, Any]:
    """How many of the jobs an installation does, and which it does not."""
    shutil.rmtree(where.away, ignore_errors=True)  # what an earlier run left there would be refused
    failed = []
    for job in jobs:
        try:
            done = job.done(where)
        except (OSError, TimeoutError, subprocess.TimeoutExpired) as error:
            tell(f"{job.name}: {error}")
            done = False
        failed += [] if done else [job.name]
    return {"done": len(jobs) - len(failed), "of": len(jobs), "failed": failed}


def rooms_of(where: Environment, name: str, tree: Path, rooms: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The quick tests of each room against the installed package: passed, failed, skipped, and which failed."""
    for room in rooms:
        command: Command = [where.python, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-o", "pythonpath=docs/site"]
        command += ["-m", "not slow", "--no-header", "--tb=no", f"tests/{room}"]
        done = subprocess.run(
            command, cwd=tree, env=bare_environment(), capture_output=True, text=True, check=False, timeout=1800
        )
        last = done.stdout.strip().splitlines()[-1]
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", last)}
        yield f"{name}: tests/{room}", {**counts, "which": re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)}


def refuses_a_wrong_hash(where: Environment, scratch: Path) -> bool:
    """pip installs nothing of a lock whose file has another hash than the lock says."""
    lock = scratch / "wrong.txt"
    block = re.search(r"^rich==.*\n(?:    .*\n)+", (ROOT / "locks/package.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert block is not None
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + 64 * "0", block[0]), encoding="utf-8")
    command: Command = [
        "-m",
        "pip",
        "download",
        "--no-cache-dir",
        "--require-hashes",
        "--no-deps",
        "-d",
        scratch / "none",
        "-r",
        lock,
    ]
    done = subprocess.run([where.python, *command], env=bare_environment(), capture_output=True, text=True, check=False)
    return done.returncode != 0 and "HASHES" in done.stderr.upper() and not list((scratch / "none").glob("*"))


def pinned(lock: Path) -> set[str]:
    """Names in a lock."""
    return set(re.findall(r"^([a-z0-9][\w.-]*)==", lock.read_text(encoding="utf-8"), re.MULTILINE))


def named_in_pyproject() -> set[str]:
    """Names of everything that pyproject.toml asks for with a lowest version."""
    return set(re.findall(r'"([a-zA-Z0-9-]+)>=', (ROOT / "pyproject.toml").read_text(encoding="utf-8")))


def checked(command: Command) -> str:
    """What a command says. Raises RuntimeError with its last lines where it fails."""
    done = subprocess.run([*map(str, command)], env=bare_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:6]))} …: {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout


def keep(results: Path, name: str, found: Any) -> None:
    """Put one result among those of before."""
    held = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    held[name] = {"date": date.today().isoformat(), **found}
    results.write_text(json.dumps(dict(sorted(held.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
