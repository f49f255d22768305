"""PTB-XL 1.0.3: 21,799 ECGs with reports and SCP statements, in its official folds (1–8 train, 9 validation, 10 test).

Labels are those of the PTB-XL benchmark: every statement counts whatever its likelihood (0 means "not stated", not "no").
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from cmelt.errors import SourceError
from cmelt.records.readers import physionet
from cmelt.records.record import Record
from cmelt.sources.about import About, require_files
from cmelt.sources.remote_files import safe_path
from cmelt.sources.source import Entry, Listing
from cmelt.sources.tables import file_stamp, read_csv

DATABASE = "ptbxl_database.csv"
STATEMENTS = "scp_statements.csv"

#: The column of file names at each rate.
FILE_COLUMNS: Mapping[int, str] = {100: "filename_lr", 500: "filename_hr"}
_NEEDED = ("ecg_id", "patient_id", "age", "sex", "report", "scp_codes", "strat_fold")

#: The last fold of train, validation and test. Of the official ones, 9 and 10 are not to be looked at while choosing.
OFFICIAL_FOLDS = (8, 9, 10)
DEVELOPMENT_FOLDS = (6, 7, 8)

#: The database writes 300 for every age over 89; stored as 90.
OVER_89 = 300.0


@dataclass(frozen=True)
class PtbXl:
    """The database unpacked at `folder`, read at `rate` 100 or 500 Hz.

    `development` is for choosing a recipe: folds 1–6 train, 7 validation, 8 test; folds 9 and 10 stay unseen and out.
    """

    folder: str
    rate: float = 100.0
    development: bool = False
    name: str = "ptb-xl"
    about: ClassVar[About] = About(
        title="PTB-XL 1.0.3",
        records=21_799,
        patients=18_869,
        signals="12 leads, 100 and 500 Hz, 10 s",
        gigabytes=3.0,
        licence="CC BY 4.0",
        where="https://physionet.org/content/ptb-xl/1.0.3/",
        citation="Wagner, Strodthoff, Bousseljot, Samek, Schaeffter: PTB-XL, a large publicly available electrocardiography "
        "dataset (version 1.0.3). PhysioNet, 2022",
        files=((DATABASE, "a row a record: report, statements, folds"), (STATEMENTS, "the classes of the statements")),
        download="physionet:ptb-xl/1.0.3",
    )

    def __post_init__(self) -> None:
        if self.rate not in FILE_COLUMNS:
            raise SourceError("rate", f"PTB-XL has no files at {self.rate:g} Hz", "choose 100 or 500")

    @property
    def settings(self) -> Mapping[str, str]:
        """The files' rate, and the folds where they are not the official ones."""
        return {"files": f"records{self.rate:g}", **({"folds": "development"} if self.development else {})}

    def entries(self) -> Listing:
        """Every row of the table whose header lies in this copy; the others are counted."""
        root = Path(self.folder)
        require_files(self.about, root)
        vocabularies = read_vocabularies(root / STATEMENTS)
        column = FILE_COLUMNS[int(self.rate)]
        table = read_csv(root / DATABASE, (*_NEEDED, column))
        entries: list[Entry] = []
        missing = 0
        last = DEVELOPMENT_FOLDS if self.development else OFFICIAL_FOLDS
        for number, row in enumerate(table.to_dict("records"), start=2):
            where = f"{root / DATABASE} (row {number})"  # not its ecg_id: of a torn row that is a piece of a report
            row[column] = safe_path(str(row[column]), where)
            if (root / f"{row[column]}.hea").exists():
                entry = _entry(row, column, vocabularies, where, last)
                entries += [entry] if entry.split else []
            else:
                missing += 1
        if not entries:
            raise SourceError(
                root, f"none of the {missing} records of {DATABASE} is here", f"unpack records{self.rate:g} beside it"
            )
        return Listing(tuple(entries), missing, {"age": "90 stands for every age over 89"})

    def read(self, entry: Entry) -> Record:
        """The signal of `entry` with its row of the table."""
        record = physionet.read(Path(self.folder, f"{entry.place}.hea"))
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
        stem = os.path.join(self.folder, entry.place)
        return file_stamp(f"{stem}.hea", f"{stem}.dat")


def read_vocabularies(path: Path) -> Mapping[str, tuple[str, ...]]:
    """For each SCP code its labels, such as "scp:IMI", "super:MI", "sub:IMI"; "form:…" and "rhythm:…" for those kinds."""
    table = read_csv(path, ("diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"))
    vocabularies: dict[str, tuple[str, ...]] = {}
    for row in table.to_dict("records"):
        code = str(row[table.columns[0]]).strip()
        labels = [f"scp:{code}"]
        if _is_one(row["diagnostic"]):
            labels += [f"super:{row['diagnostic_class']}", f"sub:{row['diagnostic_subclass']}"]
        labels += [f"{kind}:{code}" for kind in ("form", "rhythm") if _is_one(row[kind])]
        vocabularies[code] = tuple(labels)
    return vocabularies


def _is_one(text: str) -> bool:
    return text.strip() in ("1", "1.0")


def split_of(fold: int, last: tuple[int, int, int]) -> str:
    """The split of a fold, given the last folds of train, validation and test; empty beyond them."""
    return next((name for name, end in zip(("train", "validation", "test"), last, strict=True) if fold <= end), "")


def _entry(
    row: Mapping[Any, Any],
    column: str,
    vocabularies: Mapping[str, tuple[str, ...]],
    where: str,
    last: tuple[int, int, int] = OFFICIAL_FOLDS,
) -> Entry:
    try:
        fold = int(float(row["strat_fold"]))
        codes = ast.literal_eval(row["scp_codes"])
        age = float(row["age"]) if row["age"] else None
        patient = str(int(float(row["patient_id"])))  # "15709.0": the published table holds floats
    except (ValueError, SyntaxError):
        raise SourceError(where, "a fold, age, patient or statement that cannot be read", "fetch the table again") from None
    if not 1 <= fold <= 10 or not isinstance(codes, dict):
        raise SourceError(where, "not a fold of 1 to 10, or no dictionary of statements", "fetch the table again")
    unknown = sorted(set(codes) - vocabularies.keys())
    if unknown:
        told = [code if re.fullmatch(r"[0-9]?[A-Z/()_+]{1,11}[0-9]?", str(code)) else "what is no code" for code in unknown]
        fault = f"statements that {STATEMENTS} does not know: {', '.join(told)}"
        raise SourceError(where, fault, "fetch both tables of one version")
    labels = dict.fromkeys(label for code in codes for label in vocabularies[code])
    return Entry(
        record=str(int(float(row["ecg_id"]))),
        place=str(row[column]),
        split=split_of(fold, last),
        patient=patient,
        report=str(row["report"]).strip() or None,
        labels=tuple(sorted(labels)),
        age=90.0 if age == OVER_89 else age,
        sex={"0": "male", "1": "female"}.get(str(row["sex"]).strip().removesuffix(".0")),
    )
