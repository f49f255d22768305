"""Codes and words by which binary formats name their leads.

DICOM's CID 3001 and EN 1064 (SCP-ECG), clause 5.6.3, share their numbers: "MDC 2:61" and "SCPECG 5.6.3-9-61" are both lead III.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from cmelt.records.leads import lead_name
from cmelt.records.record import LEADS

_FIRST = (
    "I",
    "II",
    "V1",
    "V2",
    "V3",
    "V4",
    "V5",
    "V6",
    "V7",
    "V2R",
    "V3R",
    "V4R",
    "V5R",
    "V6R",
    "V7R",
    "X",
    "Y",
    "Z",
    "CC5",
    "CM5",
)
_AUGMENTED = ("III", "aVR", "aVL", "aVF", "-aVR", "V8", "V9", "V8R", "V9R", "D", "A", "J")
#: Number of the lead → its name. What is not here (electrodes, calibration signals) is no lead that anything after this uses.
LEAD_NUMBERS: Mapping[int, str] = MappingProxyType(dict(enumerate(_FIRST, 1)) | dict(enumerate(_AUGMENTED, 61)))
#: Leads that are written in words, beside the twelve.
OTHER_LEADS = frozenset(name for name in LEAD_NUMBERS.values() if name not in LEADS) - {"D", "A", "J"}

_LEAD_CODE = re.compile(r"^(?:2:|5\.6\.3-9-)(\d{1,3})$")
_MDC_PARTITION = 2 << 16  # "131073" is partition 2, code 1
_IN_WORDS = re.compile(r"\(.*\)|,.*$")


def lead_of_code(code: str) -> str | None:
    """The lead that a code value names ("2:61", "5.6.3-9-61", "MDC_ECG_LEAD_III"), or None."""
    stripped = code.strip(" \x00")
    numbered = _LEAD_CODE.match(stripped)
    if numbered is not None:
        return LEAD_NUMBERS.get(int(numbered[1]))
    if stripped.isdigit() and len(stripped) < 8:
        return LEAD_NUMBERS.get(int(stripped) - _MDC_PARTITION)
    return lead_in_words(stripped) if stripped.startswith("MDC_ECG") else None


def lead_in_words(words: str) -> str | None:
    """The lead that a meaning names ("Lead I (Einthoven)", "aVR, augmented voltage, right"), or None."""
    name = lead_name(_IN_WORDS.sub("", words.strip(" \x00")))
    if name in LEADS:
        return None if name in ("I", "II", "III") and not _says_roman(words) else name
    return name.upper() if name.upper() in OTHER_LEADS else None


def _says_roman(words: str) -> bool:
    """A channel's bare number ("1", "ECG 2") is no lead's name, "Lead 2" is."""
    return "I" in words.upper() or "LEAD" in words.upper()
