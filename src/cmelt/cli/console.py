"""How commands speak: results to stdout, messages to stderr, progress as bars on a terminal and plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

#: Called with (done, in all).
Progress = Callable[[int, int], None]

_SECONDS_BETWEEN_LINES = 5.0


def say(message: str) -> None:
    """One message, to stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(result: Any) -> None:
    """One result as JSON, to stdout. NaN becomes null: JSON has no word for it."""
    print(json.dumps(_finite(result), indent=2, ensure_ascii=False))


def print_yaml(result: dict[str, Any]) -> None:
    """One result as YAML, its keys in their order, to stdout."""
    import yaml

    print(yaml.safe_dump(result, sort_keys=False, allow_unicode=True), end="")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def words_of(text: str) -> tuple[str, ...]:
    """ "a, b" as ("a", "b")."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def numbers_of(text: str, option: str) -> tuple[float, ...]:
    """ "0.01,1" as (0.01, 1.0). Wrong usage, named by the option, where it is no list of numbers."""
    try:
        return tuple(float(word) for word in words_of(text))
    except ValueError:
        import typer

        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.1,1", param_hint=option) from None


@contextmanager
def progress_of(what: str, unit: str = "records") -> Iterator[Progress]:
    """A function that shows how far `what` is: a bar with rate and time left on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        with _bar(what, unit) as update:
            yield update
    else:
        yield _lines(what, unit)


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with RichProgress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _lines(what: str, unit: str) -> Progress:
    last = [float("-inf")]

    def update(done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - last[0] >= _SECONDS_BETWEEN_LINES:
            last[0] = now
            say(f"{what}: {done} of {total} {unit}")

    return update


@contextmanager
def stages(unit: str = "shares") -> Iterator[Callable[[str, int, int], None]]:
    """Progress of one stage after another, each stage's bar ending before the next begins; embedding counts records."""
    with ExitStack() as open_bar:
        current: list[tuple[str, Progress]] = []

        def report(stage: str, done: int, total: int) -> None:
            if not current or current[0][0] != stage:
                open_bar.close()
                counted = "records" if stage.startswith("embedding") else unit
                current[:] = [(stage, open_bar.enter_context(progress_of(stage, counted)))]
            current[0][1](done, total)

        yield report
