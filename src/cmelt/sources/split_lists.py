"""Lists of records that others have split and published, such as MERL's `icbeb_train.csv` or `chapman_test.csv`.

The split is told by the list's name, or row by row by a column `split`. Columns of zeros and ones are labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cmelt.errors import SourceError
from cmelt.sources.tables import read_csv

_SPLITS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test",
}  # fmt: skip
#: What the columns that name the record are called, in the order of preference.
_RECORD_COLUMNS = ("filename", "ecg_path", "record", "recording")


@dataclass(frozen=True)
class SplitLists:
    """What the lists say.

    Attributes:
        splits: record → "train", "validation" or "test".
        labels: record → the names of the label columns that hold 1 for it.
        columns: the label columns there are.
    """

    splits: dict[str, str]
    labels: dict[str, tuple[str, ...]]
    columns: tuple[str, ...]


def read_split_lists(paths: Sequence[str], names: re.Pattern[str], label_columns: Sequence[str]) -> SplitLists:
    """Read the lists at `paths`: records whose name matches `names` in full, labels from those `label_columns` that they have.

    Raises:
        SourceError: no such file, no column that names the record, a name that is none of this source's, a record listed
            twice, a split that cannot be told, or a label cell that is neither 0 nor 1.
    """
    splits: dict[str, str] = {}
    labels: dict[str, tuple[str, ...]] = {}
    columns: dict[str, None] = {}
    for path in map(Path, paths):
        table = read_csv(path, ())
        record_column = next((column for column in _RECORD_COLUMNS if column in table.columns), None)
        if record_column is None:
            raise SourceError(path, "no column names the record", f"one of {', '.join(_RECORD_COLUMNS)} must")
        present = [column for column in label_columns if column in table.columns]
        columns.update(dict.fromkeys(present))
        for number, row in enumerate(table.to_dict("records"), start=2):
            where = f"{path} (row {number})"
            record = _record(str(row[record_column]), names, where)
            if record in splits:
                raise SourceError(where, "a record that is listed twice", "a record belongs to one split: keep one row of it")
            splits[record] = _split(str(row.get("split", "")), path, where)
            labels[record] = tuple(column for column in present if _holds(str(row[column]), column, where))
    return SplitLists(splits, labels, tuple(columns))


def _record(cell: str, names: re.Pattern[str], where: str) -> str:
    """The record's name out of a name or path ("/chapman/WFDBRecords/44/448/JS44279.mat")."""
    name = PurePosixPath(cell.strip().replace("\\", "/")).name
    name = re.sub(r"\.(mat|hea|dat)$", "", name)
    if not names.fullmatch(name):
        raise SourceError(where, "a record that this source does not have", "give the lists of this dataset")
    return name


def _split(cell: str, path: Path, where: str) -> str:
    if cell.strip():
        told = _SPLITS.get(cell.strip().lower())
        if told is None:
            raise SourceError(where, "a split that is none of ours", "write train, validation or test")
        return told
    words = [word for word in re.split(r"[^a-z]+", path.stem.lower()) if word in _SPLITS]
    if not words:
        raise SourceError(path, "does not say which split it lists", "name it …_train.csv, …_val.csv or …_test.csv")
    return _SPLITS[words[-1]]


def _holds(cell: str, column: str, where: str) -> bool:
    if cell.strip() not in ("0", "1", "0.0", "1.0"):
        raise SourceError(where, f"column {column} holds neither 0 nor 1", "fetch the list again")
    return float(cell) == 1.0
