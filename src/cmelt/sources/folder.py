"""Your own archive: a tree of ECG files of any format, and a table (CSV or parquet) of what is known about them.

Columns: `record` (path below the folder; the extension may be left out where it is plain which file is meant) and, where there
are, `patient`, `report`, `labels` (`;` between), `split` (train, validation, test), `age`, `sex`, and `pseudonym`, by which the
record goes in the store, its quarantine and all that follows where paths tell whose it is. Without a table, every ECG file of the
tree is taken, with what it says itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from cmelt.errors import RecordError, SourceError
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.record import Record
from cmelt.sources.about import About
from cmelt.sources.ecg_files import Passed, ecg_files
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.source import SPLITS, Entry, Listing
from cmelt.sources.tables import file_stamp, read_csv, read_parquet

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("record", "pseudonym", "patient", "report", "labels", "split", "age", "sex")
_SEXES: Mapping[str, str] = {"m": "male", "male": "male", "f": "female", "female": "female"}


@dataclass(frozen=True)
class Folder:
    """The tree at `folder` with its `table`; without one, every ECG file below.

    `file_rate` (Hz), `file_unit` and `file_leads` say what files of bare numbers leave unsaid.
    """

    folder: str
    table: str | None = None
    rate: float = 100.0
    file_rate: float | None = None
    file_unit: str | None = None
    file_leads: tuple[str, ...] | None = None
    name: str = "folder"
    about: ClassVar[About] = About(
        title="Your own archive",
        signals="any format that `cmelt show` reads",
        licence="yours",
        access="yours",
        files=(("*", "ECG files; a table of reports, labels and patients where there is one"),),
    )

    @property
    def settings(self) -> Mapping[str, str]:
        """Whether there was a table, and what was said of the files."""
        said = {"rate": self.file_rate, "unit": self.file_unit, "leads": ",".join(self.file_leads or ())}
        return {"table": "yes" if self.table else "no"} | {f"file_{name}": f"{value}" for name, value in said.items() if value}

    def entries(self) -> Listing:
        """The rows of the table, in its order; or the records of the tree, sorted."""
        root = Path(self.folder)
        if not root.is_dir():
            raise SourceError(root, "no such folder", "give the folder that holds the records")
        if self.table is not None:
            path = Path(self.table)
            table = read_parquet(path, ("record",)) if path.suffix == ".parquet" else read_csv(path, ("record",))
            return _listing(table, path, root)
        passed = Passed()
        entries = EntryTable.collect(Entry(place, place) for place in ecg_files(root, passed))
        if not entries:
            told = "; ".join(passed.warnings())
            raise SourceError(root, "holds no ECG" + (f": {told}" if told else ""), "give the folder that holds the records")
        return Listing(entries, warnings=passed.warnings())

    def read(self, entry: Entry) -> Record:
        """The signal of `entry`; what the table says goes before what the file says."""
        options = ReadOptions(True, self.file_rate, self.file_unit, self.file_leads)
        try:
            record = read_ecg(_file_of(self.folder, entry.place), options)
        except RecordError as error:
            raise RecordError(entry.place, error.fault, error.remedy) from error
        return replace(
            record,
            identifier=entry.record,
            origin=entry.place if entry.origin is None else entry.origin,
            report=entry.report or record.report,
            patient=entry.patient or record.patient,
            age=record.age if entry.age is None else entry.age,
            sex=entry.sex or record.sex,
            labels=entry.labels or record.labels,
        )

    def stamp(self, entry: Entry) -> str:
        """Sizes and times of every file that bears the record's name."""
        stem = os.path.join(self.folder, entry.place)
        return file_stamp(stem, *(stem + suffix for suffix in (".hea", ".dat", ".mat", ".dat.gz")))


def _file_of(root: str, place: str) -> Path:
    """The file that a table's `place` means: that very path, a WFDB record, or the one file with some extension.

    Raises:
        RecordError: several files are so named.
    """
    named = os.path.join(root, place)
    if not os.path.exists(named) and os.path.exists(f"{named}.hea"):
        return Path(f"{named}.hea")
    path = Path(named)
    if os.path.exists(named) or not path.parent.is_dir():
        return path
    named_so = sorted(other for other in path.parent.glob(f"{_escaped(path.name)}.*") if other.is_file())
    if len(named_so) > 1:
        raise RecordError(place, "several files bear this name with different extensions", "give the extension in the table")
    return named_so[0] if named_so else path


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _listing(table: pd.DataFrame, path: Path, root: Path) -> Listing:
    if not len(table):
        raise SourceError(path, "the table has no rows", "list the records in it")
    for column, what in (("record", "records"), ("pseudonym", "pseudonyms")):
        twice = int(table[column].str.strip().duplicated().sum()) if column in table.columns else 0
        if twice:
            raise SourceError(path, f"{twice} {what} are listed more than once", "keep one row a record")
    resolved = root.resolve()
    unused = [str(column) for column in table.columns if column not in COLUMNS]
    warnings = (f"columns of the table that are not used: {', '.join(unused)}",) if unused else ()
    return Listing(EntryTable.collect(_entries(table, path, resolved)), warnings=warnings)


def _entries(table: pd.DataFrame, path: Path, root: Path) -> Iterator[Entry]:
    """An entry a row, numbered in messages as a spreadsheet shows them: the first row below the heading is 2."""
    columns = [column for column in COLUMNS if column in table.columns]
    for number, cells in enumerate(zip(*(table[column] for column in columns), strict=True), start=2):
        yield _entry(dict(zip(columns, cells, strict=True)), f"{path} (row {number})", root)


def _entry(row: Mapping[Any, Any], where: str, root: Path) -> Entry:
    cells = {column: str(row.get(column, "")).strip() for column in COLUMNS}
    if cells["split"] and cells["split"].lower() not in SPLITS:
        raise SourceError(where, "a split that is none of ours", f"write {', '.join(SPLITS)}, or leave it empty")
    if cells["sex"] and cells["sex"].lower() not in _SEXES:
        raise SourceError(where, "a sex that cannot be read", "write female or male, or leave it empty")
    if "pseudonym" in row and not cells["pseudonym"]:
        raise SourceError(where, "a record without a pseudonym", "give one to every record, or leave the column away")
    return Entry(
        record=cells["pseudonym"] or cells["record"],
        origin=cells["pseudonym"] or None,
        place=_place(cells["record"], where, root),
        split=cells["split"].lower() or None,
        patient=cells["patient"] or None,
        report=cells["report"] or None,
        labels=tuple(dict.fromkeys(label.strip() for label in cells["labels"].split(";") if label.strip())),
        age=_age(cells["age"], where),
        sex=_SEXES.get(cells["sex"].lower()),
    )


def _place(record: str, where: str, root: Path) -> str:
    """The record's path below `root`; a table must not make us read anything else."""
    place = PurePosixPath(record)
    if not record or "\0" in record:
        raise SourceError(where, "no record is named", "give its path below the folder")
    if place.is_absolute() or ".." in place.parts or not (root / place).parent.resolve().is_relative_to(root):
        raise SourceError(where, "the record's path leaves the folder", "give paths below the folder")
    return place.as_posix()


def _age(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0 <= age <= 150:
        raise SourceError(where, "an age that cannot be read", "give years, or leave it empty")
    return age
