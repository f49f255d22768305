"""CPSC2018: 6,877 ECGs of 6 to 60 s in nine classes, as the Chinese challenge published them or as the CinC Challenge did.

The original holds MATLAB structs and REFERENCE.csv (classes by number), the CinC Challenge's `cpsc_2018` headers with
SNOMED CT codes. Both give the same labels and the same assembled report; there are no written ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cmelt.errors import SourceError
from cmelt.records.record import Record
from cmelt.sources.about import About, require_files
from cmelt.sources.challenge_records import find_records, folders_below, read_comments, read_record, record_stamp
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.snomed import REPORT_OPENING, snomed_labels
from cmelt.sources.source import Entry, Listing
from cmelt.sources.split_lists import SplitLists, read_split_lists
from cmelt.sources.tables import read_csv
from cmelt.sources.vocabularies import CPSC2018, cpsc_labels

REFERENCE = "REFERENCE.csv"
RECORD_NAME = re.compile(r"A(000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-5]\d{3}|6[0-7]\d\d|68[0-6]\d|687[0-7])")  # A0001 to A6877

_BY_NUMBER = {one.number: one.code for one in CPSC2018}
_LABEL_COLUMNS = ("First_label", "Second_label", "Third_label")


@dataclass(frozen=True)
class Cpsc2018:
    """The records below `folder`. `splits` are the paths of lists such as MERL's icbeb_train.csv, _val.csv and _test.csv.

    With lists, only listed records are taken; without, the split follows from the signal, since no patients are told.
    """

    folder: str
    rate: float = 100.0
    splits: tuple[str, ...] = ()
    name: str = "cpsc2018"
    about: ClassVar[About] = About(
        title="CPSC2018 (China Physiological Signal Challenge 2018, its open records)",
        records=6_877,
        signals="12 leads, 500 Hz, 6 to 60 s",
        gigabytes=1.3,
        licence="open for research, as the challenge published it; CC BY 4.0 in the CinC Challenge's copy",
        where="http://2018.icbeb.org/Challenge.html, or training/cpsc_2018 of https://physionet.org/content/challenge-2021/1.0.3/",
        citation="Liu, Liu, Zhao, Zhang, Wu, Xu, et al.: An Open Access Database for Evaluating the Algorithms of "
        "Electrocardiogram Rhythm and Morphology Abnormality Detection. J Med Imaging Health Inform 8(7), 2018",
        files=(
            ("**/A*.mat", "the signals, A0001.mat to A6877.mat"),
            ("**/A*.hea", "their headers, in the CinC Challenge's copy"),
            (f"**/{REFERENCE}", "their classes, in the original"),
        ),
    )

    @property
    def settings(self) -> Mapping[str, str]:
        """The lists' names."""
        return {"splits": ", ".join(sorted(Path(path).name for path in self.splits)) or "none"}

    def entries(self) -> Listing:
        """Every record with its classes, sorted by name.

        Raises:
            SourceError: signals, or both headers and REFERENCE.csv, are missing; a table or list that cannot be read.
        """
        root = Path(self.folder)
        require_files(self.about, root, ())
        headers = find_records(root, RECORD_NAME)
        lists = read_split_lists(self.splits, RECORD_NAME, [one.name for one in CPSC2018]) if self.splits else None
        if headers.places:
            places, lacking = headers.places, set(headers.incomplete)
            describe = _from_header(root)
            layout = "headers of the CinC Challenge"
        else:
            signals = find_records(root, RECORD_NAME, header=False).places
            if not signals:
                require_files(self.about, root, ("**/A*.mat", f"**/{REFERENCE}"))
            classes = _read_references(root, self.about)
            places, lacking = {name: place for name, place in signals.items() if name in classes}, classes.keys() - signals.keys()
            describe = _from_reference(classes)
            layout = REFERENCE
        if lists is not None:
            lacking = {name for name in lists.splits if name not in places}
            places = {name: place for name, place in places.items() if name in lists.splits}
        if not places:
            raise SourceError(root, "no record of CPSC2018 is here whole", "give the folder of its records, and lists of them")
        splits = lists.splits if lists else {}
        entries = EntryTable.collect(
            _entry(name, place, splits.get(name), *describe(name, place)) for name, place in places.items()
        )
        return Listing(entries, len(lacking), _notes(layout), _warnings(entries, lists, len(headers.twice)))

    def read(self, entry: Entry) -> Record:
        """The signal of `entry`, whole; age and sex from the struct in the original."""
        if (Path(self.folder) / f"{entry.place}.hea").is_file():
            return read_record(self.folder, entry)
        return read_record(self.folder, entry, ".mat")

    def stamp(self, entry: Entry) -> str:
        """Sizes and times of header and samples."""
        return record_stamp(self.folder, entry)


