"""Who belongs together: groups of patients and copies, their splits, and the copies that get none. All of it in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmelt.store.patients import patient_hash, split_of

#: A split's number says which keeps a signal that several claim: the one that judges goes first.
PROTECTED: tuple[str, ...] = ("test", "validation", "train")
NO_SPLIT = -1

#: Flag of a row that is in no split, since it would carry the signal of one split into another.
HELD_BACK = "copy-across-splits"

#: A patient's hash, as bytes; b"" where nobody is known.
PATIENT = np.dtype("S16")


@dataclass(frozen=True)
class Claims:
    """What is known of every row before copies are looked for.

    Attributes:
        patient: [n] hashes, `PATIENT`.
        split: [n] int8, places in `PROTECTED`, or `NO_SPLIT`; every row with a patient has one.
        split_given: [n] whether the source says so.
        signal: n fingerprints; for a row without, a name that equal signals have in common.
    """

    patient: NDArray[np.bytes_]
    split: NDArray[np.int8]
    split_given: NDArray[np.bool_]
    signal: Sequence[str]

    def __len__(self) -> int:
        return len(self.signal)


@dataclass(frozen=True)
class Settled:
    """What every row came to be.

    Attributes:
        patient: [n] as in `Claims`, none empty.
        split: [n] likewise; `NO_SPLIT` for copies that are held back.
        warnings: what the user should look at.
    """

    patient: NDArray[np.bytes_]
    split: NDArray[np.int8]
    warnings: tuple[str, ...]

    @property
    def held_back(self) -> NDArray[np.bool_]:
        """Rows [n] in no split."""
        return np.asarray(self.split == NO_SPLIT)


def doubtful_rows(claims: Claims, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows [n] whose fate hangs on their group being of one signal: not all of one known patient in one split."""
    _, group = np.unique(groups, return_inverse=True)
    _, person = np.unique(claims.patient, return_inverse=True)
    alike = np.ones(int(group.max(initial=-1)) + 1, dtype=bool)
    for column in (person, claims.split.astype(np.int64)):
        least = np.full(alike.size, np.iinfo(np.int64).max)
        most = np.full(alike.size, np.iinfo(np.int64).min)
        np.minimum.at(least, group, column)
        np.maximum.at(most, group, column)
        alike &= least == most
    unknown = claims.patient == b""
    alike[group[unknown]] = False
    return np.asarray(~alike[group])


def settle_groups(claims: Claims, groups: NDArray[np.int64], source: str, patient_key: str) -> Settled:
    """Give every row its patient and split.

    A record without a patient joins the patient whose signal it shares; else its signal is its group, so that copies
    stay together. Where two patients of different splits share a signal, nobody is moved: the copy in the less
    protected split (test before validation before train) is held back: in no split, so that neither training nor a test
    has it. Splits that the source fixes are kept as they are, copies included, with a warning where they tear a patient or a
    signal apart; where it fixes those of some records only, a patient's others go with them, and a copy that would be in
    another split than a fixed one is held back.

    Args:
        groups: [n] rows with one number share a signal.
    """
    if not len(claims):
        return Settled(claims.patient, claims.split, ())
    _, group = np.unique(groups, return_inverse=True)
    known, given = claims.patient != b"", claims.split_given
    patient, split = claims.patient.copy(), _with_their_patient(claims.patient, claims.split, given)
    order = np.lexsort((claims.patient, split, ~given, ~known, group))
    hosts = order[np.flatnonzero(np.diff(group[order], prepend=-1))]  # of each group; a row without a patient where all are
    host = hosts[group]
    joins = ~known & known[host]
    patient[joins] = claims.patient[host[joins]]
    without = joins & (split == NO_SPLIT)
    split[without] = split[host[without]]
    _name_by_signal(np.flatnonzero(~known & ~known[host]), group, claims, patient, split, source, patient_key)
    # Those who joined may have brought a fixed split with them, which counts where their patient has none of its own.
    own = np.isin(patient, claims.patient[known & given])
    split = np.where(own, split, _with_their_patient(patient, split, given))
    fixed, best = _best(group, split, given), _best(group, split)
    beyond = np.where(given, split > fixed[group], split != np.where(fixed < len(PROTECTED), fixed, best)[group])
    held_back = beyond & ~given
    warnings = _warnings(int((beyond & given).sum()), int(held_back.sum()), patient, split)
    return Settled(patient, np.where(held_back, np.int8(NO_SPLIT), split), warnings)


def _with_their_patient(patient: NDArray[np.bytes_], split: NDArray[np.int8], given: NDArray[np.bool_]) -> NDArray[np.int8]:
    """The splits [n]; rows without a given one take the most protected that the source gives another row of their patient."""
    _, person = np.unique(patient, return_inverse=True)
    fixed = _best(person, split, given & (patient != b""))[person]
    return np.where(~given & (fixed < len(PROTECTED)), fixed, split)


def _best(group: NDArray[np.int64], split: NDArray[np.int8], rows: NDArray[np.bool_] | None = None) -> NDArray[np.int8]:
    """The most protected split of each group 0 …, of these rows alone; `len(PROTECTED)` where there is none."""
    chosen = np.flatnonzero(np.ones(group.size, dtype=bool) if rows is None else rows)
    best = np.full(int(group.max(initial=-1)) + 1, len(PROTECTED), dtype=np.int8)
    np.minimum.at(best, group[chosen], split[chosen])
    return best


def _name_by_signal(
    rows: NDArray[np.int64],
    group: NDArray[np.int64],
    claims: Claims,
    patient: NDArray[np.bytes_],
    split: NDArray[np.int8],
    source: str,
    patient_key: str,
) -> None:
    """Name rows of groups that nobody claims after their signal, in place; of near copies, after the least fingerprint."""
    least: dict[int, str] = {}
    for row in rows.tolist():
        number = int(group[row])
        least[number] = min(claims.signal[row], least.get(number, claims.signal[row]))
    for row in rows.tolist():
        name = f"\0signal {least[int(group[row])]}"
        patient[row] = patient_hash(patient_key, source, name).encode()
        if split[row] == NO_SPLIT:
            split[row] = PROTECTED.index(split_of(source, name))


def _warnings(across_given: int, held_back: int, patient: NDArray[np.bytes_], split: NDArray[np.int8]) -> tuple[str, ...]:
    warnings = []
    if held_back:
        warnings.append(
            f"{held_back} records have the same signal as another patient's in another split: they are in no split "
            f"(flag {HELD_BACK}); correct the patients"
        )
    if across_given:
        warnings.append(f"{across_given} records have a copy in another split, as their source splits them")
    people, person = np.unique(patient, return_inverse=True)
    found = np.unique(person * len(PROTECTED) + split) // len(PROTECTED)
    torn = int((np.bincount(found, minlength=people.size) > 1).sum())
    if torn:
        warnings.append(f"{torn} patients have records in several splits, as their source splits them")
    return tuple(warnings)
