"""LUDB 1.0.1: 200 ECGs of 10 s at 500 Hz from Nizhny Novgorod, with a cardiologist's findings.

Traps: leads are spelled in lower case; nearly every cell of `ludb.csv` ends with a line break, and several findings stand in one
cell, a line each; one age is ">89". The findings stand in the headers' comments too, without their columns. The boundaries of
waves (`1.i`, `1.ii` …) are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from cmelt.errors import SourceError
from cmelt.records.readers import physionet
from cmelt.records.record import Record
from cmelt.sources.about import About, require_files
from cmelt.sources.source import Entry, Listing
from cmelt.sources.tables import file_stamp, read_csv, require_columns

TABLE = "ludb.csv"

#: The columns of findings, in the order in which a report tells them.
FINDINGS: tuple[str, ...] = (
    "Rhythms", "Electric axis of the heart", "Conduction abnormalities", "Extrasystolies", "Hypertrophies", "Cardiac pacing",
    "Ischemia", "Non-specific repolarization abnormalities", "Other states",
)  # fmt: skip
_SEXES: Mapping[str, str | None] = {"f": "female", "m": "male", "": None}
_RHYTHM = re.compile(r"^rhythm\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Ludb:
    """The database unpacked at `folder`: `ludb.csv`, and `data` with `1.hea`, `1.dat` … in it."""

    folder: str
    rate: float = 100.0
    name: str = "ludb"
    about: ClassVar[About] = About(
        title="LUDB 1.0.1 (Lobachevsky University Electrocardiography Database)",
        records=200,
        patients=200,
        signals="12 leads, 500 Hz, 10 s",
        gigabytes=0.03,
        licence="ODC-By 1.0",
        where="https://physionet.org/content/ludb/1.0.1/",
        citation="Kalyakulina, Yusipov, Moskalenko, Nikolskiy, Kosonogov, Zolotykh, Ivanchenko: Lobachevsky University "
        "Electrocardiography Database (version 1.0.1). PhysioNet, 2021",
        files=((TABLE, "a row a record: sex, age, findings"), ("data/*.hea", "the recordings")),
        download="physionet:ludb/1.0.1",
    )

    @property
    def settings(self) -> Mapping[str, str]:
        """Nothing was chosen."""
        return {}

    def entries(self) -> Listing:
        """Every row of the table whose header lies in this copy; the others are counted."""
        root = Path(self.folder)
        require_files(self.about, root)
        table = read_csv(root / TABLE, ())
        table = table.rename(columns={column: " ".join(str(column).split()) for column in table.columns})
        require_columns(table, ("ID", "Sex", "Age", *FINDINGS), root / TABLE)
        listed = [_entry(row, f"{root / TABLE} (row {number})") for number, row in enumerate(table.to_dict("records"), start=2)]
        if len({entry.record for entry in listed}) < len(listed):
            raise SourceError(root / TABLE, "an ID stands there twice", "fetch the table again")
        entries = tuple(entry for entry in listed if (root / f"{entry.place}.hea").exists())
        if not entries:
            raise SourceError(root, f"none of the {len(listed)} records of {TABLE} is here", "unpack `data` beside it")
        headers = sum(1 for _ in root.glob("data/*.hea"))
        unlisted = headers - len(entries)
        warnings = (f"{unlisted} records of `data` have no row in {TABLE} and are left out",) if unlisted > 0 else ()
        return Listing(entries, len(listed) - len(entries), {"age": "90 stands for every age over 89"}, warnings)

    def read(self, entry: Entry) -> Record:
        """The signal of `entry` with its row of the table."""
        record = physionet.read(Path(self.folder) / f"{entry.place}.hea")
        return replace(
            record,
            identifier=entry.record,
            report=entry.report,
            patient=entry.patient,
            age=entry.age,
            sex=entry.sex,
            labels=entry.labels,
            origin=entry.place,
        )

    def stamp(self, entry: Entry) -> str:
        """Sizes and times of header and samples."""
        stem = Path(self.folder) / entry.place
        return file_stamp(Path(f"{stem}.hea"), Path(f"{stem}.dat"))


def findings(cell: str) -> list[str]:
    """The findings of one cell: a line each, the column's own name for rhythms and the full stop off, blanks set right.

    Example:
        >>> findings("Rhythm: Sinus rhythm.\\n")
        ['Sinus rhythm']
    """
    lines = (" ".join(line.split()).rstrip(". ") for line in cell.splitlines())
    return [_RHYTHM.sub("", line).replace("Non- specific", "Non-specific") for line in lines if line]


def _entry(row: Mapping[Any, Any], where: str) -> Entry:
    number = str(row["ID"]).strip().removesuffix(".0")
    if not re.fullmatch(r"[0-9]{1,6}", number):
        raise SourceError(where, "an ID that is not a number", "fetch the table again")
    sex = str(row["Sex"]).strip().lower()
    if sex not in _SEXES:
        raise SourceError(where, "a sex that is neither F nor M", "fetch the table again")
    found = dict.fromkeys(finding for column in FINDINGS for finding in findings(str(row[column])))
    return Entry(
        record=number,
        place=f"data/{number}",
        patient=number,  # every record is another patient's
        report=" ".join(f"{finding[:1].upper()}{finding[1:]}." for finding in found) or None,
        labels=tuple(sorted(f"ludb:{finding}" for finding in found)),
        age=_age(str(row["Age"]).strip(), where),
        sex=_SEXES[sex],
    )


def _age(text: str, where: str) -> float | None:
    """Years; ">89" as 90."""
    if not text:
        return None
    stated = re.fullmatch(r"(>?)\s*([0-9]{1,3})(?:\.0)?", text)
    if stated is None:
        raise SourceError(where, "an age that cannot be read", "fetch the table again")
    return float(stated[2]) + (1.0 if stated[1] else 0.0)
