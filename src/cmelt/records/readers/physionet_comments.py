"""What the comments of a WFDB header say of the patient and the ECG: each archive has its own way.

PhysioNet Challenges: "Age: 74", "Sex: Male", "Dx: 59118001,…". LUDB: "<age>: 51", "<sex>: F", "<diagnoses>:" and below it
a line a finding. INCART: the same on one line. European ST-T: "Age: 62  Sex: M". MIMIC-IV-ECG: "<subject_id>: 10000032".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: "<key>:", wherever it stands; "key:" only at a line's beginning or two blanks off what stands before it.
_KEY = re.compile(r"<\s*([\w .]{1,40}?)\s*>\s*:?|(?:^|(?<=\s\s))([A-Za-z][\w ]{0,39}?)\s*:")
_AGE = re.compile(r"^>?\s*(\d{1,3}(?:\.\d+)?)\s*(?:y|yr|yrs|year|years)?\.?$", re.IGNORECASE)
_SEXES: Mapping[str, str] = {"m": "male", "male": "male", "f": "female", "female": "female"}
_PATIENT_KEYS = ("subject_id", "subject id", "patient_id", "patient id", "patientid", "patient", "mrn")
#: What names a person is no finding, wherever it stands.
_PERSONAL = (*_PATIENT_KEYS, "name", "patient name", "last name", "first name", "date of birth", "birth date", "dob")
_DIAGNOSES = ("diagnoses", "diagnosis")
_NOTHING_SAID = ("", "none", "(none)", "unknown", "n/a", "nan", "?")


@dataclass(frozen=True)
class Remarks:
    """What the comments say; fields as in `Record`."""

    age: float | None
    sex: str | None
    labels: tuple[str, ...]
    report: str | None
    patient: str | None


def remarks(comments: Sequence[str], *, identity: bool) -> Remarks:
    """Read `comments` (without their "#"); the patient only where `identity` is asked for."""
    said: dict[str, str] = {}
    findings: list[str] = []
    listing = False
    for comment in comments:
        keys = list(_KEY.finditer(comment))
        # Below "<diagnoses>:" a line such as "Rhythm: sinus" is a finding; only a bracketed or a personal key ends the list.
        if listing and not any(key[1] or key[2].lower() in _PERSONAL for key in keys):
            findings.append(comment)
            continue
        ends = [following.start() for following in keys[1:]] + [len(comment)]
        for key, end in zip(keys, ends, strict=False):  # without keys the end stands alone
            name = (key[1] or key[2]).lower()
            value = comment[key.end() : end].strip()
            listing = key[1] is not None and name in _DIAGNOSES
            if listing:
                findings.append(value)
            said.setdefault(name, value)
    patient = next((said[key] for key in _PATIENT_KEYS if said.get(key, "").lower() not in _NOTHING_SAID), None)
    codes = [code.strip() for code in said.get("dx", "").split(",")]
    statements = [finding.strip() for finding in findings if finding.strip().lower() not in _NOTHING_SAID]
    return Remarks(
        age=_age(said.get("age", "")),
        sex=_SEXES.get(said.get("sex", "").lower()),
        labels=tuple(f"snomed:{code}" for code in codes if code.isdigit()),
        report="\n".join(statements) or None,
        patient=patient if identity else None,
    )


def _age(text: str) -> float | None:
    """Years; "3 months" is none, and ">89" is 90, as little as it can be."""
    stated = _AGE.match(text)
    if stated is None:
        return None
    age = float(stated[1]) + (1.0 if text.startswith(">") else 0.0)
    return age if age < 130 else None
