"""Mutation testing: how many of the faults that are put into the code the tests find. docs/reliability.md tells the figures.

    python benchmarks/mutation.py --scratch FOLDER                        every room, a sample of its mutants each
    python benchmarks/mutation.py --scratch FOLDER --only store --each 20 --seed 3
    python benchmarks/mutation.py --scratch FOLDER --only store --again   those of a kept sample that no test found, once more

mutmut makes the mutants, notes which test runs which function, and runs those tests on each mutant until one fails. It works on a
copy of the last commit in the scratch folder, one copy a room, never on the working tree. A sample is drawn by a seed from all
mutants of a room, spread over its files in proportion to their mutants. A mutant counts as found where a test fails or never ends
(three times the clean time and 90 s, then five minutes by itself). Left out before the draw: the wording of an exception, where
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
from functools import cache
from pathlib import Path
from typing import Any

from measuring import machine

HOUSE = Path(__file__).resolve().parents[1]
RESULTS = HOUSE / "benchmarks" / "results" / "mutation.json"
ROOMS = ("objectives", "negatives", "batches", "store", "records", "readers")
READERS = "src/cmelt/records/readers/*"
READING = ("aecg", "apart", "binary", "dicom", "edf", "hdf5", "matlab", "muse", "numpy", "packed", "philips", "reading", "scp",
           "stated_facts", "table", "vendor", "wfdb", "xml")  # fmt: skip
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


def lay_out(name: str, scratch: Path) -> Path:
    """A copy of what the last commit holds, with a room's mutants made and their tests noted."""
    copy = scratch / name
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("src", "benchmarks"):  # there when mutmut starts: what Python does not find then, it never looks for again
        (copy / "mutants" / folder).mkdir(parents=True)
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
        "timeout_constant": 30.0,
        "track_dependencies": False,
        "use_git_change_detection": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    page = (copy / "pyproject.toml").read_text(encoding="utf-8")
    (copy / "pyproject.toml").write_text("\n".join([page, "[tool.mutmut]", *lines, ""]), encoding="utf-8")
    # mutmut has no command that makes mutants and notes their tests without trying any: it does so on its way to a name that
    # is none, and ends there.
    run_mutmut(copy, ["none"])
    if not (copy / "mutants" / "mutmut-stats.json").exists():
        raise SystemExit(f"{name}: a test fails before anything is changed, see {copy / 'mutmut.log'}")
    return copy


def run_mutmut(copy: Path, names: Iterable[str]) -> None:
    """`mutmut run` of these mutants, one after the other; its own words go to a file beside the copy."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *names]
    with (copy / "mutmut.log").open("a", encoding="utf-8") as log:
        subprocess.run(command, cwd=copy, env=environment_of(copy), stdout=log, stderr=log, check=False)


def environment_of(copy: Path) -> dict[str, str]:
    """Where tests of the copy find the mutants and the real recordings."""
    path = os.pathsep.join(str(copy / "mutants" / folder) for folder in ("src", "benchmarks"))
    data = os.environ.get("CMELT_DATA_DIR", str(HOUSE.parent / "shared" / "data"))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CMELT_DATA_DIR": data}


def statuses(copy: Path) -> dict[str, dict[str, int | None]]:
    """Every mutant by file: the exit status of its tests, None where they have not been run."""
    found = {}
    for path in sorted((copy / "mutants" / "src").rglob("*.py.meta")):
        name = path.relative_to(copy / "mutants").as_posix().removesuffix(".meta")
        found[name] = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


@cache
def mutated(path: Path) -> tuple[dict[str, list[int]], list[str]]:
    """Where each function stands in a file that mutmut wrote, first and last line, and the file's lines."""
    spans = json.loads(path.with_name(f"{path.name}.spans").read_text(encoding="utf-8"))["spans"]
    return spans, path.read_text(encoding="utf-8").splitlines()


def difference(copy: Path, file: str, mutant: str) -> tuple[str, str, bool]:
    """What a mutant changes: the lines as they were, as they are, and whether that is but the wording of an error's message."""
    spans, lines = mutated(copy / "mutants" / file)
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
    """A sample of (file, mutant), the number of mutants it was drawn from, and of those left out before that as mere wording.

    Places at equal distances from a random start, over mutants that stand file by file in random order.
    """
    dice = random.Random(seed)
    pool = [(file, mutant) for file, known in statuses(copy).items() for mutant in known]
    order = sorted(pool, key=lambda one: (one[0], dice.random()))
    order = [one for one in order if not difference(copy, *one)[2]]
    step, start = max(1.0, len(order) / each), dice.random()
    places = sorted({int((start + turn) * step) for turn in range(each)} & set(range(len(order))))
    return [order[place] for place in places], len(order), len(pool) - len(order)


def verdicts(copy: Path, sample: Sequence[tuple[str, str]], codes: Mapping[str, int | None]) -> dict[str, list[dict[str, str]]]:
    """The sample by what became of each mutant: found, endless, lived, untested, unclear."""
    found: dict[str, list[dict[str, str]]] = {name: [] for name in ("found", "endless", "lived", "untested", "unclear")}
    for file, mutant in sample:
        code = codes[mutant]
        kinds = {"found": FOUND, "lived": LIVED, "endless": ENDLESS, "untested": UNTESTED}
        kind = next((name for name, codes in kinds.items() if code in codes), "unclear")
        old, new, _ = difference(copy, file, mutant)
        found[kind].append({"mutant": mutant, "file": file, "was": old, "became": new})
    return found


