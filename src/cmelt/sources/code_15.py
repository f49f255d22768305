"""CODE-15 %: 345,779 ECGs of Brazilian primary care with six diagnoses, in 18 HDF5 parts and one table.

The table is not in the order of the parts: exams are found by their id. Parts may have one row more than exams, all zeros.
There are no reports. Patients come several times, so the split is by patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError, SourceError
from cmelt.records.record import LEADS, Record
from cmelt.records.units import refuse_impossible_amplitude
from cmelt.sources.about import About, how_to_get, require_files
from cmelt.sources.code_tracings import CLASSES, RATE, UNIT_NOTE, Tracings, open_tracings, read_tracing, warnings_of
from cmelt.sources.entry_table import EntryTable
from cmelt.sources.source import Entry, Listing
from cmelt.sources.tables import file_stamp

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "exams.csv"
_PART = re.compile(r"exams_part([0-9]{1,3})\.hdf5")
_FLAGS = (*CLASSES, "normal_ecg")
_COLUMNS = ("exam_id", "age", "is_male", *_FLAGS, "patient_id", "trace_file")
_TRUE = ("True", "true", "TRUE", "1", "1.0")
_FALSE = ("False", "false", "FALSE", "0", "0.0", "")


@dataclass(frozen=True)
class Code15:
    """The dataset unpacked at `folder`: `exams.csv` beside `exams_part0.hdf5` … `exams_part17.hdf5`, or some of these."""

    folder: str
    rate: float = 100.0
    name: str = "code-15"
    about: ClassVar[About] = About(
        title="CODE-15 % 1.0.0",
        records=345_779,
        patients=233_770,
        signals="12 leads, 400 Hz, 7 to 10 s; six diagnoses, no reports",
        licence="CC BY 4.0",
        where="https://zenodo.org/records/4916206",
        citation="Ribeiro, Paixao, Lima, Ribeiro, Pinto Filho, Gomes, Oliveira, Meira Jr, Schön, Ribeiro: CODE-15%: a large "
        "scale annotated dataset of 12-lead ECGs (version 1.0.0). Zenodo, 2021",
        files=((TABLE, "a row an exam"), ("exams_part*.hdf5", "tracings, 18 parts; each comes as a .zip of its own")),
        download="zenodo:4916206",
    )

    @property
    def settings(self) -> Mapping[str, str]:
        """Nothing is chosen about it."""
        return {}

    def entries(self) -> Listing:
        """The table's exams whose tracing lies in this copy, by part and row; the others are counted."""
        root = Path(self.folder)
        require_files(self.about, root, (TABLE,))
        exams = _read_table(root / TABLE)
        parts = {name: path for name in exams.names if (path := part_path(root, name)) is not None}
        if not parts:
            unpack = "unpack exams_part0.zip and its like beside it; " if next(root.glob("exams_part*.zip"), None) else ""
            raise SourceError(root, f"none of the parts that {TABLE} names is here", unpack + how_to_get(self.about))
        warnings: list[str] = []
        rows = np.full(len(exams.ids), -1, dtype=np.int64)
        for name, path in parts.items():
            mine = np.flatnonzero(exams.parts == exams.names.index(name))
            tracings = open_tracings(path, "code-15")
            warnings += warnings_of(name, tracings, "code-15")
            rows[mine] = _rows_of(exams.ids[mine], path, tracings, warnings)
        absent = [name for name in exams.names if name not in parts]
        if absent:
            warnings.append(f"{len(absent)} of {len(exams.names)} parts are not in this copy: {', '.join(absent[:4])} …")
        listed = EntryTable.collect(exams.entries(rows))
        if not len(listed):
            raise SourceError(root, f"none of the exams of {TABLE} is in the parts", "fetch table and parts of one version")
        return Listing(listed, len(rows) - len(listed), {"unit": UNIT_NOTE}, tuple(warnings))

    def read(self, entry: Entry) -> Record:
        """The tracing of `entry`, padding cut away."""
        name, _, row = entry.place.rpartition(":")
        path = part_path(Path(self.folder), name)
        if path is None:
            raise RecordError(entry.place, "the part is no longer there", how_to_get(self.about))
        signal = read_tracing(path, "code-15", int(row), entry.place)
        refuse_impossible_amplitude(signal, entry.place)
        return Record(
            signal, RATE, LEADS, entry.record, None, entry.patient, entry.age, entry.sex, entry.labels, entry.place
        )  # fmt: skip

    def stamp(self, entry: Entry) -> str:
        """Size and time of the part."""
        name = entry.place.rpartition(":")[0]
        return file_stamp(part_path(Path(self.folder), name) or Path(self.folder) / "absent")


def part_path(root: Path, name: str) -> Path | None:
    """Where part `name` lies: in the folder itself, or in one of its own, as some programs unpack it."""
    if not _PART.fullmatch(name):
        return None
    places = (root / name, root / name.removesuffix(".hdf5") / name)
    return next((place for place in places if place.is_file()), None)


