"""Mutation testing: how many of the faults that are put into the code the tests find. docs/reliability.md tells the figures.

    python benchmarks/mutation.py --scratch FOLDER                        every room, a sample of its mutants each
    python benchmarks/mutation.py --scratch FOLDER --only store --each 20 --seed 3
    python benchmarks/mutation.py --scratch FOLDER --only store --seed 3 --names NAME...   these mutants and no draw

mutmut makes the mutants, notes which test runs which function, and runs those tests on each mutant until one fails. It works on a
copy of the last commit in the scratch folder, one copy a room, never on the working tree. A sample is drawn by a seed from all
mutants of a room, spread over its files in proportion to their mutants. A mutant counts as found where a test fails or never ends
(three times the clean time and half a minute). Left out before the draw: the wording of an exception, where
nothing but letters of a literal change. mutmut mutates functions: constants of modules, and what is below a decorator, stay as
they are.

Counts and each mutant that lived, with what was said of it, are kept in `benchmarks/results/mutation.json`.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from measuring import machine

HOUSE = Path(__file__).resolve().parents[1]
RESULTS = HOUSE / "benchmarks" / "results" / "mutation.json"
ROOMS = ("objectives", "negatives", "batches", "store", "records", "readers")
READERS = "src/cmelt/records/readers/*"
READING = ("aecg", "binary", "dicom", "edf", "hdf5", "matlab", "muse", "numpy", "packed", "philips", "scp", "table", "vendor",
           "wfdb", "xml")  # fmt: skip
#: How mutmut's exit status is read. Tests that cannot even be collected (2) fail by the mutant: those of the copy can.
FOUND, LIVED, ENDLESS, UNTESTED = {1, 2, 3}, {0}, {-24, 24, 36, 152}, {5, 33}
LITERAL = r"\"[^\"]*\"|'[^']*'"


@dataclass(frozen=True)
class Room:
    """A part of the package: patterns of the files that are mutated, of those that are not, and the tests that judge them."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    besides: tuple[str, ...] = ()


def room_of(name: str, copy: Path) -> Room:
    """A room by name. The readers of file formats are half of `records`, hence a room of their own here."""
    if name not in ("records", "readers"):
        return Room((f"src/cmelt/{name}/*",), (f"tests/{name}",))
    tests = sorted(path.relative_to(copy).as_posix() for path in (copy / "tests" / "records").glob("test_*.py"))
    reading = tuple(path for path in tests if path.removeprefix("tests/records/test_").startswith(READING))
    if name == "readers":
        return Room((READERS,), (*reading, "tests/contracts/test_readers.py"))
    return Room(("src/cmelt/records/*",), tuple(path for path in tests if path not in reading), (READERS,))


