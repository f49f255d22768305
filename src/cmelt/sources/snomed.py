"""SNOMED CT codes as the PhysioNet/CinC Challenges 2020 and 2021 use them: names, and the classes that were scored.

`codes/snomed.csv` holds the Challenge 2021's 133 codes, made from the tables of its evaluation code (dx_mapping_scored.csv,
dx_mapping_unscored.csv, weights.csv; BSD-2-Clause, PhysioNet/Computing in Cardiology Challenges). Names are in lower case with
their misspellings corrected. Codes that the Challenge scored as one diagnosis share a class: 30 codes make 26 classes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "codes" / "snomed.csv"

#: Opens every assembled report: says what the statements are of, and marks the text as ours.
REPORT_OPENING = "12-lead ECG: "


@dataclass(frozen=True)
class Condition:
    """One code. `scored_class` is the abbreviation of the class it was scored as, '' where it was not."""

    code: str
    abbreviation: str
    scored_class: str
    name: str


@cache
def conditions() -> Mapping[str, Condition]:
    """The 133 conditions by code; the scored ones first, in the order of the Challenge's weights."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return {row["code"]: Condition(**row) for row in csv.DictReader(file)}


def scored_classes() -> tuple[str, ...]:
    """The 26 classes of the Challenge's score, by the abbreviation of their first code."""
    return tuple(dict.fromkeys(one.scored_class for one in conditions().values() if one.scored_class))


def parse_codes(text: str) -> tuple[str, ...]:
    """The codes of a header's `Dx` line, each once. Some lines end in a comma, hold two in a row, or name a code twice."""
    return tuple(dict.fromkeys(code for code in (part.strip() for part in text.split(",")) if code.isascii() and code.isdigit()))


def snomed_labels(codes: Iterable[str]) -> tuple[str, ...]:
    """ "snomed:CODE" for each code, known or not, and "cinc:CLASS" for each scored class among them; sorted.

    Example:
        >>> snomed_labels(["59118001", "713427006"])
        ('cinc:CRBBB', 'snomed:59118001', 'snomed:713427006')
    """
    labels: set[str] = set()
    for code in codes:
        labels.add(f"snomed:{code}")
        known = conditions().get(code)
        if known and known.scored_class:
            labels.add(f"cinc:{known.scored_class}")
    return tuple(sorted(labels))


def assembled_report(codes: Iterable[str], further_names: Mapping[str, str] | None = None) -> str | None:
    """A report made of the conditions' names, in the order of the table, so that the same diagnoses give the same text.

    `further_names` names codes beyond the Challenge's, which come last. None where no code has a name.

    Example:
        >>> assembled_report(["426783006", "164889003"])
        '12-lead ECG: atrial fibrillation; sinus rhythm'
    """
    carried = set(codes)
    names = [known.name for code, known in conditions().items() if code in carried]
    names += [name for code, name in (further_names or {}).items() if code in carried and code not in conditions()]
    return REPORT_OPENING + "; ".join(names) if names else None