@dataclass(frozen=True)
class _Exams:
    """The table in columns, a row an exam.

    Attributes:
        ids, parts: int64 [n]; parts as places in `names`.
        names: of the parts' files.
        flags: bool [n, 7], by `_FLAGS`.
        ages: float64 [n], NaN where not known.
        male: int8 [n], -1 where not known.
        patients: text [n].
    """

    ids: NDArray[np.int64]
    parts: NDArray[np.int64]
    names: tuple[str, ...]
    flags: NDArray[np.bool_]
    ages: NDArray[np.float64]
    male: NDArray[np.int8]
    patients: pa.ChunkedArray

    def entries(self, rows: NDArray[np.int64]) -> Iterator[Entry]:
        """An entry an exam that has a row in its part, in the order of the parts, which disks read fastest."""
        numbers = [int(matched[1]) if (matched := _PART.fullmatch(name)) else -1 for name in self.names]
        part_numbers = np.array(numbers, dtype=np.int64)[self.parts]
        order = np.lexsort((rows, part_numbers))
        labels = [f"code:{'NORMAL' if flag == 'normal_ecg' else flag}" for flag in _FLAGS]
        for place in order[rows[order] >= 0]:
            age, male = self.ages[place], self.male[place]
            yield Entry(
                record=str(self.ids[place]),
                place=f"{self.names[self.parts[place]]}:{rows[place]}",
                patient=self.patients[int(place)].as_py() or None,
                labels=tuple(label for label, holds in zip(labels, self.flags[place], strict=True) if holds),
                age=float(age) if 0 <= age <= 130 else None,
                sex=None if male < 0 else "male" if male else "female",
            )


def _read_table(path: Path) -> _Exams:
    """The table at `path`. Raises SourceError: not as published."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    types: dict[str, Any] = dict.fromkeys(("is_male", *_FLAGS, "trace_file"), pa.dictionary(pa.int32(), pa.string()))
    types |= {"exam_id": pa.int64(), "age": pa.float64(), "patient_id": pa.string()}
    how = csv.ConvertOptions(column_types=types, include_columns=list(_COLUMNS), strings_can_be_null=False)
    try:
        table = csv.read_csv(path, convert_options=how).unify_dictionaries().combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        fault = "is not the table of CODE-15 %: " + re.sub(r"\s+", " ", str(error))[:120]
        raise SourceError(path, fault, "fetch it again") from None
    if not table.num_rows:
        raise SourceError(path, "the table has no rows", "fetch it again")
    flags = np.stack([_truth(table[name], name, path) == 1 for name in _FLAGS], axis=1)
    files = table["trace_file"].combine_chunks()
    names = tuple(text.strip() for text in files.dictionary.to_pylist())
    unknown = [name for name in names if not _PART.fullmatch(name)]
    if unknown:
        raise SourceError(path, "names parts that are not exams_part0.hdf5 and its like", "fetch the table again")
    ids = table["exam_id"].to_numpy()
    if table["exam_id"].null_count or len(np.unique(ids)) < len(ids):
        raise SourceError(path, "has exams without id, or one id twice", "fetch the table again")
    ages = table["age"].to_numpy(zero_copy_only=False).astype(np.float64)
    patients = pc.replace_substring_regex(table["patient_id"], r"\.0$", "")
    return _Exams(
        ids, files.indices.to_numpy().astype(np.int64), names, flags, ages, _truth(table["is_male"], "is_male", path), patients
    )


def _truth(column: pa.ChunkedArray, name: str, path: Path) -> NDArray[np.int8]:
    """1 true, 0 false, -1 not said. Raises SourceError: a word that is none of these."""
    coded = column.combine_chunks()
    words = [str(word).strip() for word in coded.dictionary.to_pylist()]
    strange = [word for word in words if word not in _TRUE + _FALSE]
    if strange:
        raise SourceError(path, f"column {name} holds what is neither true nor false", "fetch the table again")
    meanings = np.array([1 if word in _TRUE else 0 if word else -1 for word in words] or [-1], dtype=np.int8)
    return meanings[coded.indices.to_numpy()]


def _rows_of(ids: NDArray[np.int64], path: Path, tracings: Tracings, warnings: list[str]) -> NDArray[np.int64]:
    """The row of each of `ids` in the part at `path`; -1 where it has none."""
    file_ids = tracings.array.file.get("exam_id")
    count = len(tracings.array)
    if file_ids is None or file_ids.shape != (count,) or file_ids.dtype.kind not in "iu":
        raise SourceError(path, "holds no whole number `exam_id` for each of its tracings", "fetch it again")
    found = file_ids[()].astype(np.int64)
    if count > 1 and not np.asarray(tracings.array[count - 1]).any():
        found = found[:-1]  # the one row more, all zeros; its id is no exam's
    order = np.argsort(found, kind="stable")
    if (np.diff(found[order]) == 0).any():
        raise SourceError(path, "holds an exam twice", "fetch it again")
    places = np.minimum(np.searchsorted(found, ids, sorter=order), max(len(found) - 1, 0))
    rows = order[places] if len(found) else np.zeros(len(ids), dtype=np.int64)
    known = found[rows] == ids if len(found) else np.zeros(len(ids), dtype=bool)
    unlisted = len(found) - int(known.sum())
    if unlisted:
        warnings.append(f"{path.name}: {unlisted} tracings are of no exam that {TABLE} has in it; left out")
    return np.where(known, rows, -1)