def lay_out(name: str, copy: Path) -> None:
    """Lay out what the last commit holds, and tell mutmut there what to mutate and which tests to run."""
    shutil.rmtree(copy, ignore_errors=True)
    (copy / "mutants" / "benchmarks").mkdir(parents=True)
    told = subprocess.run(["git", "archive", "HEAD"], cwd=HOUSE, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(told.stdout)) as held:
        held.extractall(copy, filter="data")
    shutil.copy2(HOUSE / "benchmarks" / "mutation_order.py", copy / "benchmarks")
    room = room_of(name, copy)
    settings: dict[str, Any] = {
        "source_paths": ["src"],
        "only_mutate": list(room.files),
        "do_not_mutate": list(room.besides),
        "also_copy": ["benchmarks/mutation_order.py"],
        "pytest_add_cli_args_test_selection": ["-m", "not slow", *room.tests],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "mutation_order"],
        "process_isolation": "forkserver",
        "debug": True,  # where it catches the tests' words instead, mutmut 3.8.1 notes no test of any function
        "timeout_multiplier": 3.0,
        "timeout_constant": 10.0,
        "track_dependencies": False,
        "use_git_change_detection": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    page = (copy / "pyproject.toml").read_text(encoding="utf-8")
    (copy / "pyproject.toml").write_text("\n".join([page, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def run_mutmut(copy: Path, names: Iterable[str]) -> None:
    """`mutmut run` of these mutants, one after the other; its own words go to a file beside the copy."""
    path = os.pathsep.join(str(copy / "mutants" / folder) for folder in ("src", "benchmarks"))
    data = os.environ.get("CMELT_DATA_DIR", str(HOUSE.parent / "shared" / "data"))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CMELT_DATA_DIR": data}
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *names]
    with (copy / "mutmut.log").open("a", encoding="utf-8") as log:
        subprocess.run(command, cwd=copy, env=environment, stdout=log, stderr=log, check=False)


def statuses(copy: Path) -> dict[str, dict[str, int | None]]:
    """Every mutant by file: the exit status of its tests, None where they have not been run."""
    found = {}
    for path in sorted((copy / "mutants" / "src").rglob("*.py.meta")):
        name = path.relative_to(copy / "mutants").as_posix().removesuffix(".meta")
        found[name] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def difference(copy: Path, file: str, mutant: str) -> tuple[str, str, bool]:
    """What a mutant changes: the lines as they were, as they are, and whether that is but the wording of an error's message."""
    spans = json.loads((copy / "mutants" / f"{file}.spans").read_text(encoding="utf-8"))["spans"]
    lines = (copy / "mutants" / file).read_text(encoding="utf-8").splitlines()
    short = mutant.rpartition(".")[2]
    keys = (short.partition("__mutmut_")[0] + "__mutmut_orig", short)
    texts = [textwrap.dedent("\n".join(lines[slice(spans[key][0] - 1, spans[key][1])])) for key in keys]
    before, after = (re.sub(r"\w+__mutmut_\w+", "function", text).strip().splitlines() for text in texts)
    edits = [edit for edit in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if edit[0] != "equal"]
    old, new = before[edits[0][1] : edits[-1][2]], after[edits[0][3] : edits[-1][4]]
    wording = len(old) == len(new) == 1 and only_letters(old[0], new[0]) and in_a_raise(before, edits[0][1] + 1)
    return "\n".join(old).strip(), "\n".join(new).strip(), wording


def only_letters(old: str, new: str) -> bool:
    """Whether two lines differ in one literal alone, by its letters' size or by what mutmut puts around it."""
    one, other = (re.findall(LITERAL, line) for line in (old, new))
    apart = [(mine, its) for mine, its in zip(one, other, strict=False) if mine != its]
    same_elsewhere = len(one) == len(other) and re.sub(LITERAL, "", old) == re.sub(LITERAL, "", new)
    return same_elsewhere and len(apart) == 1 and apart[0][0].lower() == apart[0][1].replace("XX", "").lower()


def in_a_raise(function: Sequence[str], line: int) -> bool:
    """Whether a line of a function's text, counted from 1, is part of a `raise`."""
    tree = ast.parse("\n".join(function))
    return any(isinstance(node, ast.Raise) and node.lineno <= line <= (node.end_lineno or 0) for node in ast.walk(tree))


def draw(copy: Path, each: int, seed: int) -> tuple[list[tuple[str, str]], int, int]:
    """A sample of (file, mutant), the number of mutants it was drawn from, and of those left out as mere wording before that.

    Every file gives its share of mutants, rounded by chance; wording met while drawing is passed over, and estimates its number.
    """
    dice = random.Random(seed)
    pool = [(file, mutant) for file, known in statuses(copy).items() for mutant in known]
    # Systematic sampling: places at equal distances from a random start, over mutants that stand file by file in random order.
    order = sorted(pool, key=lambda one: (one[0], dice.random()))
    order = [one for one in order if not difference(copy, *one)[2]]
    step, start = max(1.0, len(order) / each), dice.random()
    places = sorted({int((start + turn) * step) for turn in range(each)} & set(range(len(order))))
    return [order[place] for place in places], len(order), len(pool) - len(order)


def verdicts(copy: Path, sample: Sequence[tuple[str, str]]) -> dict[str, list[dict[str, str]]]:
    """The sample by what became of each mutant: found, endless, lived, untested, unclear."""
    found: dict[str, list[dict[str, str]]] = {name: [] for name in ("found", "endless", "lived", "untested", "unclear")}
    status = statuses(copy)
    for file, mutant in sample:
        code = status[file][mutant]
        kinds = {"found": FOUND, "lived": LIVED, "endless": ENDLESS, "untested": UNTESTED}
        kind = next((name for name, codes in kinds.items() if code in codes), "unclear")
        old, new, _ = difference(copy, file, mutant)
        found[kind].append({"mutant": mutant, "file": file, "was": old, "became": new})
    return found


def measure(name: str, scratch: Path, each: int, seed: int) -> dict[str, Any]:
    """One room: mutants made, a sample drawn and judged."""
    copy = scratch / name
    lay_out(name, copy)
    # mutmut has no command that makes mutants and notes their tests without trying any: it does so on its way to a name that
    # is none, and ends there.
    run_mutmut(copy, ["none"])
    sample, pool, wording = draw(copy, each, seed)
    judge(copy, [mutant for _, mutant in sample])
    told = verdicts(copy, sample)
    lists = {kind: told[kind] for kind in ("endless", "lived", "untested", "unclear")}
    return {"mutants": pool, "wording": wording, "seed": seed, "drawn": len(sample)} | counted(told) | lists


def judge(copy: Path, mutants: Sequence[str]) -> None:
    """Run the tests that reach each mutant; then, on those that live, the tests that start processes, too.

    mutmut notes which test runs a function in the tests' own process alone. What prepares shards or sums losses in a process of
    its own has other tests besides.
    """
    run_mutmut(copy, mutants)
    status = {mutant: code for known in statuses(copy).values() for mutant, code in known.items()}
    alive = [mutant for mutant in mutants if status[mutant] in LIVED | UNTESTED]
    path = copy / "mutants" / "mutmut-stats.json"
    noted = json.loads(path.read_text(encoding="utf-8"))
    apart = [test for test in noted["duration_by_test"] if starts_processes(copy / test.partition("::")[0])]
    if not alive or not apart:
        return
    for function in {mutant.partition("__mutmut_")[0] for mutant in alive}:
        known = noted["tests_by_mangled_function_name"].get(function, [])
        noted["tests_by_mangled_function_name"][function] = sorted({*known, *apart})
    path.write_text(json.dumps(noted), encoding="utf-8")
    run_mutmut(copy, alive)


def starts_processes(tests: Path) -> bool:
    """Whether a file of tests speaks of other processes."""
    return re.search(r"subprocess|together\(|apart\(|workers|Cluster", tests.read_text(encoding="utf-8")) is not None


def counted(told: Mapping[str, Sequence[object]]) -> dict[str, Any]:
    """How many were found, endless ones among them, with Wilson's 95 % interval."""
    from scipy.stats import binomtest

    good, total = len(told["found"]) + len(told["endless"]), sum(len(kind) for kind in told.values())
    share = binomtest(good, total).proportion_ci(method="wilson")
    return {"found": good, "share": good / total, "low": share.low, "high": share.high}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, required=True, help="folder for the copies: 200 MB a room")
    parser.add_argument("--only", nargs="+", choices=ROOMS, default=ROOMS, help="rooms")
    parser.add_argument("--each", type=int, default=40, help="mutants drawn of each room")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the counts are kept")
    asked = parser.parse_args()
    for name in asked.only:
        told = measure(name, asked.scratch.resolve(), asked.each, asked.seed)
        keep(asked.to, f"{name}, seed {asked.seed}", told)
        print(f"{name}: {told['found']} of {told['drawn']} found ({told['low']:.2f} to {told['high']:.2f})")


def keep(path: Path, name: str, told: Mapping[str, Any]) -> None:
    """One sample's figures beside the others that are kept."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"samples": {}}
    content = {"date": date.today().isoformat(), "machine": machine(), "samples": kept["samples"] | {name: dict(told)}}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
