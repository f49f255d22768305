"""What can be said of a block without running it: Python compiles, every name and option exists, YAML means something."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from code_blocks import ROOT, Block
from shell_lines import commands_in, words_of
from typer.main import get_command

from cmelt.cli import app
from cmelt.config import load_recipe, recipe_names
from cmelt.evaluation.prompts.wording import read_statements
from cmelt.evaluation.tasks import load_task
from cmelt.study.settings import load_study


def check(block: Block, folder: Path) -> None:
    """AssertionError, or what the program itself says, where something in the block does not exist or cannot be read.

    folder: for files that a check writes.
    """
    if block.language == "python":
        check_python(block.text, block.place)
    elif block.language == "bash":
        check_shell(block.text)
    elif block.language == "yaml":
        check_yaml(block.text, folder)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "diff":
        patched(block.text, ROOT)
    elif block.language == "js":
        check_script(block.text, folder)
    else:
        assert block.language == "text", f"{block.place}: the fence says no language that is known here"


def check_python(text: str, place: str) -> None:
    """It compiles; what it imports from cmelt, and what it asks of `cmelt.`, is there."""
    tree = ast.parse(text, place)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cmelt":
            module = import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name), f"{place}: {node.module} has no {name.name}"
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "cmelt":
                    import_module(name.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cmelt":
            assert hasattr(import_module("cmelt"), node.attr), f"{place}: cmelt has no {node.attr}"


def patched(diff: str, root: Path) -> dict[Path, str]:
    """The files below `root` that a unified diff changes, changed; AssertionError where it does not fit."""
    files: dict[Path, str] = {}
    for part in re.split(r"(?m)^--- .*\n", diff)[1:]:
        name, *hunks = re.split(r"(?m)^@@.*\n", part)
        path = root / name.strip().removeprefix("+++ b/")
        text = path.read_text(encoding="utf-8")
        for hunk in hunks:
            lines = [line or " " for line in hunk.splitlines()]
            old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
            assert text.count(old) == 1, f"{path} has not once:\n{old}"
            text = text.replace(old, "".join(f"{line[1:]}\n" for line in lines if line[0] in " +"))
        files[path] = text
    return files


def check_shell(text: str) -> None:
    """bash can read it, and every program of ours is called as it can be."""
    if shutil.which("bash"):
        read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        assert read.returncode == 0, read.stderr
    for line in commands_in(text):
        for command in re.split(r"\s*(?:&&|;)\s*", line):
            check_command(command)


def check_command(command: str) -> None:
    """One command: ours by the real command line without running it; scripts and targets of the repository by name and option."""
    found = re.search(r"(?:^|\s)(cmelt|-m cmelt\.cli)\s", command)
    if found and not command.startswith(("pip", "#")):
        parse(words_of(command[found.end() :]))
    elif match := re.match(r"python (\S+\.py)", command):
        script = ROOT / match[1]
        source = script.read_text(encoding="utf-8")
        for option in re.findall(r"\s(--[a-z-]+)", command):
            assert f'"{option}"' in source, f"{match[1]} has no {option}"
    elif command.startswith("make "):
        targets = [word for word in shlex.split(command)[1:] if "=" not in word]
        rules = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{target}:", rules, re.MULTILINE) for target in targets), command
    elif match := re.match(r'pip install "cmelt\[(\w+)\]"', command):
        assert re.search(rf"^{match[1]} = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE), command


def parse(words: list[str]) -> dict[str, Any]:
    """The parameters that `cmelt WORDS` would be run with; UsageError where there is no such command, option or value."""
    command: Any = get_command(app)
    name, context, rest = "cmelt", None, words
    while True:
        context = command.make_context(name, list(rest), parent=context)
        if not hasattr(command, "resolve_command"):
            break
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    if name == "pretrain" and context.params["recipe"] in recipe_names():
        load_recipe(context.params["recipe"], [one for one in context.params["assignments"] or [] if "$" not in one])
    return dict(context.params)


def check_yaml(text: str, folder: Path) -> None:
    """A study, a task, statements, or a recipe or a part of one; each read as the program reads it."""
    content = yaml.safe_load(text)
    path = folder / "page.yaml"
    path.write_text(text, encoding="utf-8")
    if {"data", "models"} <= content.keys():
        (folder / "mine.yaml").write_text("base: small\nname: mine\n")
        load_study(path)
    elif "classes" in content:
        load_task(path)
    elif any("meaning" in entry for entry in content.values() if isinstance(entry, dict)):
        (folder / "statements").mkdir(exist_ok=True)
        path.replace(folder / "statements/page.yaml")
        read_statements(folder / "statements")
    else:
        path.write_text(yaml.safe_dump({"base": "small", "name": "page", **content}), encoding="utf-8")
        load_recipe(path)


def check_script(text: str, folder: Path) -> None:
    """JavaScript that node can read; without node, that its brackets close."""
    if node := shutil.which("node"):
        path = folder / "page.mjs"
        path.write_text(text, encoding="utf-8")
        read = subprocess.run([node, "--check", path], capture_output=True, text=True)
        assert read.returncode == 0, read.stderr
    assert all(text.count(left) == text.count(right) for left, right in ("()", "[]", "{}"))
