"""MIMIC-IV-ECG 1.0: 800,035 ECGs with the machine's statements, 500 Hz, as published on PhysioNet; parts of it as well.

The store must not know who the patients are, and the published paths carry their numbers: what is written down of a path is
masked (`files/pNNNN/pSUBJECT/s40689238/40689238`); the study's number, which stays, leads to it by `record_list.csv`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError, SourceError
from cmelt.records.readers import physionet
from cmelt.records.readers.physionet_header import Header, read_header
from cmelt.records.record import Record
from cmelt.sources.about import About, require_files
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.mimic_iv_ecg_measurements import measured
from cmelt.sources.mimic_iv_ecg_tables import column_of, header_of, read_people, read_reports, read_splits, stream
from cmelt.sources.source import Entry, Listing
from cmelt.sources.tables import file_stamp

if TYPE_CHECKING:
    import pyarrow as pa

RECORD_LIST = "record_list.csv"
MEASUREMENTS = "machine_measurements.csv"
PATIENTS = ("patients.csv", "patients.csv.gz")

#: The machine doubted the recording ("data quality may affect interpretation", a suspected lead reversal, …).
QUALITY_WARNING = "mimic:quality-warning"
#: MIMIC-IV writes 91 for every age over 89, and later ages follow from it; as elsewhere, 90 stands for all of them.
OVER_89 = 90
#: Every record of the database has so many samples at this rate, Hz; one with another rate has an altered header (its
#: checksums cover samples alone).
SAMPLES, RATE = 5000, 500.0

_LEAVES = r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\x00"
_SUBJECT = re.compile(r"subject_id\W+([0-9]+)")
_BATCH = 20_000


@dataclass(frozen=True)
class MimicIvEcg:
    """The database, or a part of it, unpacked at `folder`; `splits` is a CSV of subject_id or study_id and split."""

    folder: str
    rate: float = 100.0
    splits: str | None = None
    name: str = "mimic-iv-ecg"
    about: ClassVar[About] = About(
        title="MIMIC-IV-ECG 1.0",
        records=800_035,
        patients=161_352,
        signals="12 leads, 500 Hz, 10 s",
        gigabytes=90.4,
        licence="ODbL 1.0",
        where="https://physionet.org/content/mimic-iv-ecg/1.0/",
        citation="Gow, Pollard, Nathanson, Johnson, Moody, Fernandes, Greenbaum, Waks, Eslami, Carbonati, Chaudhari, Herbst, "
        "Moukheiber, Berkowitz, Mark, Horng: MIMIC-IV-ECG, Diagnostic Electrocardiogram Matched Subset (version 1.0). "
        "PhysioNet, 2023",
        files=(
            (RECORD_LIST, "a row a study: patient, time, path"),
            (MEASUREMENTS, "a row a study: the machine's statements and measurements"),
            ("files", "the records: files/pNNNN/pSUBJECT/sSTUDY/STUDY.hea and .dat"),
        ),
        download="physionet:mimic-iv-ecg/1.0",
    )

    @property
    def settings(self) -> Mapping[str, str]:
        """Whose splits."""
        return {"splits": "a list" if self.splits else "by patient"}

    def entries(self) -> Listing:
        """Every row of `record_list.csv` whose study lies in this copy, with its report; the others are counted."""
        root = Path(self.folder)
        require_files(self.about, root, (RECORD_LIST, MEASUREMENTS))
        key, splits = read_splits(Path(self.splits)) if self.splits else ("subject_id", {})
        studies, warnings = _without_doubles(_read_list(root / RECORD_LIST))
        here = _here(self.folder, studies)
        if not here.any():
            raise SourceError(root, f"none of the {len(here)} studies of {RECORD_LIST} is here", "unpack `files` beside it")
        studies, of_others = _with_reports(studies.filter(here), root / MEASUREMENTS)
        if of_others:
            warnings.append(f"{of_others} studies have another patient in {MEASUREMENTS}: their reports are left out")
        if self.splits and (unlisted := _unlisted(studies, key, splits)):
            warnings.append(f"{unlisted} records are not in the list of splits: they are split by a hash of the patient")
        patients = next((root / name for name in PATIENTS if (root / name).is_file()), None)
        batches = _with_people(studies, patients).to_batches(max_chunksize=_BATCH)
        del studies  # the batches hold it, and go one by one
        table = EntryTable.collect(_entries(batches, key, splits))
        notes = {"age": "90 stands for every age over 89"} if patients else {}
        return Listing(table, int(np.count_nonzero(~here)), notes, tuple(warnings))

    def read(self, entry: Entry) -> Record:
        """The signal of `entry` with the machine's report and measurements."""
        path, where = Path(f"{self.folder}/{entry.place}.hea"), entry.origin or entry.record
        header = read_header(path)
        record = physionet.read_behind(header, path)
        if record.signal.shape[1] == SAMPLES and record.rate != RATE:
            raise RecordError(where, "its rate is not the 500 Hz of every record of MIMIC-IV-ECG", "fetch the header again")
        if (named := _subject_of(header)) is not None and named != entry.patient:
            raise RecordError(where, f"its header names another patient than {RECORD_LIST}", "fetch both again")
        return replace(
            record,
            identifier=entry.record,
            report=entry.report,
            patient=entry.patient,
            age=entry.age,
            sex=entry.sex,
            labels=entry.labels,
            origin=where,
            measurements=measured(Path(self.folder) / MEASUREMENTS).of(entry.record),
        )

    def stamp(self, entry: Entry) -> str:
        """Sizes and times of header and samples."""
        stem = f"{self.folder}/{entry.place}"
        return file_stamp(f"{stem}.hea", f"{stem}.dat")


