"""What `cmelt COMMAND --help` shows is what stands in the code: the terminal's mark-up takes nothing away."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cmelt.cli import app


@pytest.mark.parametrize(("command", "extra"), [("explain", "explain"), ("export", "onnx"), ("serve", "serve")])
def test_help_names_the_extra_that_is_needed(command, extra):
    shown = CliRunner().invoke(app, [command, "--help"]).output
    assert f"cmelt[{extra}]" in "".join(shown.split())
