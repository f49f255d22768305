"""Who a record belongs to, without saying who: keyed hashes of patients, and the split that follows from them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

#: Hashes patients where no key of one's own is given, so that stores of one archive agree. It hides nothing from someone
#: who knows the archive's patient numbers: give --patient-key where those are secret.
DEFAULT_PATIENT_KEY = "cmelt"

#: How the names begin that patients have across stores, among the fingerprints of what a model has seen.
PERSON = "person "

#: Never changes, whatever --patient-key: it decides the splits.
_SPLIT_KEY = b"cmelt split 1"
_SHARES = (("train", 0.8), ("validation", 0.9), ("test", 1.0))


def patient_hash(key: str, source: str, patient: str) -> str:
    """The stored name of `patient`: 16 hexadecimal digits."""
    return hmac.new(key.encode(), f"{source}\0{patient}".encode(), hashlib.sha256).hexdigest()[:16]


def people_of(key_check: str, patients: Sequence[str]) -> list[str]:
    """What tells the patients with these hashes from those of other stores: equal where key, source and patient are the same.

    key_check: the store's `patient_key_check`. "" stays "".
    """
    distinct = {patient: hashlib.sha256(f"{key_check} {patient}".encode()).hexdigest()[:32] for patient in set(patients)}
    return [f"{PERSON}{distinct[patient]}" if patient else "" for patient in patients]


def split_of(source: str, group: str) -> str:
    """The split of a group (a patient; or a signal, where no patient is known): 80 % train, 10 % validation, 10 % test.

    A pure function of the two, so that adding records never moves anyone.
    """
    digest = hmac.new(_SPLIT_KEY, f"{source}\0{group}".encode(), hashlib.sha256).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return next(split for split, limit in _SHARES if place < limit)
