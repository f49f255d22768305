"""Who a record belongs to, without saying who: keyed hashes of patients, and the split that follows from them."""

from __future__ import annotations

import hashlib
import hmac

#: Hashes patients where no key of one's own is given, so that stores of one archive agree. It hides nothing from someone
#: who knows the archive's patient numbers: give --patient-key where those are secret.
DEFAULT_PATIENT_KEY = "cmelt"

#: Never changes, whatever --patient-key: it decides the splits.
_SPLIT_KEY = b"cmelt split 1"
_SHARES = (("train", 0.8), ("validation", 0.9), ("test", 1.0))


def patient_hash(key: str, source: str, patient: str) -> str:
    """The stored name of `patient`: 16 hexadecimal digits."""
    return hmac.new(key.encode(), f"{source}\0{patient}".encode(), hashlib.sha256).hexdigest()[:16]


def split_of(source: str, group: str) -> str:
    """The split of a group (a patient; or a signal, where no patient is known): 80 % train, 10 % validation, 10 % test.

    A pure function of the two, so that adding records never moves anyone.
    """
    digest = hmac.new(_SPLIT_KEY, f"{source}\0{group}".encode(), hashlib.sha256).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return next(split for split, limit in _SHARES if place < limit)
