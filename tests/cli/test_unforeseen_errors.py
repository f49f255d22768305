"""An error that nobody foresaw: told by type and place; its message, which may quote a report, only where that is asked for."""

from __future__ import annotations

from io import StringIO

import pytest

from cmelt.errors import TRACEBACK, StoreError, unforeseen
from cmelt.study import worker
from running import cmelt

SECRET = "Quarkenbruecken, Jane"


def fails(*_: object, **__: object) -> None:
    try:
        float(SECRET)
    except ValueError as error:
        raise RuntimeError(f"cannot use {SECRET}") from error


def test_a_fault_inside_a_command_is_told_by_type_and_place_not_by_message(monkeypatch):
    monkeypatch.delenv(TRACEBACK, raising=False)
    monkeypatch.setattr("cmelt.sources.known_sources", fails)
    monkeypatch.setattr("cmelt.sources.source_class", fails)
    done = cmelt("sources")
    assert done.returncode == 1
    assert "Quark" not in done.stdout + done.stderr
    assert "RuntimeError" in done.stderr and "ValueError" in done.stderr and "test_unforeseen_errors.py" in done.stderr
    assert TRACEBACK in done.stderr


def test_who_asks_for_the_message_gets_it(monkeypatch):
    monkeypatch.setenv(TRACEBACK, "1")
    monkeypatch.setattr("cmelt.sources.known_sources", fails)
    monkeypatch.setattr("cmelt.sources.source_class", fails)
    with pytest.raises(RuntimeError, match=SECRET):
        cmelt("sources")


def test_what_the_system_says_is_told():
    told = unforeseen(OSError(28, "No space left on device", SECRET))
    assert "No space left on device" in told and SECRET not in told
    assert "nothing_of_this_name" in unforeseen(ModuleNotFoundError("No module", name="nothing_of_this_name"))


def test_errors_that_go_in_a_circle_end():
    one, other = ValueError(SECRET), KeyError(SECRET)
    one.__cause__, other.__cause__ = other, one
    assert unforeseen(one).count("ValueError:") == 1


def test_an_error_of_ours_is_still_one_line(monkeypatch):
    def refuse(*_: object) -> None:
        raise StoreError("x", "is no store", "make one")

    monkeypatch.setattr("cmelt.sources.known_sources", refuse)
    monkeypatch.setattr("cmelt.sources.source_class", refuse)
    assert cmelt("sources").stderr == "cmelt: x: is no store (make one)\n"


def test_a_study_s_worker_keeps_no_message_in_its_log_either(monkeypatch, capsys):
    monkeypatch.delenv(TRACEBACK, raising=False)
    monkeypatch.setattr(worker, "from_mapping", lambda *_: None)
    monkeypatch.setattr(worker, "work", fails)
    said = StringIO()
    assert worker.main(StringIO("{}"), said) == 1
    told = capsys.readouterr().err
    assert "RuntimeError" in told and "Quark" not in told + said.getvalue()
