"""Leads put right where a flag names what is wrong with them: names exchanged, signs turned, limb electrodes exchanged.

Nothing here is done unasked. A heart that lies on the right looks as exchanged arm electrodes do, and put right it would look
healthy; of right records some are accused (docs/quality.md has the shares), and these would be spoiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record

#: Where the samples of a lead belong, and their sign there.
Places = Mapping[str, tuple[str, int]]

_ALL_TURNED: Places = {lead: (lead, -1) for lead in LEADS}
_ARMS: Places = {"I": ("I", -1), "II": ("III", 1), "III": ("II", 1), "aVR": ("aVL", 1), "aVL": ("aVR", 1)}
_RIGHT_ARM_AND_LEG: Places = {
    "I": ("III", -1), "II": ("II", -1), "III": ("I", -1), "aVR": ("aVF", 1), "aVF": ("aVR", 1),
}  # fmt: skip
_CHEST_REVERSED: Places = {f"V{place}": (f"V{7 - place}", 1) for place in range(1, 7)}
#: Faults of the whole record, by their flags. Each of them done twice is nothing done.
_WHOLE: Mapping[str, Places] = {
    "upside-down": _ALL_TURNED,
    "chest-reversed": _CHEST_REVERSED,
    "arms-reversed": _ARMS,
    "electrodes-exchanged:right-arm/leg": _RIGHT_ARM_AND_LEG,
}
#: Undoing one fault can show another, but no record is turned about for ever.
_MOST_FAULTS = 3


def correct_leads(record: Record) -> tuple[Record, tuple[str, ...]]:
    """`record` with its leads where they belong, and the flags that were undone; the record itself and () where there are none.

    Undone are "limb-swapped", "limb-inverted", "chest-swapped", "chest-inverted", "chest-reversed", "arms-reversed",
    "electrodes-exchanged" and "upside-down", by what their flag says and until none of them is left. A record of which one is
    left after three is given back as it came: what is wrong with it is something else.
    """
    found = record
    undone: list[str] = []
    for _ in range(_MOST_FAULTS):
        flag = next(filter(_places_of, quality_flags(found)), "")
        if not flag:
            return found, tuple(undone)
        found = _put(found, _places_of(flag))
        undone.append(flag)
    if any(map(_places_of, quality_flags(found))):
        return record, ()
    return found, tuple(undone)


def _places_of(flag: str) -> Places:
    """Where leads belong if `flag` is right; nothing where it says nothing of that."""
    kind, _, about = flag.partition(":")
    if kind in ("limb-swapped", "chest-swapped"):
        one, other = about.split("/")
        return {one: (other, 1), other: (one, 1)}
    if kind in ("limb-inverted", "chest-inverted"):
        return {about: (about, -1)}
    return _WHOLE.get(flag, {})


def _put(record: Record, places: Places) -> Record:
    """`record` with its samples under the names, and with the signs, where they belong."""
    names = tuple(places.get(lead, (lead, 1))[0] for lead in record.leads)
    signs = np.array([places.get(lead, (lead, 1))[1] for lead in record.leads], np.float32)
    derived = tuple(places.get(lead, (lead, 1))[0] for lead in record.derived)
    return replace(record, signal=record.signal * signs[:, None], leads=names, derived=derived)
