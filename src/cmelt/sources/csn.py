"""Chapman–Shaoxing–Ningbo (PhysioNet's ecg-arrhythmia): 45,152 ECGs of 10 s with SNOMED CT codes in the headers.

Labels are twofold: "csn:ACRONYM" from a record's own codes and, where MERL's lists are given, "merl-csn:NAME" as their columns
stand, wrong ones included (see `vocabularies`), so that results can be given both ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cmelt.errors import SourceError
from cmelt.records.record import Record
from cmelt.sources.about import About, require_files
from cmelt.sources.challenge_records import find_records, read_comments, read_record, record_stamp
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.snomed import assembled_report, snomed_labels
from cmelt.sources.source import Entry, Listing
from cmelt.sources.split_lists import SplitLists, read_split_lists
from cmelt.sources.vocabularies import MERL_CSN, csn_labels, csn_names

RECORD_NAME = re.compile(r"JS\d{5}")


@dataclass(frozen=True)
class Csn:
    """The records below `folder`. `splits` are the paths of MERL's chapman_train.csv, chapman_val.csv and chapman_test.csv.

    With lists, only listed records are taken (MERL's are 23,026); without, the split follows from the signal.
    """

    folder: str
    rate: float = 100.0
    splits: tuple[str, ...] = ()
    name: str = "csn"
    about: ClassVar[About] = About(
        title="Chapman–Shaoxing–Ningbo (ecg-arrhythmia 1.0.0)",
        records=45_152,
        patients=45_152,
        signals="12 leads, 500 Hz, 10 s",
        gigabytes=5.5,
        licence="CC BY 4.0",
        where="https://physionet.org/content/ecg-arrhythmia/1.0.0/",
        citation="Zheng, Guo, Chu: A large scale 12-lead electrocardiogram database for arrhythmia study (version 1.0.0). "
        "PhysioNet, 2022",
        files=(("**/JS*.hea", "headers such as WFDBRecords/01/010/JS00001.hea, each with its .mat"),),
        download="physionet:ecg-arrhythmia/1.0.0",
    )

    @property
    def settings(self) -> Mapping[str, str]:
        """The lists' names."""
        return {"splits": ", ".join(sorted(Path(path).name for path in self.splits)) or "none"}

    def entries(self) -> Listing:
        """Every record, or every listed one, with header and signal; sorted by name.

        Raises:
            SourceError: no record is here, or a list cannot be read.
        """
        root = Path(self.folder)
        require_files(self.about, root, ())
        found = find_records(root, RECORD_NAME)
        lists = read_split_lists(self.splits, RECORD_NAME, MERL_CSN) if self.splits else None
        places, lacking = found.places, len(found.incomplete)
        if lists is not None:
            lacking = sum(name not in places for name in lists.splits)
            places = {name: place for name, place in places.items() if name in lists.splits}
        if not places:
            require_files(self.about, root)
            fault = f"none of the {lacking} records that the lists name is here" if lists else "no record is here whole"
            raise SourceError(root, fault, "give the folder that holds WFDBRecords")
        entries = EntryTable.collect(_entry(root, name, place, lists) for name, place in places.items())
        twice = (f"{len(found.twice)} records lie in several folders; the first folder is taken",) if found.twice else ()
        return Listing(entries, lacking, _notes(lists), twice)

    def read(self, entry: Entry) -> Record:
        """The signal of `entry`."""
        return read_record(self.folder, entry)

    def stamp(self, entry: Entry) -> str:
        """Sizes and times of header and samples."""
        return record_stamp(self.folder, entry)


def _entry(root: Path, name: str, place: str, lists: SplitLists | None) -> Entry:
    said = read_comments(root / f"{place}.hea")
    listed = [f"merl-csn:{column}" for column in lists.labels[name]] if lists else []
    return Entry(
        record=name,
        place=place,
        split=lists.splits[name] if lists else None,
        report=assembled_report(said.codes, csn_names()),
        labels=tuple(sorted({*snomed_labels(said.codes), *csn_labels(said.codes), *listed})),
        age=said.age,
        sex=said.sex,
    )


def _notes(lists: SplitLists | None) -> dict[str, str]:
    notes = {
        "report": "assembled from the names of the record's SNOMED CT codes; not written by a clinician",
        "labels": "csn:ACRONYM from the record's own codes; snomed:CODE; cinc:CLASS",
        "patients": "one record a patient, as published",
    }
    if lists is not None and lists.columns:
        notes["merl-csn"] = "as in the lists, whose columns 2AVB, AF, AVB, CR, SA, ST and VB hold other conditions' records too"
    return notes
