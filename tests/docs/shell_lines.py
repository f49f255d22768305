"""Running what a page tells to type: `cmelt` in this process, services and other programs beside it."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO
from itertools import pairwise
from pathlib import Path
from socket import socket

import pytest
from code_blocks import ROOT
from shortened import shortened

from cmelt.sources.about import about_of
from file_server import serving
from http_calls import Process, process
from processes import free_port
from running import Done, cmelt

SOURCE = ROOT / "src"
PATIENCE = 300


def commands_in(text: str) -> list[str]:
    """The lines to type, without comments; a line that ends with a backslash goes on."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in map(_without_comment, joined.splitlines()) if line]


def _without_comment(line: str) -> str:
    """Up to a `#` that begins a word outside quotes."""
    quoted = ""
    for at, sign in enumerate(line):
        if sign == quoted:
            quoted = ""
        elif not quoted and sign in "'\"":
            quoted = sign
        elif not quoted and sign == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at].strip()
    return line.strip()


def words_of(command: str) -> list[str]:
    """A command's words and nothing of what the shell does with its output."""
    return shlex.split(command.partition(" > ")[0])


class Typist:
    """Someone who types a page's lines one after another, in a folder. To be closed: what serves is ended then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open = ExitStack()
        self.service: Process | None = None
        self.port = free_port()
        self.typed: list[str] = []
        self.shown: list[str] = []

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()

    def type(self, command: str) -> Done:
        """Run one line as it is shortened; AssertionError where it fails or does not do what its options ask for."""
        command = shortened(command).replace("PORT", str(self.port))
        for tool in ("curl", "unzip"):
            if re.search(rf"\b{tool} ", command) and not shutil.which(tool):
                pytest.skip(f"{tool} is not installed")
        self.typed.append(command)
        for name in _values(words_of(command), "--out"):
            _clear(self.folder / name)
        done = self._run(command)
        assert done.returncode == 0, f"`{command}` ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done

    def _run(self, command: str) -> Done:
        if re.search(r"&&|\$\(|;", command):
            return self._by_shell(command)
        if command.startswith("cmelt serve"):
            return self._serve(words_of(command)[2:])
        if command.startswith("cmelt download"):
            return self._download(words_of(command))
        if command.startswith("cmelt "):
            return self._cmelt(command)
        if command.startswith("dask "):
            return self._left_running(command)
        if command.startswith("curl "):
            return self._curl(command)
        if command.startswith("pip "):
            return _program([sys.executable, "-m", *words_of(command), "--no-index", "--dry-run", "--quiet"], self.folder)
        if command.startswith("python "):
            return _script(words_of(command)[1:])
        return self._by_shell(command)

    def _cmelt(self, command: str) -> Done:
        words = words_of(command)[1:]
        done = cmelt(*words)
        if done.returncode == 0:
            _promises_kept(words, done, self.folder)
        return self._redirected(command, done)

    def _redirected(self, command: str, done: Done) -> Done:
        """What was printed goes into the file that the line names, if it names one."""
        if name := command.partition(" > ")[2].strip():
            (self.folder / name).write_text(done.stdout)
        return done

    def _serve(self, options: list[str]) -> Done:
        """Until it is ready; it goes on until the next one, or the page's end."""
        self.open.close()
        place = self.folder / f"served-{len(self.typed)}"
        try:
            self.service = self.open.enter_context(process(place, *options))
        except OSError:
            return Done(1, "", (place / "log").read_text())
        return Done(0, "", "")

    def _left_running(self, command: str) -> Done:
        """A scheduler or a worker, until the page's end."""
        running = subprocess.Popen([sys.executable, "-m", *words_of(command)], cwd=self.folder, env=_environment(self.folder))
        self.open.callback(running.wait, PATIENCE)
        self.open.callback(running.terminate)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and running.poll() is None:
            with socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return Done(0, "", "")
            time.sleep(0.1)
        return Done(1, "", f"nobody listens at {self.port}")

    def _curl(self, command: str) -> Done:
        assert self.service is not None, "the page asks a service before it starts one"
        there = command.replace("127.0.0.1:8517", f"127.0.0.1:{self.service.service.port}")
        done = _program([*words_of(there), "--silent", "--show-error", "--fail-with-body"], self.folder)
        if done.returncode == 0:
            json.loads(re.split(r"\r?\n\r?\n", done.stdout)[-1])  # behind the head, where it was asked for
        return self._redirected(command, done)

    def _download(self, words: list[str]) -> Done:
        """From a server here that has what lies in the folder of that name."""
        with _published(words[2], self.folder / words[3]) as address:
            return cmelt(*words[1:], "--from", address)

    def _by_shell(self, command: str) -> Done:
        """What the shell itself has to do: `&&`, folders, wildcards."""
        with ExitStack() as stack:
            if command.startswith("cmelt download"):
                words = words_of(command.partition("&&")[0])
                address = stack.enter_context(_published(words[2], self.folder / words[3]))
                command = command.replace(" && ", f" --from {address} && ", 1)
            return _program(["bash", "-e", "-c", command], self.folder)


#: Programs of this environment, and how this test calls them.
PROGRAMS = {"cmelt": "-m cmelt.cli", "python": "", "torchrun": "-m torch.distributed.run"}


def _environment(folder: Path) -> dict[str, str]:
    """Where the working tree's programs are found first."""
    programs = folder / ".programs"
    if not programs.exists():
        programs.mkdir()
        for name, begins in PROGRAMS.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {begins} "$@"\n')
            (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(SOURCE), "no_proxy": "*"}


def _program(words: list[str], folder: Path) -> Done:
    """In a process of its own."""
    done = subprocess.run(words, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=PATIENCE)
    return Done(done.returncode, done.stdout, done.stderr)


def _script(words: list[str]) -> Done:
    """A script of the repository, in this process."""
    stdout, stderr, status = StringIO(), StringIO(), 0
    with redirect_stdout(stdout), redirect_stderr(stderr), pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", words)
        try:
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
    return Done(status, stdout.getvalue(), stderr.getvalue())


@contextmanager
def _published(source: str, folder: Path) -> Iterator[str]:
    """Take `folder` away and offer what was in it as its publisher does, at the address that is given."""
    content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    _clear(folder)
    with serving() as files, pytest.MonkeyPatch.context() as patched:
        patched.setenv("no_proxy", "*")
        if about_of(source).download.startswith("zenodo:"):
            yield files.publish_record(
                "/api/records/1",
                **{name: content[name] for name in content if name.endswith(".csv")},
                **{f"{Path(name).stem}.zip": _zipped(name, content[name]) for name in content if name.endswith(".hdf5")},
            )
        else:
            yield files.publish_sums("/files/archive/1.0", **content)


def _zipped(name: str, content: bytes) -> bytes:
    """A zip archive of one file."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def _values(words: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(words) if name == option]


def _clear(place: Path) -> None:
    """Something earlier that is in the way, as a reader would remove it."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _promises_kept(words: list[str], done: Done, folder: Path) -> None:
    """`--out` is there, `--json` is JSON, `--html` is beside the store."""
    for name in _values(words, "--out"):
        assert (folder / name).exists(), f"{name} is not there"
    if "--json" in words:
        json.loads(done.stdout)
    if "--html" in words:
        assert (folder / f"{words[1]}.html").is_file()
