"""A file of findings to look for: one a line, as somebody types it, or YAML with several prompts a class, or a whole task."""

from __future__ import annotations

from pathlib import Path

from cmelt.errors import ConfigError
from cmelt.evaluation.strict_yaml import read_strict_yaml
from cmelt.evaluation.tasks import load_task
from cmelt.serving.classes import Classes
from cmelt.serving.typed_lines import typed_lines

#: Bytes; more than anybody writes by hand.
LARGEST = 1_000_000


def read_prompts(path: Path, *, as_typed: bool = False) -> Classes:
    """What `cmelt.classify` takes as `classes`.

    A text file has a finding a line, in words; empty lines and lines that begin with "#" are passed over, and the finding's name
    is the line. One that names a bundled statement is taken as that, unless `as_typed` (`typed_lines`). A .yaml file maps names
    of classes to a text or a list of texts; one with the key `classes` is a task file.

    Raises:
        ConfigError: no such file, no text, nothing in it, the same finding twice.
    """
    content = _read(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        mapping = read_strict_yaml(path)
        return (
            load_task(path) if "classes" in mapping else {str(name): _texts(path, name, given) for name, given in mapping.items()}
        )
    lines = [line.strip() for line in content.splitlines()]
    findings = [line for line in lines if line and not line.startswith("#")]
    if not findings:
        raise ConfigError(path, "holds no finding", "write one a line, such as: atrial fibrillation")
    if len(set(findings)) < len(findings):
        raise ConfigError(path, f"line {_second(lines)} says what an earlier one does", "write each finding once")
    return typed_lines(findings, as_typed=as_typed)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(path, f"is larger than {LARGEST:,} bytes", "give a file of findings, one a line")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}", "give a file of findings, one a line") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, "is not UTF-8 text", "give a file of findings, one a line") from error


def _texts(path: Path, name: object, given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ConfigError(path, f"{name} has no text, or something else", "give each class a text or a list of texts")
    return texts


def _second(lines: list[str]) -> int:
    """The number of the first line that occurred before."""
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#") and line in seen:
            return number
        seen.add(line)
    return 0
