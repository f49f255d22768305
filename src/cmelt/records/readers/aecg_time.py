"""Times of the HL7 aECG: increments between samples, and when a sequence begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

_STAMP = re.compile(r"^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})(\.\d{1,9})?)?(?:[+-]\d{4})?$")


#: How many of a unit make a second, so that decimal increments give whole rates.
PER_SECOND: Mapping[str, float] = MappingProxyType({
    "s": 1.0, "sec": 1.0, "ms": 1e3, "us": 1e6, "µs": 1e6, "μs": 1e6, "ns": 1e9,
})  # fmt: skip


def seconds_of(head: str, unit: str, code: str) -> float | None:
    """When a sequence of times begins, in seconds (since 1970 if absolute); None where it is not stated or unclear."""
    text = head.strip()
    if not text:
        return None
    if "ABSOLUTE" in code:
        return _absolute(text)
    if re.fullmatch(r"[+-]?\d{1,15}\.?\d{0,15}", text, re.ASCII) and unit.strip() in PER_SECOND:
        return float(text) / PER_SECOND[unit.strip()]
    return None


def _absolute(text: str) -> float | None:
    stamp = _STAMP.match(text)
    if stamp is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in stamp.groups()[:6])
    try:
        whole = datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(seconds=second)
    except (ValueError, OverflowError):
        return None
    return whole.timestamp() + float(stamp[7] or 0)
