"""Explanations that were kept as JSON, read again for the ECG that they are of, and for no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np

from cmelt.config.parsing import from_mapping
from cmelt.errors import ConfigError
from cmelt.explanation.attribution import Method
from cmelt.explanation.ecg_mark import EcgMark
from cmelt.explanation.explanation import Explanation
from cmelt.records.record import Record

#: Bytes; two minutes of twelve leads take a twentieth of it.
LARGEST = 100_000_000
_AGAIN = "make it again: cmelt explain ECG --class … --out why.json"


def read_explanation(path: str | Path, record: Record | None = None) -> Explanation:
    """An explanation out of the JSON that `cmelt explain --json`, `--out why.json` or `/v1/explain` gave.

    Args:
        record: the ECG that it is to be drawn over.
    Raises:
        ConfigError: no such file, not an explanation, one of another ECG, or one that does not say of which.
    """
    where = Path(path)
    told = _parsed(where)
    try:
        found = _explanation(told, str(where))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            where, f"is no explanation as cmelt explain writes it ({type(error).__name__}: {error})", _AGAIN
        ) from error
    if record is None:
        return found
    if found.ecg is None:
        raise ConfigError(where, "does not say which ECG it is of", _AGAIN)
    if not found.ecg.is_of(record):
        raise ConfigError(where, "explains another ECG: signals, not names, were compared", f"give that ECG, or {_AGAIN}")
    return found


def _explanation(told: dict[str, Any], where: str) -> Explanation:
    values = np.asarray(told["values"], np.float32)
    rate, leads = float(told["rate"]), tuple(map(str, told["leads"]))
    if values.ndim != 2 or values.shape[0] != len(leads) or not values.shape[1] or not rate > 0:
        raise ValueError(f"{len(leads)} leads, values of shape {list(values.shape)} at {rate:g} a second")
    method = next((one for one in get_args(Method) if one == told["method"]), None)
    if method is None:
        raise ValueError("an unknown method")
    mark = None if told.get("ecg") is None else from_mapping(EcgMark, told["ecg"], where, "ecg")
    seconds, notes = np.arange(values.shape[1]) / rate, tuple(map(str, told["notes"]))
    return Explanation(
        str(told["what"]), leads, seconds, values, float(told["score"]), float(told["baseline"]), method, notes, mark
    )


def _parsed(where: Path) -> dict[str, Any]:
    try:
        if where.stat().st_size > LARGEST:
            raise ConfigError(where, f"is larger than {LARGEST:,} bytes", "give what cmelt explain wrote")
        told = json.loads(where.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(where, f"cannot be read: {error.strerror}", "give what cmelt explain wrote") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(where, "is not JSON", "give what cmelt explain --json or --out why.json wrote") from error
    if not isinstance(told, dict):
        raise ConfigError(where, "is no explanation", "give what cmelt explain --json or --out why.json wrote")
    return told
