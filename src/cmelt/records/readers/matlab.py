"""MATLAB files, v4 to v7.3: the Challenges' bare `val`, CPSC2018's `ECG` struct, and arrays or structs that name their facts.

A `val` with its WFDB header beside it is a WFDB record and is read as one; without it, it states neither rate nor unit nor leads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers.apart import contents_apart
from cmelt.records.readers.bare_arrays import record_from, record_of
from cmelt.records.readers.limits import read_whole
from cmelt.records.readers.matlab_v5 import looks_like_v4, v4_variables, v5_variables
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.readers.stated import Stated, facts_of
from cmelt.records.record import LEADS, Record

NAME = "MATLAB"

_V5, _V73 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"

#: CPSC2018 publishes each record as a struct `ECG` of just these; rate, unit and order of the leads are the dataset's definition
#: (500 Hz, mV; Liu et al. 2018) and stand in no file.
_CPSC_FIELDS = {"sex", "age", "data"}
_CPSC_RATE = 500.0


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (the content says it)
    """By the text at the beginning (v5 to v7.3), or by the shape of the first matrix (v4)."""
    return head.startswith((_V5, _V73)) or looks_like_v4(head)


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the record in the MATLAB file at `path`.

    Raises:
        RecordError: damaged, no signal known by its name, something unsaid, or holding objects or function handles.
    """
    variables = _variables(path)
    ecg = variables.get("ECG")
    if isinstance(ecg, dict) and set(ecg) == _CPSC_FIELDS and _twelve_rows(ecg["data"]):
        said = facts_of({"age": ecg["age"], "sex": ecg["sex"]}, str(path))
        stated = Stated(_CPSC_RATE, "mV", LEADS, age=said.age, sex=said.sex)
        return record_from(ecg["data"], stated, options, path)
    return record_of(variables, options, path)


def _variables(path: Path) -> dict[str, Any]:
    content = read_whole(path)
    if content.startswith(_V73):
        del content
        return contents_apart("matlab", path)
    if content.startswith(_V5):
        return v5_variables(content, str(path))
    if looks_like_v4(content):
        return v4_variables(content, str(path))
    raise RecordError(path, "is no MATLAB file", "check what it is")


def _twelve_rows(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[0] == len(LEADS)
