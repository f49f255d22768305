"""`cmelt serve` before it serves: what it refuses to start with, said in one line."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from cmelt.cli import serve
from running import cmelt


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv(serve.TOKEN_VARIABLE, raising=False)


def test_beyond_this_machine_it_wants_a_token_or_a_word():
    done = cmelt("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 1 and "no token is set" in done.stderr and "--token-file" in done.stderr


def test_a_token_comes_from_a_file_or_the_environment_and_is_never_said(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("a-token-of-thirty-two-characters\n")
    assert serve._token(tmp_path / "token") == "a-token-of-thirty-two-characters"
    monkeypatch.setenv(serve.TOKEN_VARIABLE, "another-token-of-the-environment")
    assert serve._token(None) == "another-token-of-the-environment"
    (tmp_path / "short").write_text("zqcanary")
    for file in ("short", "empty", "none"):
        if file == "empty":
            (tmp_path / file).write_text("\n")
        done = cmelt("serve", "--token-file", tmp_path / file, "--port", "0")
        assert done.returncode == 1 and "token" in done.stderr and "zqcanary" not in done.stderr


def test_a_port_that_is_taken_and_an_address_of_others_are_named(model_folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cmelt("serve", "--port", str(taken.getsockname()[1]), "--model", model_folder)
        assert done.returncode == 1 and "in use" in done.stderr and "--port" in done.stderr
    done = cmelt("serve", "--host", "192.0.2.1", "--open-without-token", "--port", "0", "--model", model_folder)
    assert done.returncode == 1 and "192.0.2.1" in done.stderr


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "fastapi" else find_spec(name))
    done = cmelt("serve", "--port", "0")
    assert done.returncode == 1 and "fastapi not installed" in done.stderr and 'pip install "cmelt[serve]"' in done.stderr


def test_a_model_that_is_not_there_ends_it_with_its_name(tmp_path, monkeypatch):
    import logging
    import signal
    import warnings

    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log = logging.getLogger("cmelt.serve")
    monkeypatch.setattr(log, "propagate", log.propagate)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            done = cmelt("serve", "--port", "0", "--model", tmp_path / "nothing")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done.returncode == 1 and "nothing" in done.stderr and "no such folder" in done.stderr
