"""Reading with C libraries in a process of its own.

HDF5 and parquet are read by libraries that a damaged file can crash, hang or lead to take all memory (of 3,000 HDF5 files with
altered bytes two ended the process and one never came back). So one child process does it, within a bound of memory and time;
whatever happens to it, the caller gets arrays or a RecordError. It is kept for the next file, and ends with its parent.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import cmelt
from cmelt.errors import RecordError
from cmelt.records.readers.limits import LARGEST_FILE

#: Seconds that a file may take to say what it holds, and then, beside one for every 20 MB of that, to give it.
PATIENCE = 1.5
_START = 60.0
_BYTES_A_SECOND = 20e6
_LONGEST_DESCRIPTION = 1 << 24


def contents_apart(task: str, path: Path) -> dict[str, Any]:
    """What `task` ("hdf5", "matlab" or "parquet") finds in the file at `path`: arrays, texts, lists, and mappings of these.

    Raises:
        RecordError: it cannot be read, whichever way that shows.
    """
    try:
        path.stat()
    except OSError as error:
        raise RecordError(path, f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    with _LOCK:
        try:
            child = _running_child()
            child.send({"task": task, "path": str(path.absolute())})
            # The first file of its kind waits for libraries, which a cold disk gives slowly: that is not the file's fault.
            answer = child.receive(time.monotonic() + (PATIENCE if task in child.imported else _START))
            child.imported.add(task)
            while "expects" in answer:
                answer = child.receive(time.monotonic() + PATIENCE + answer["expects"] / _BYTES_A_SECOND)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            _end_child()
            fault = "takes too long to read: it is damaged" if isinstance(error, TimeoutError) else "is damaged beyond reading"
            raise RecordError(path, fault, "fetch it again, or write the array as .npy") from error
    if "fault" in answer:
        raise RecordError(path, answer["fault"], answer["remedy"])
    named: dict[str, Any] = answer["named"]
    return named


class _Child:
    """The process that reads, and the pipes to it.

    A request is a line of JSON; an answer is the length of a JSON text (8 bytes), the text, and the bytes of each array that
    the text has as {"array": [dtype, shape]}, in that order.
    """

    def __init__(self) -> None:
        root = str(Path(cmelt.__file__).parents[1])
        places = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.owner = os.getpid()
        self.imported: set[str] = set()  # tasks whose libraries it has
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cmelt.records.readers.apart_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.receive(time.monotonic() + _START)  # it says when it is ready: starting does not count as reading

    def send(self, request: Mapping[str, str]) -> None:
        """Ask for one file."""
        if self.process.stdin is None:
            raise EOFError
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, deadline: float) -> dict[str, Any]:
        """One answer, its arrays filled in."""
        size = int.from_bytes(self._exactly(8, deadline), "little")
        if size > _LONGEST_DESCRIPTION:
            raise ValueError("an answer that is none")
        answer = json.loads(self._exactly(size, deadline))
        filled = self._filled(answer, deadline)
        if not isinstance(filled, dict):
            raise ValueError("an answer that is none")
        return filled

    def _filled(self, value: Any, deadline: float) -> Any:
        if isinstance(value, list):
            return [self._filled(part, deadline) for part in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"array"}:
            dtype, shape = np.dtype(value["array"][0]), tuple(value["array"][1])
            size = math.prod(shape) * dtype.itemsize
            if size > LARGEST_FILE or dtype.kind not in "iuf":
                raise ValueError("an array that is none")
            return np.frombuffer(self._exactly(size, deadline), dtype).reshape(shape)
        return {name: self._filled(part, deadline) for name, part in value.items()}

    def _exactly(self, count: int, deadline: float) -> bytearray:
        """`count` bytes of the child's answer."""
        if self.process.stdout is None:
            raise EOFError
        pipe = self.process.stdout.fileno()
        taken = bytearray(count)
        place = 0
        while place < count:
            ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0.0))
            if not ready:
                raise TimeoutError
            read = os.readv(pipe, [memoryview(taken)[place:]])
            if not read:
                raise EOFError
            place += read
        return taken

    def end(self) -> None:
        """End it, whatever it is doing."""
        with contextlib.suppress(OSError):
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.process.wait()


_LOCK = threading.Lock()
_children: list[_Child] = []


def _running_child() -> _Child:
    """This process's child, started where there is none; a forked process does not talk through its parent's pipes."""
    if _children and _children[0].owner != os.getpid():
        _children.clear()
    if _children and _children[0].process.poll() is not None:
        _end_child()
    if not _children:
        _children.append(_Child())
    return _children[0]


@atexit.register
def _end_child() -> None:
    while _children:
        child = _children.pop()
        if child.owner == os.getpid():
            child.end()
