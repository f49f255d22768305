"""The other end of `apart`: a process that reads one file after another for its parent, until the parent is gone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cmelt.errors import RecordError

#: Bytes of data that the process may hold; with the interpreter's own it stays below half a gigabyte.
MEMORY = 448 << 20


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer every request of `requests` (lines of JSON with "task" and "path") on `answers`.

    What is about to be read is announced by its bytes, once it is known to be within bounds: large arrays take their time.
    """

    def announce(size: int) -> None:
        _answer(answers, {"expects": size})

    _answer(answers, {"ready": True})
    for line in requests:
        request = json.loads(line)
        path = Path(request["path"])
        try:
            read = _task(request["task"])
            announce(0)  # importing libraries does not count as reading
            answer: dict[str, Any] = {"named": read(path, announce)}
        except RecordError as error:
            answer = {"fault": error.fault, "remedy": error.remedy}
        except MemoryError:
            answer = {"fault": "asks for more memory than an ECG takes", "remedy": "check where it comes from"}
        except Exception as error:  # the libraries raise whatever a damaged file leads them to
            answer = {"fault": f"is damaged ({type(error).__name__})", "remedy": "fetch it again"}
        _answer(answers, answer)


def _task(name: str) -> Callable[[Path, Callable[[int], None]], Mapping[str, Any]]:
    if name == "parquet":
        import pandas  # noqa: F401 (pyarrow imports it with the first column that it hands over)
        import pyarrow.parquet  # noqa: F401

        from cmelt.records.readers.parquet_columns import columns

        return columns
    import h5py  # noqa: F401 (what is imported now is not imported while the parent waits)

    from cmelt.records.readers import hdf5_contents

    return hdf5_contents.matlab_contents if name == "matlab" else hdf5_contents.contents


def _answer(answers: BinaryIO, answer: Mapping[str, Any]) -> None:
    arrays: list[np.ndarray[Any, Any]] = []
    text = json.dumps(_described(answer, arrays)).encode()
    answers.write(len(text).to_bytes(8, "little") + text)
    for array in arrays:
        answers.write(array.data)
    answers.flush()


def _described(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    """`value` with its arrays replaced by what they are, and those collected in `arrays`."""
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value).reshape(-1))
        return {"array": [value.dtype.str, list(value.shape)]}
    if isinstance(value, Mapping):
        return {str(name): _described(part, arrays) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_described(part, arrays) for part in value]
    return value


def _bound_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):  # not every system has it; time is bounded all the same
        return


if __name__ == "__main__":
    _bound_memory()
    main(sys.stdin.buffer, sys.stdout.buffer)
