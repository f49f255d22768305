"""A device's own measurements, less what it writes where it measured nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Beyond these, a number is a sentinel (29999, 32767, 65535, 0) or an error of the device: (least, greatest).
PLAUSIBLE: Mapping[str, tuple[float, float]] = MappingProxyType({
    "heart_rate_bpm": (10, 400), "p_ms": (10, 400), "pr_ms": (30, 1000), "qrs_ms": (20, 500), "qt_ms": (100, 1500),
    "qtc_ms": (100, 1500), "p_axis_deg": (-360, 360), "qrs_axis_deg": (-360, 360), "t_axis_deg": (-360, 360),
})  # fmt: skip


def plausible(stated: Mapping[str, float | None]) -> Mapping[str, float]:
    """Those of `stated` (names of `record.MEASUREMENTS`) that are there and can be true."""
    kept: dict[str, float] = {}
    for name, number in stated.items():
        least, greatest = PLAUSIBLE[name]
        if number is not None and least <= number <= greatest:
            kept[name] = float(number)
    return MappingProxyType(kept)
