"""Running commands in this process, as `cmelt …` would."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from cmelt.cli import main


@dataclass(frozen=True)
class Done:
    """What a command left: exit status and what it said."""

    returncode: int
    stdout: str
    stderr: str


def cmelt(*arguments: str | Path) -> Done:
    """Run a command."""
    stdout, stderr, status = StringIO(), StringIO(), 0
    with redirect_stdout(stdout), redirect_stderr(stderr), pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["cmelt", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return Done(status, stdout.getvalue(), stderr.getvalue())
