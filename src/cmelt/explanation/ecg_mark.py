"""Which ECG an explanation is of, told by the signal itself: names of files change, and say nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from cmelt.records.fingerprint import fingerprint
from cmelt.records.record import Record, without_calibration

#: Two lengths of one recording, at two rates, differ by a sample at most, s.
_SECONDS_APART = 0.05
_STEPS_PER_MILLIVOLT = 1e6
_NOT_MEASURED = np.iinfo(np.int64).min


@dataclass(frozen=True)
class EcgMark:
    """What an ECG is known again by; nothing of the patient is in it.

    Attributes:
        seconds: its length.
        fingerprint: as `cmelt.records.fingerprint` has it, which copies at another rate or resolution nearly share; "" for
            recordings of under 5 s, and of fewer than two leads.
        sha256: of rate, lead names and samples: the very same recording.
    """

    seconds: float
    fingerprint: str
    sha256: str

    def is_of(self, record: Record) -> bool:
        """Whether `record` is that ECG, or a copy of it in another form."""
        from cmelt.store.copies import overlap

        other = mark_of(record)
        if other.sha256 == self.sha256:
            return True
        same_length = abs(other.seconds - self.seconds) <= _SECONDS_APART
        return same_length and len(overlap([self.fingerprint], [other.fingerprint])) > 0


def mark_of(record: Record) -> EcgMark:
    """What `record` is known again by."""
    plain = without_calibration(record)
    steps = np.full(plain.signal.shape, _NOT_MEASURED, np.int64)
    measured = np.isfinite(plain.signal)
    steps[measured] = np.rint(plain.signal[measured].astype(np.float64) * _STEPS_PER_MILLIVOLT)
    digest = hashlib.sha256(f"{float(plain.rate)!r} {' '.join(plain.leads)} {plain.signal.shape}".encode())
    digest.update(np.ascontiguousarray(steps.astype("<i8")).data)
    return EcgMark(plain.seconds, fingerprint(plain), digest.hexdigest())
