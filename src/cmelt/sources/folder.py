"""Your own archive: a tree of ECG files, and a table (CSV or parquet) of what is known about them.

Columns: `record` (path below the folder, without extension) and, where there are, `patient`, `report`, `labels` (`;` between),
`split` (train, validation, test), `age`, `sex`. Without a table, every WFDB record of the tree is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from cmelt.errors import SourceError
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.record import Record
from cmelt.sources.about import About
from cmelt.sources.source import SPLITS, Entry, Listing
from cmelt.sources.tables import file_stamp, read_csv, read_parquet

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("record", "patient", "report", "labels", "split", "age", "sex")
_SEXES: Mapping[str, str] = {"m": "male", "male": "male", "f": "female", "female": "female"}


@dataclass(frozen=True)
class Folder:
    """The tree at `folder` with its `table`; without one, every `.hea` below."""

    folder: str
    table: str | None = None
    rate: float = 100.0
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
        """Whether there was a table."""
        return {"table": "yes" if self.table else "no"}

    def entries(self) -> Listing:
        """The rows of the table, in its order; or the records of the tree, sorted."""
        root = Path(self.folder)
        if not root.is_dir():
            raise SourceError(root, "no such folder", "give the folder that holds the records")
        if self.table is None:
            places = sorted(path.relative_to(root).as_posix().removesuffix(".hea") for path in root.rglob("*.hea"))
            if not places:
                raise SourceError(root, "holds no WFDB header (.hea)", "give the folder that holds the records")
            return Listing(tuple(Entry(place, place) for place in places))
        path = Path(self.table)
        table = read_parquet(path, ("record",)) if path.suffix == ".parquet" else read_csv(path, ("record",))
        return _listing(table, path, root)

    def read(self, entry: Entry) -> Record:
        """The signal of `entry`; what the table says goes before what the file says."""
        record = read_ecg(Path(self.folder) / entry.place, ReadOptions(identity=True))
        return replace(
            record,
            identifier=entry.record,
            origin=entry.place,
            report=entry.report or record.report,
            patient=entry.patient or record.patient,
            age=record.age if entry.age is None else entry.age,
            sex=entry.sex or record.sex,
            labels=entry.labels or record.labels,
        )

    def stamp(self, entry: Entry) -> str:
        """Sizes and times of every file that bears the record's name."""
        stem = Path(self.folder) / entry.place
        return file_stamp(stem, *(stem.with_name(stem.name + suffix) for suffix in (".hea", ".dat", ".mat")))


def _listing(table: pd.DataFrame, path: Path, root: Path) -> Listing:
    rows = table.to_dict("records")
    if not rows:
        raise SourceError(path, "the table has no rows", "list the records in it")
    resolved = root.resolve()
    # Numbered as a spreadsheet shows them: the first row below the heading is 2.
    entries = tuple(_entry(row, f"{path} (row {number})", resolved) for number, row in enumerate(rows, start=2))
    twice = [name for name, count in Counter(entry.record for entry in entries).items() if count > 1]
    if twice:
        raise SourceError(path, f"{len(twice)} records are listed more than once", "keep one row a record")
    unused = [str(column) for column in table.columns if column not in COLUMNS]
    warnings = (f"columns of the table that are not used: {', '.join(unused)}",) if unused else ()
    return Listing(entries, warnings=warnings)


def _entry(row: Mapping[Any, Any], where: str, root: Path) -> Entry:
    cells = {column: str(row.get(column, "")).strip() for column in COLUMNS}
    if cells["split"] and cells["split"].lower() not in SPLITS:
        raise SourceError(where, "a split that is none of ours", f"write {', '.join(SPLITS)}, or leave it empty")
    if cells["sex"] and cells["sex"].lower() not in _SEXES:
        raise SourceError(where, "a sex that cannot be read", "write female or male, or leave it empty")
    return Entry(
        record=cells["record"],
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
        raise SourceError(where, "no record is named", "give its path below the folder, without extension")
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
