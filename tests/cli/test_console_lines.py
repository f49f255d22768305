"""How commands speak."""

from __future__ import annotations

import json
import sys
import time

import pytest

from cmelt.cli import console


def test_json_has_no_nan_and_keeps_umlauts(capsys):
    console.print_json({"a": float("nan"), "b": [1.5, float("inf")], "c": ("ä",), 4: None})
    said = capsys.readouterr()
    assert json.loads(said.out) == {"a": None, "b": [1.5, None], "c": ["ä"], "4": None}
    assert "ä" in said.out
    assert said.err == ""


def test_messages_go_to_stderr(capsys):
    console.say("warning: x")
    assert capsys.readouterr() == ("", "warning: x\n")


def test_progress_elsewhere_than_on_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with console.progress_of("preparing", "records") as progress:
        for done in range(0, 101):
            now[0] = done / 10
            progress(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "preparing: 0 of 100 records"
    assert lines[-1] == "preparing: 100 of 100 records"
    assert len(lines) == 3


def test_progress_on_a_terminal_is_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with console.progress_of("preparing") as progress:
        progress(50, 100)
        progress(100, 100)
    assert "100/100" in capsys.readouterr().err


def test_every_registered_command_can_be_imported_and_has_its_app():
    from importlib import import_module

    from cmelt.cli import COMMANDS

    for name, (module, line) in COMMANDS.items():
        assert hasattr(import_module(module), "app"), name
        assert line.endswith("."), name


@pytest.mark.parametrize("error", [KeyboardInterrupt(), None])
def test_our_errors_are_one_line_and_an_interrupt_is_130(error, monkeypatch, capsys):
    import cmelt.cli
    from cmelt.errors import RecordError

    def broken(**_: object) -> None:
        raise error or RecordError("file.hea", "is broken", "mend it")

    monkeypatch.setattr(cmelt.cli, "app", broken)
    with pytest.raises(SystemExit) as end:
        cmelt.cli.main()
    said = capsys.readouterr().err
    assert end.value.code == (130 if error else 1)
    assert said == ("cmelt: interrupted\n" if error else "cmelt: file.hea: is broken (mend it)\n")