def masked(path: str, subject: str) -> str:
    """`path` without the patient's number, nor the first half of it: `files/pNNNN/pSUBJECT/s1/1`."""
    names = {subject: "SUBJECT", f"p{subject}": "pSUBJECT", f"p{subject[:4]}": "pNNNN"}
    return "/".join(names.get(part, part) for part in path.split("/"))


def _subject_of(header: Header) -> str | None:
    """The patient that the header's comment names ("# <subject_id>: 10000032")."""
    found = (_SUBJECT.search(comment) for comment in header.comments)
    return next((named[1] for named in found if named), None)


def _read_list(path: Path) -> pa.Table:
    """The rows of `record_list.csv`: text columns study_id, subject_id, path (without extension) and year ('' where unsaid).

    Raises:
        SourceError: as `stream`; no rows; rows without a study, patient or path; a path that leaves the folder.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    dated = "ecg_time" in header_of(path)
    parts = []
    for batch in stream(path, ("study_id", "subject_id", "path", *(("ecg_time",) if dated else ()))):
        stem = pc.replace_substring_regex(pc.utf8_trim_whitespace(batch.column("path")), r"^(\./)+|\.(hea|dat)$", "")
        if pc.any(pc.match_substring_regex(stem, _LEAVES)).as_py():
            raise SourceError(path, "a path that leaves the folder", "fetch the table again: paths lie below the folder")
        names = {name: column_of(batch, name) for name in ("study_id", "subject_id")} | {"path": stem}
        if any(pc.any(pc.equal(column, "")).as_py() for column in names.values()):
            raise SourceError(path, "rows without a study_id, subject_id or path", "fetch the table again")
        year = pc.utf8_slice_codeunits(batch.column("ecg_time"), 0, 4) if dated else pa.repeat("", batch.num_rows)
        parts.append(pa.table(names | {"year": year}))
    if not sum(map(len, parts)):
        raise SourceError(path, "the table has no rows", "fetch the table again")
    return pa.concat_tables(parts)


def _without_doubles(studies: pa.Table) -> tuple[pa.Table, list[str]]:
    """One row a study, and warnings. A study that is listed with two patients or two paths is left out: which is true?"""
    import pyarrow.compute as pc

    if pc.count_distinct(studies["study_id"]).as_py() == len(studies):
        return studies, []
    codes = studies["study_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first_of_code = np.unique(codes, return_index=True)
    first = first_of_code[codes]
    differs = np.zeros(len(studies), dtype=np.bool_)
    for name in ("subject_id", "path"):
        differs |= pc.not_equal(studies[name], studies[name].take(first)).to_numpy()
    torn = np.isin(codes, np.unique(codes[differs]))
    again = int(np.count_nonzero((first != np.arange(len(studies))) & ~torn))
    counts = ((again, "are listed more than once"), (int(np.count_nonzero(torn)), "contradict one another: all left out"))
    warnings = [f"{count} rows of {RECORD_LIST} {what}" for count, what in counts if count]
    return studies.filter((first == np.arange(len(studies))) & ~torn), warnings


def _here(folder: str, studies: pa.Table) -> NDArray[np.bool_]:
    """Whether each study is in this copy, [n] bool: its own folder, or its header where it has no folder of its own.

    A folder without a header is a broken record, to be named among those; a folder that was never fetched is none. Looking
    each one up was measured at a third of the time of listing the folders above.
    """
    import pyarrow.compute as pc

    path = studies["path"]
    header = pc.binary_join_element_wise(path, ".hea", "")
    own = pc.replace_substring_regex(path, r"/[^/]+$", "")
    places = pc.if_else(pc.match_substring_regex(path, r"/s\w+/[^/]+$"), own, header)
    looked_up = (os.path.exists(f"{folder}/{place}") for chunk in places.chunks for place in chunk.to_pylist())
    return np.fromiter(looked_up, dtype=np.bool_, count=len(places))


def _with_reports(studies: pa.Table, path: Path) -> tuple[pa.Table, int]:
    """`studies` with the columns report and doubtful, and how many reports were of another patient.

    The two tables are in different orders, and either may lack studies of the other.
    """
    import pyarrow.compute as pc

    reports = read_reports(path)
    row = pc.index_in(studies["study_id"], value_set=reports.study)
    same = pc.equal(reports.patient.take(row), studies["subject_id"])  # null where there is no row
    of_others = int(pc.sum(pc.invert(same)).as_py() or 0)
    row = pc.if_else(pc.fill_null(same, False), row, None)
    joined = studies.append_column("report", reports.report.take(row))
    return joined.append_column("doubtful", reports.doubtful.take(row)), of_others


def _unlisted(studies: pa.Table, key: str, splits: Mapping[str, str]) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    return len(studies) - int(pc.sum(pc.is_in(studies[key], value_set=pa.array(list(splits), pa.string()))).as_py() or 0)


def _with_people(studies: pa.Table, path: Path | None) -> pa.Table:
    """`studies` with the columns age (at the ECG; null where unknown) and sex in place of year, from MIMIC-IV's patients."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if path is None:
        nothing = pa.nulls(len(studies))
        return studies.drop_columns("year").append_column("age", nothing).append_column("sex", nothing)
    people = read_people(path)
    row = pc.index_in(studies["subject_id"], value_set=people.patient)
    year = studies["year"]
    year = pc.cast(pc.if_else(pc.match_substring_regex(year, r"^\d{4}$"), year, None), pa.int64())
    age = pc.add(people.age.take(row), pc.subtract(year, people.year.take(row)))
    age = pc.if_else(pc.greater_equal(age, 0), pc.min_element_wise(age, OVER_89, skip_nulls=False), None)
    aged = studies.drop_columns("year").append_column("age", pc.cast(age, pa.float64()))
    return aged.append_column("sex", people.sex.take(row))


def _entries(batches: list[pa.RecordBatch], key: str, splits: Mapping[str, str]) -> Iterator[Entry]:
    """The rows of `batches`, which are given up one by one: columns and entries together would need twice the memory."""
    batches.reverse()
    while batches:
        for row in batches.pop().to_pylist():
            yield Entry(
                record=row["study_id"],
                place=row["path"],
                split=splits.get(row[key]),
                patient=row["subject_id"],
                report=row["report"] or None,
                labels=(QUALITY_WARNING,) if row["doubtful"] else (),
                age=row["age"],
                sex=row["sex"],
                origin=masked(row["path"], row["subject_id"]),
            )