def measure(name: str, scratch: Path, each: int, seed: int) -> dict[str, Any]:
    """One room: mutants made, a sample drawn and judged."""
    copy = lay_out(name, scratch)
    sample, pool, wording = draw(copy, each, seed)
    told = verdicts(copy, sample, judge(copy, [mutant for _, mutant in sample]))
    lists = {kind: told[kind] for kind in ("endless", "lived", "untested", "unclear")}
    return {"mutants": pool, "wording": wording, "seed": seed, "drawn": len(sample)} | counted(told) | lists


def measure_again(name: str, scratch: Path, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What has become of those of a kept sample that no test found: the tests are others now, the mutants must be the same."""
    copy = lay_out(name, scratch)
    before = [one for kind in ("lived", "untested", "unclear") for one in kept[kind]]
    there = {(file, mutant) for file, known in statuses(copy).items() for mutant in known}
    same = [one for one in before if (one["file"], one["mutant"]) in there]
    same = [one for one in same if difference(copy, one["file"], one["mutant"])[:2] == (one["was"], one["became"])]
    codes = judge(copy, [one["mutant"] for one in same])
    told = verdicts(copy, [(one["file"], one["mutant"]) for one in same], codes)
    left = [one["mutant"] for kind in ("lived", "untested", "unclear") for one in told[kind]]
    return dict(kept) | {
        "since": {"found": len(told["found"]) + len(told["endless"]), "gone": len(before) - len(same), "left": left}
    }


def judge(copy: Path, mutants: Sequence[str]) -> dict[str, int | None]:
    """Exit statuses of the tests that reach each mutant; of those that live, of the tests that start processes, too.

    mutmut notes which test runs a function in the tests' own process alone. What prepares shards or sums losses in a process of
    its own has other tests besides. And mutmut's workers are forks, in which a library's threads can be missing: a mutant that
    does not end there is judged in a fresh process.
    """
    run_mutmut(copy, mutants)
    codes = codes_of(copy, mutants)
    if mutants and all(code is None for code in codes.values()):
        raise SystemExit(f"no mutant was judged: the tests fail by themselves, as {copy / 'mutmut.log'} tells")
    alive = [mutant for mutant in mutants if codes[mutant] in LIVED | UNTESTED]
    path = copy / "mutants" / "mutmut-stats.json"
    noted = json.loads(path.read_text(encoding="utf-8"))
    apart = [test for test in noted["duration_by_test"] if starts_processes(copy / test.partition("::")[0])]
    tests = noted["tests_by_mangled_function_name"]
    if alive and apart:
        for function in {function_of(mutant) for mutant in alive}:
            tests[function] = sorted({*tests.get(function, []), *apart})
        path.write_text(json.dumps(noted), encoding="utf-8")
        run_mutmut(copy, alive)
        codes |= codes_of(copy, alive)
    for mutant in mutants:
        if codes[mutant] in ENDLESS:
            codes[mutant] = judge_apart(copy, mutant, tests[function_of(mutant)])
    return codes


def judge_apart(copy: Path, mutant: str, tests: Sequence[str]) -> int:
    """The exit status of these tests on one mutant, in a process of their own; −24 where they do not end in five minutes."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--rootdir=.", "-p", "no:cacheprovider", *tests]
    environment = environment_of(copy) | {"MUTANT_UNDER_TEST": mutant}
    try:
        return subprocess.run(command, cwd=copy / "mutants", env=environment, capture_output=True, timeout=300).returncode
    except subprocess.TimeoutExpired:
        return -24


def function_of(mutant: str) -> str:
    """The function that a mutant is one of, as mutmut names it."""
    return mutant.partition("__mutmut_")[0]


def codes_of(copy: Path, mutants: Sequence[str]) -> dict[str, int | None]:
    """mutmut's exit statuses of these mutants."""
    known = {mutant: code for file in statuses(copy).values() for mutant, code in file.items()}
    return {mutant: known[mutant] for mutant in mutants}


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
    parser.add_argument("--again", action="store_true", help="no draw: those of the kept sample of that seed that lived")
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the counts are kept")
    asked = parser.parse_args()
    for name in asked.only:
        key, kept = f"{name}, seed {asked.seed}", read(asked.to)["samples"]
        if asked.again:
            told = measure_again(name, asked.scratch.resolve(), kept[key])
            print(f"{name}: {told['since']['found']} found since, left {', '.join(told['since']['left']) or 'none'}")
        else:
            told = measure(name, asked.scratch.resolve(), asked.each, asked.seed)
            print(f"{name}: {told['found']} of {told['drawn']} found ({told['low']:.2f} to {told['high']:.2f})")
        keep(asked.to, key, told)


def read(path: Path) -> dict[str, Any]:
    """What is kept: samples by name, and why a mutant can be told from the original by nothing, written by hand."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"samples": {}, "equivalent": {}}


def keep(path: Path, name: str, told: Mapping[str, Any]) -> None:
    """One sample's figures beside the others that are kept."""
    kept = read(path)
    content = kept | {"date": date.today().isoformat(), "machine": machine(), "samples": kept["samples"] | {name: dict(told)}}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
