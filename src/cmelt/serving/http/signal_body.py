"""An ECG in JSON: {"signal": [[…], …], "leads": […], "rate": 500, "unit": "mV"}, and options beside it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from cmelt.records.readers.limits import MOST_LEADS, refuse_size
from cmelt.records.record import Record
from cmelt.serving.http.refusal import UNPROCESSABLE, Refusal
from cmelt.serving.processor import record_of

#: What the ECG itself needs; all else in the body is an option.
ECG_KEYS = ("signal", "leads", "rate", "unit")
_EXAMPLE = '{"signal": [[0.01, 0.02, …], …], "leads": ["I", "II"], "rate": 500, "unit": "mV"}'
_LONGEST_NAME = 64
_MOST_BRACKETS, _MOST_QUOTES = 10_000, 20_000
_NUMBERS = frozenset({float, int, type(None)})


def parsed_body(content: bytes) -> dict[str, Any]:
    """The JSON object that `content` holds. Raises Refusal."""
    # Each costs many times its length in memory; an ECG needs as many lists as it has leads.
    if content.count(b"[") + content.count(b"{") > _MOST_BRACKETS or content.count(b'"') > _MOST_QUOTES:
        raise _refused("is nested too deep, or has too many lists or texts")
    try:
        text = content.decode("utf-8")
        body = json.loads(text, parse_constant=_no_number, object_pairs_hook=_object)
        if "\\u" in text:
            json.dumps(body, ensure_ascii=False).encode()  # half of a pair of escapes is no character
    except RecursionError as error:
        raise _refused("is nested too deep") from error
    except UnicodeError as error:
        raise _refused("is not UTF-8, or has half of a character") from error
    except ValueError as error:
        raise _refused("is not JSON") from error
    if not isinstance(body, dict):
        raise _refused("is not an object")
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises Refusal where a key stands twice: readers differ in which they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _refused("has a key twice")
    return found


def record_of_body(body: dict[str, Any]) -> Record:
    """The record of a parsed body; null in `signal` where nothing was measured.

    Raises:
        Refusal: a key that is missing or of the wrong type.
        RecordError: numbers that are no ECG.
    """
    lacking = [key for key in ECG_KEYS if key not in body]
    if lacking:
        raise _refused(f"has no {' and no '.join(lacking)}")
    rate, unit, leads = body["rate"], body["unit"], body["leads"]
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise _refused("rate is no positive number of Hz")
    if not isinstance(unit, str):
        raise _refused("unit is not one of V, mV, uV, nV")
    if not isinstance(leads, list) or not all(isinstance(lead, str) and len(lead) <= _LONGEST_NAME for lead in leads):
        raise _refused("leads is no list of names")
    if not 1 <= len(leads) <= MOST_LEADS:
        raise _refused(f"leads names none, or more than {MOST_LEADS}")
    array = _array(body["signal"])
    return replace(record_of(array, rate=float(rate), unit=unit, leads=leads), identifier="", origin="request")


def _array(signal: Any) -> NDArray[np.float64]:
    """[rows, columns] float64, NaN for null."""
    if not isinstance(signal, list) or not signal or not all(isinstance(row, list) for row in signal):
        raise _refused("signal is no list of lists, one a lead")
    columns = len(signal[0])
    if any(len(row) != columns for row in signal):
        raise _refused("signal has leads of different lengths")
    refuse_size(min(len(signal), columns), max(len(signal), columns), "request")
    array = np.empty((len(signal), columns))
    for place, row in enumerate(signal):
        # type by type: numpy would take "1.5" and true for numbers, too
        if not _NUMBERS.issuperset(map(type, row)):
            raise _refused("signal holds something that is no number")
        try:
            array[place] = row
        except (OverflowError, ValueError, TypeError) as error:
            raise _refused("signal holds a number that is too large") from error
    if np.isinf(array).any():  # 1e999
        raise _refused("signal holds a number that is too large")
    return array


def _no_number(_name: str) -> NoReturn:
    raise ValueError


def _refused(reason: str) -> Refusal:
    return Refusal(UNPROCESSABLE, "the JSON body", reason, f"send {_EXAMPLE}, null where nothing was measured")
