"""The house: which room may import from which, what a file may be called, and what nobody may do."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "cmelt"

# Data flows down this list, imports point up it. What knows nothing of ECGs (errors, publishing, pages) may be used by all.
ROOMS = (
    "errors",
    "publishing",
    "pages",
    "config",
    "records",
    "drawing",
    "simulation",
    "sources",
    "store",
    "text",
    "inspection",
    "negatives",
    "model",
    "objectives",
    "batches",
    "checkpoints",
    "interop",
    "training",
    "baselines",
    "evaluation",
    "explanation",
    "study",
    "index",
    "serving",
    "cli",
)
WITHOUT_TORCH = (
    "errors",
    "publishing",
    "pages",
    "config",
    "records",
    "drawing",
    "simulation",
    "sources",
    "store",
    "inspection",
    "index",
)
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "base"}
LONGEST_FILE, LONGEST_FUNCTION, MOST_ARGUMENTS = 400, 60, 8


def python_files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree_of(path: Path) -> ast.Module:
    with tokenize.open(path) as file:
        return ast.parse(file.read(), str(path))


def imported_modules(tree: ast.AST, module: str) -> Iterator[tuple[str, int]]:
    """Absolute names of what is imported anywhere in a file, inside functions too, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield start, node.lineno
            if start == "cmelt":  # `from cmelt import store`
                yield from ((f"cmelt.{alias.name}", node.lineno) for alias in node.names)


def faults_of_import_order(path: Path, tree: ast.AST) -> list[str]:
    own = room_of(path)
    if own == "__init__":
        return []
    if own not in ROOMS:
        return [f"{name_of(path)}: {own} is no room of the house; add it to the list in {Path(__file__).name}, where it belongs"]
    module = "cmelt." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    faults = []
    for imported, line in imported_modules(tree, module):
        parts = imported.split(".")
        if parts[0] != "cmelt" or len(parts) < 2 or parts[1] not in ROOMS:
            continue
        if ROOMS.index(parts[1]) > ROOMS.index(own):
            faults.append(f"{name_of(path)}:{line} imports {imported}, but {parts[1]} comes after {own}")
    return faults


def test_rooms_import_only_from_rooms_before_them() -> None:
    faults = [fault for path in python_files() for fault in faults_of_import_order(path, tree_of(path))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("records/record.py", "from cmelt.store import open_store", True),
        ("records/record.py", "def f():\n    import cmelt.training.loop", True),
        ("text/cleaning.py", "from cmelt import evaluation", True),
        ("text/cleaning.py", "from ..cli import main", True),
        ("utils/x.py", "import os", True),
        ("training/loop.py", "from cmelt.store import open_store", False),
        ("store/shards.py", "from cmelt.publishing import published\nfrom .manifest import Manifest", False),
    ],
)
def test_the_import_order_is_really_looked_at(file: str, line: str, wrong: bool) -> None:
    assert bool(faults_of_import_order(PACKAGE / file, ast.parse(line))) is wrong


def module_imports() -> dict[str, set[str]]:
    """Module → modules of the package that it imports when it is imported itself (not inside functions or for typing)."""
    known = {"cmelt." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in python_files()}
    known = {name.removesuffix(".__init__"): path for name, path in known.items()}
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        graph[name] = set()
        for node in tree_of(path).body:
            if not isinstance(node, ast.ImportFrom) or node.level or not (node.module or "").startswith("cmelt."):
                continue
            targets = {f"{node.module}.{alias.name}" for alias in node.names} & known.keys()
            graph[name] |= targets or ({node.module} & known.keys())
    return graph


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """Modules of one cycle, or nothing. Depth first; `done` are modules from which no cycle can be reached."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph[name]):
            if found := walk(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = cycle_in(module_imports())
    assert not found, " → ".join(found)
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_the_rooms_of_files_and_signals_know_no_torch() -> None:
    heavy = {"torch", "transformers", "lightning_fabric"}
    faults = [
        f"{name_of(path)}:{line} imports {imported}"
        for path in python_files()
        if room_of(path) in WITHOUT_TORCH
        for imported, line in imported_modules(tree_of(path), "cmelt")
        if imported.split(".")[0] in heavy
    ]
    assert not faults, "\n".join(faults)


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    faults = [
        name_of(path)
        for path in python_files()
        if FORBIDDEN_NAMES & {part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts}
    ]
    assert not faults, f"rename after what they hold: {faults}"


def forbidden_acts(path: Path, tree: ast.AST) -> Iterator[str]:
    """eval, exec, pickle, bare except; print outside the command line; the global random state."""
    where = name_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{where}:{node.lineno} bare except: name the errors that are meant"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if {"pickle", "dill", "shelve", "marshal"} & {name.split(".")[0] for name in names}:
                yield f"{where}:{node.lineno} pickle: loading one runs code"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("eval", "exec"):
                yield f"{where}:{node.lineno} {called}"
            elif called == "print" and room_of(path) != "cli":
                yield f"{where}:{node.lineno} print outside cli: return it, or hand a callback in"
            elif called in ("np.random.seed", "numpy.random.seed", "random.seed"):
                yield f"{where}:{node.lineno} {called}: hand a Generator in"
            elif called == "torch.load" and "weights_only=True" not in ast.unparse(node).replace(" ", ""):
                yield f"{where}:{node.lineno} torch.load without weights_only=True runs code"


def test_nobody_evaluates_unpickles_prints_or_swallows_everything() -> None:
    faults = [fault for path in python_files() for fault in forbidden_acts(path, tree_of(path))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "line",
    [
        "eval('1')",
        "exec('x = 1')",
        "import pickle",
        "from pickle import loads",
        "print(1)",
        "np.random.seed(0)",
        "torch.load(p)",
        "try:\n    pass\nexcept:\n    pass",
    ],
)
def test_each_forbidden_act_is_noticed(line: str) -> None:
    assert list(forbidden_acts(PACKAGE / "store" / "x.py", ast.parse(line)))


def too_long(path: Path, tree: ast.Module) -> Iterator[str]:
    lines = len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0
    if lines > LONGEST_FILE:
        yield f"{name_of(path)}: {lines} lines, more than {LONGEST_FILE}: it is two rooms"
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > LONGEST_FUNCTION:
            yield f"{name_of(path)}:{node.lineno} {node.name} has {length} lines, more than {LONGEST_FUNCTION}"
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        named = [argument for argument in arguments if argument.arg not in ("self", "cls")]
        # A command's arguments are its options, one each: Typer wants them that way.
        if len(named) > MOST_ARGUMENTS and room_of(path) != "cli":
            yield f"{name_of(path)}:{node.lineno} {node.name} takes {len(named)} arguments, at most {MOST_ARGUMENTS}: group them"


def test_files_and_functions_fit_on_a_few_screens() -> None:
    faults = [fault for path in python_files() for fault in too_long(path, tree_of(path))]
    assert not faults, "\n".join(faults)


def test_a_long_function_and_many_arguments_are_noticed() -> None:
    source = "def f(a, b, c, d, e, f, g, h, i):\n" + "    x = 1\n" * 60
    assert len(list(too_long(PACKAGE / "model" / "x.py", ast.parse(source)))) == 2
