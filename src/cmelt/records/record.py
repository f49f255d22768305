"""What one ECG is: leads by name, millivolts, a rate, and what is known beside the signal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError

Signal = NDArray[np.float32]

#: The canonical order of the standard 12 leads; everything after `records` uses it.
LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LIMB_LEADS: tuple[str, ...] = LEADS[:6]

#: Lead sets of the PhysioNet/CinC Challenge 2021, by their number; 12 is every lead there is.
LEAD_SETS: dict[int, tuple[str, ...]] = {
    12: (),
    6: LIMB_LEADS,
    4: ("I", "II", "III", "V2"),
    3: ("I", "II", "V2"),
    2: ("I", "II"),
    1: ("I",),
}

#: Names of a device's own measurements: beats a minute, milliseconds, degrees.
MEASUREMENTS: tuple[str, ...] = (
    "heart_rate_bpm", "p_ms", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "p_axis_deg", "qrs_axis_deg", "t_axis_deg",
)  # fmt: skip

_LOOKS_LIKE_A_LEAD = re.compile(r"I{1,3}|aV[RLF]|V[1-9]R?|M(?:L|V|CL)[I\d]{1,3}|[XYZ]", re.IGNORECASE)
_EMPTY: Mapping[str, object] = MappingProxyType({})
_EMPTY_MEASUREMENTS: Mapping[str, float] = MappingProxyType({})


#: Hz; the fastest recorders of body surface ECGs stay below a third of it.
HIGHEST_RATE = 100_000.0


def lead_told(lead: str) -> str:
    """A lead's name as messages say it: what does not look like one may be anybody's name, written into the wrong field."""
    return lead if _LOOKS_LIKE_A_LEAD.fullmatch(lead) else "of another name"


@dataclass(frozen=True)
class Record:
    """One electrocardiogram.

    Attributes:
        signal: [leads, samples] float32, millivolts; NaN where nothing was measured.
        rate: samples a second, Hz.
        leads: one name a row of `signal`, in the spelling of `LEADS` where it is one of the twelve.
        identifier: the record's name within its source; no patient's name.
        report: the free-text report as it stands in the source, or None.
        patient: the source's patient key (hashed before it enters a store), or None; readers fill it only when asked to.
        age: years, or None.
        sex: "female", "male" or None.
        labels: statements known to hold, as "vocabulary:name" ("scp:AFIB", "super:CD") or plain names.
        origin: the file or seed it came from, for messages and the manifest.
        measurements: what the device measured and printed, by the names of `MEASUREMENTS`; empty where the file holds none.
        derived: leads that were computed from others (files that carry 8 leads imply four more), not measured on their own.
        calibration: how many samples at the end hold the device's calibration pulse, not the heart (`without_calibration`).
        truth: what a simulator knows (intervals in ms, axis in degrees, ...); empty for real records.
    """

    signal: Signal
    rate: float
    leads: tuple[str, ...]
    identifier: str = ""
    report: str | None = field(default=None, repr=False)  # what is printed of an object ends up in logs
    patient: str | None = field(default=None, repr=False)
    age: float | None = None
    sex: str | None = None
    labels: tuple[str, ...] = ()
    origin: str = ""
    measurements: Mapping[str, float] = field(default_factory=lambda: _EMPTY_MEASUREMENTS)
    derived: tuple[str, ...] = ()
    calibration: int = 0
    truth: Mapping[str, object] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        where = self.origin or self.identifier or "record"
        if self.signal.ndim != 2 or self.signal.dtype != np.float32:
            raise RecordError(
                where,
                f"signal is {self.signal.dtype} with {self.signal.ndim} dimensions",
                "give float32 [leads, samples] in millivolts",
            )
        if self.signal.shape[0] != len(self.leads):
            raise RecordError(where, f"{self.signal.shape[0]} signals but {len(self.leads)} lead names", "name every row once")
        if self.signal.shape[1] == 0:
            raise RecordError(where, "the record has no samples")
        if not 0 <= self.calibration < self.signal.shape[1]:
            raise RecordError(where, "holds a calibration pulse and no ECG", "leave it out")
        if not 0 < self.rate <= HIGHEST_RATE:
            raise RecordError(where, f"sampling rate {self.rate:g} Hz", f"it must be above zero and at most {HIGHEST_RATE:g}")
        if len(set(self.leads)) < len(self.leads):
            lead = next(lead for lead in self.leads if self.leads.count(lead) > 1)
            raise RecordError(where, f"lead {lead_told(lead)} occurs twice", "rename or drop one of them")

    @property
    def seconds(self) -> float:
        """Length of the record in seconds."""
        return self.signal.shape[1] / self.rate


def without_calibration(record: Record) -> Record:
    """`record` up to the calibration pulse that its device has put at the end; the same where there is none."""
    if not record.calibration:
        return record
    return replace(record, signal=record.signal[:, : -record.calibration], calibration=0)