#: What a layout says of a record (name, place): its codes, age and sex.
_Describe = Callable[[str, str], tuple[tuple[str, ...], float | None, str | None]]


def _from_header(root: Path) -> _Describe:
    def describe(_: str, place: str) -> tuple[tuple[str, ...], float | None, str | None]:
        said = read_comments(root / f"{place}.hea")
        return said.codes, said.age, said.sex

    return describe


def _from_reference(classes: Mapping[str, tuple[int, ...]]) -> _Describe:
    def describe(name: str, _: str) -> tuple[tuple[str, ...], float | None, str | None]:
        return tuple(_BY_NUMBER[number] for number in classes[name]), None, None

    return describe


def _read_references(root: Path, about: About) -> dict[str, tuple[int, ...]]:
    """Record → its class numbers, from every REFERENCE.csv below `root`: one for all, or one in each training set's folder."""
    paths = [Path(folder) / REFERENCE for folder, files in folders_below(root) if REFERENCE in files]
    if not paths:
        require_files(about, root, ("**/A*.hea", f"**/{REFERENCE}"))
    classes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        for number, row in enumerate(read_csv(path, ("Recording", *_LABEL_COLUMNS)).to_dict("records"), start=2):
            name, where = str(row["Recording"]).strip(), f"{path} (row {number})"
            if not RECORD_NAME.fullmatch(name):
                raise SourceError(where, "a record that CPSC2018 does not have", f"fetch {REFERENCE} again")
            given = tuple(_class_number(str(row[column]), where) for column in _LABEL_COLUMNS if str(row[column]).strip())
            if classes.setdefault(name, given) != given:
                raise SourceError(where, "a record with other classes than before", f"keep one {REFERENCE}")
    return classes


def _class_number(cell: str, where: str) -> int:
    """ "2", or "2.0" as tables with gaps have it."""
    number = cell.strip().removesuffix(".0")
    if not number.isdigit() or int(number) not in _BY_NUMBER:
        raise SourceError(where, "a class that is not 1 to 9", f"fetch {REFERENCE} again")
    return int(number)


def _entry(name: str, place: str, split: str | None, codes: tuple[str, ...], age: float | None, sex: str | None) -> Entry:
    words = [one.words for one in CPSC2018 if one.code in codes]
    return Entry(
        record=name,
        place=place,
        split=split,
        report=REPORT_OPENING + "; ".join(words) if words else None,
        labels=tuple(sorted({*snomed_labels(codes), *cpsc_labels(codes)})),
        age=age,
        sex=sex,
    )


def _notes(layout: str) -> dict[str, str]:
    return {
        "classes": f"from {layout}",
        "report": "assembled from the names of the record's classes; not written by a clinician",
        "patients": "not told; records of one patient may lie in several splits",
    }


def _warnings(entries: EntryTable, lists: SplitLists | None, twice: int) -> tuple[str, ...]:
    found = []
    if twice:
        found.append(f"{twice} records lie in several folders; the first folder is taken")
    if lists is not None and lists.columns:
        asked = {f"cpsc:{name}" for name in lists.columns}
        other = sum(asked & set(entry.labels) != {f"cpsc:{name}" for name in lists.labels[entry.record]} for entry in entries)
        if other:
            found.append(f"{other} records have other classes in the split lists than here; those here are kept")
    return tuple(found)
