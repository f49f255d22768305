"""Watching a process: which files it opens or changes, what it starts, and how much memory it takes for one thing."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Events of Python's audit hooks that touch files, with the places of the paths among their arguments.
_FILES: Mapping[str, tuple[int, ...]] = {
    "open": (0,), "os.listdir": (0,), "os.scandir": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.remove": (0,),
    "os.rename": (0, 1), "os.link": (0, 1), "os.symlink": (0, 1), "os.truncate": (0,), "os.chmod": (0,), "shutil.rmtree": (0,),
    "shutil.copyfile": (0, 1), "shutil.move": (0, 1), "glob.glob": (0,), "tempfile.mkstemp": (0,), "tempfile.mkdtemp": (0,),
}  # fmt: skip
#: Events that run what is not ours.
_RUN = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class",
    "urllib.Request",
)  # fmt: skip
#: What the system gives everybody to read.
_SYSTEM = ("/proc/", "/sys/", "/dev/urandom", "/usr/share/zoneinfo", "/usr/lib/", "/lib/", "/etc/ld.so")
#: Ways of opening that change something.
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """A context in which every opened file and started program is noted that lies outside what may be touched.

    Read may be what lies below `root`, in the folder for temporary files, in Python's own and in the packages' folders, and
    devices and the kernel's views of this process; changed may be what lies in the folder for temporary files, and not in `root`.

    Attributes:
        outside: what was opened or changed elsewhere, as "event path".
        ran: what was started, imported by pickle or connected to, as "event arguments".
    """

    def __init__(self, root: Path, *, temporary: Path | None = None) -> None:
        self.root = os.path.realpath(root)
        self.temporary = os.path.realpath(temporary or tempfile.gettempdir())
        packages = {sys.prefix, sys.base_prefix, *(place for place in sys.path if place)}
        self.own = tuple(os.path.realpath(place) for place in packages)
        self.system = (
            "/proc/",
            "/sys/",
            "/dev/null",
            "/dev/urandom",
            "/dev/shm/",
            "/usr/share/zoneinfo",
            "/usr/lib/",
            "/lib/",
            "/etc/ld.so",
        )
        self.outside: set[str] = set()
        self.ran: list[str] = []
        self._on = False
        sys.addaudithook(self._noticed)

    def __enter__(self) -> Watch:
        self._on = True
        return self

    def __exit__(self, *_: object) -> None:
        self._on = False

    def _noticed(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event in _RUN:
            self.ran.append(f"{event} {str(arguments)[:200]}")
        for place in _FILES.get(event, ()):
            path = arguments[place] if place < len(arguments) else None
            if isinstance(path, str | bytes | os.PathLike) and self._is_outside(event, os.fspath(path), arguments):
                self.outside.add(f"{event} {os.fsdecode(path)}")

    def _is_outside(self, event: str, path: str | bytes, arguments: tuple[Any, ...]) -> bool:
        self._on = False  # what is asked here is not to be noticed
        try:
            real = os.path.realpath(os.path.join(_folder_of(event, arguments), os.fsdecode(path)))
        finally:
            self._on = True
        below = [place for place in (self.root, self.temporary) if _is_below(real, place)]
        if real == os.devnull:
            return False
        if self._changes(event, arguments):
            return self.root in below or not below
        return not below and not any(_is_below(real, place) for place in self.own) and not real.startswith(_SYSTEM)

    def _changes(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event != "open":
            return event not in ("os.listdir", "os.scandir", "glob.glob")
        mode, flags = (*arguments, None, None)[1:3]
        if isinstance(mode, str):
            return any(letter in mode for letter in "wax+")
        return isinstance(flags, int) and bool(flags & _CHANGES)


def _folder_of(event: str, arguments: tuple[Any, ...]) -> str:
    """What a relative path is relative to: the folder that some calls are given open, else where the process works."""
    opened = arguments[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
    if isinstance(opened, int) and opened >= 0:
        with suppress(OSError):
            return os.readlink(f"/proc/self/fd/{opened}")
    return os.getcwd()


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def forget_peak() -> None:
    """Let the system count this process's highest memory anew from here on, where it can (Linux)."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
