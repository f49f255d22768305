"""The tables of MIMIC-IV-ECG, read as a stream: 800,035 rows stay in Arrow's columns.

Reports are the machine's statements, one a line. Lines that speak of the recording rather than of the heart are taken out:
a model that reads "data quality may affect interpretation" beside a rhythm learns what the cart thought of the electrodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt.errors import SourceError
from cmelt.sources.source import SPLITS

if TYPE_CHECKING:
    import pyarrow as pa

#: Statements that doubt the signal, as the carts write them (any case, with or without dashes and stars).
_DOUBTS = re.compile(
    r"data quality|quality data|unsuitable for analysis|please repeat|analysis error|measurement error|lead reversal"
    r"|electrode reversal|leads? (?:is|are) missing|missing leads?|omitted from analysis|only .{1,20} analyzed"
    r"|sequence error|pacer detection suspended|technically unsatisfactory|^\W*(?:artifact|baseline wander)",
    re.IGNORECASE,
)
#: Statements about how the interpretation was made.
_NOTES = re.compile(
    r"made without know|age not entered|sex not entered|pediatric criteria used|pediatric ecg interpretation", re.IGNORECASE
)
_REPORT_COLUMN = re.compile(r"^report_(\d+)$")
_BLOCK_BYTES = 1 << 20
_SPLIT_WORDS: Mapping[str, str] = {name: name for name in SPLITS} | {
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
}


def stream(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The `columns` of the CSV at `path` as text ('' where empty), batch by batch. A gzip file is read as it is.

    Raises:
        SourceError: it is not there, lacks one of the columns, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.csv as csv

    lacking = [column for column in columns if column not in header_of(path)]
    if lacking:
        raise SourceError(path, f"no column {', '.join(lacking)}", "fetch the table again, or name the columns as published")
    try:
        with csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                include_columns=list(columns), column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
            ),
        ) as batches:
            yield from batches
    except (pa.ArrowException, OSError, EOFError) as error:
        raise SourceError(path, f"cannot be read as a table ({type(error).__name__})", "fetch the table again") from None


def header_of(path: Path) -> list[str]:
    """The names of the columns of the CSV at `path`."""
    import csv
    import gzip

    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream), [])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(path, f"cannot be read as a table ({type(error).__name__})", "fetch the table again") from None


def column_of(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of identifiers: no blanks around them, and no ".0" that a spreadsheet or pandas appended to whole numbers."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(pc.utf8_trim_whitespace(batch.column(name)), r"^(\d+)\.0$", r"\1")


@dataclass(frozen=True)
class Reports:
    """What `machine_measurements.csv` says in words, a row a study.

    Attributes:
        study, patient: text [n].
        report: text [n], '' where nothing was said about the heart.
        doubtful: bool [n], whether the machine doubted the recording.
    """

    study: pa.ChunkedArray
    patient: pa.ChunkedArray
    report: pa.ChunkedArray
    doubtful: pa.ChunkedArray


def read_reports(path: Path) -> Reports:
    """The reports of `machine_measurements.csv`, whatever the order of its rows and the number of its report columns."""
    import pyarrow as pa

    found = [(int(match[1]), name) for name in header_of(path) if (match := _REPORT_COLUMN.match(name))]
    if not found:
        raise SourceError(path, "no column report_0", "fetch the table again")
    columns = [name for _, name in sorted(found)]
    parts: list[tuple[Any, ...]] = []
    for batch in stream(path, ("study_id", "subject_id", *columns)):
        report, doubtful = _statements([batch.column(name) for name in columns])
        parts.append((column_of(batch, "study_id"), column_of(batch, "subject_id"), report.dictionary_encode(), doubtful))
    kinds = (pa.string(), pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.bool_())
    study, patient, report, doubtful = (pa.chunked_array([part[k] for part in parts], kind) for k, kind in enumerate(kinds))
    return Reports(study, patient, report.unify_dictionaries(), doubtful)


def _statements(columns: Sequence[pa.Array]) -> tuple[pa.Array, pa.Array]:
    """Report [n] ('' where nothing is told) and doubt [n] of the report columns [k][n] of one batch."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kept, doubts = [], []
    for column in columns:
        cells = column.dictionary_encode()  # few statements, many times
        lines = [" ".join(line.split()) for line in cells.dictionary.to_pylist()]
        doubted = [bool(_DOUBTS.search(line)) for line in lines]
        told = [
            f"\n{line}" if line and not doubt and not _NOTES.search(line) else ""
            for line, doubt in zip(lines, doubted, strict=True)
        ]
        kept.append(pa.array(told, pa.string()).take(cells.indices))
        doubts.append(pa.array(doubted, pa.bool_()).take(cells.indices))
    # No nulls: where every part is null, pyarrow 26 drops the row from the joined column, and all later reports move up.
    joined = pc.utf8_ltrim(pc.binary_join_element_wise(*kept, ""), characters="\n")
    doubtful = doubts[0]
    for doubt in doubts[1:]:
        doubtful = pc.or_(doubtful, doubt)
    return joined, doubtful


@dataclass(frozen=True)
class People:
    """MIMIC-IV's `patients.csv`, a row a patient: age in years in one year of the patient's shifted calendar, and sex.

    Attributes:
        patient, sex: text [n]; sex null where it is neither F nor M.
        age, year: int64 [n], null where the table has no number.
    """

    patient: pa.ChunkedArray
    age: pa.ChunkedArray
    year: pa.ChunkedArray
    sex: pa.ChunkedArray


def read_people(path: Path) -> People:
    """`patients.csv` of MIMIC-IV, as published or gzipped."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[tuple[Any, ...]] = []
    for batch in stream(path, ("subject_id", "gender", "anchor_age", "anchor_year")):
        numbers = [column_of(batch, name) for name in ("anchor_age", "anchor_year")]
        whole = [pc.if_else(pc.match_substring_regex(number, r"^\d{1,4}$"), number, None) for number in numbers]
        sexes = pc.index_in(pc.utf8_upper(column_of(batch, "gender")), value_set=pa.array(["F", "M"]))
        sex = pa.array(["female", "male"]).take(sexes)
        parts.append((column_of(batch, "subject_id"), *(pc.cast(number, pa.int64()) for number in whole), sex))
    kinds = (pa.string(), pa.int64(), pa.int64(), pa.string())
    return People(*(pa.chunked_array([part[k] for part in parts], kind) for k, kind in enumerate(kinds)))


def read_splits(path: Path) -> tuple[str, Mapping[str, str]]:
    """A list of splits: its key ("study_id" where the list has that column, else "subject_id") and the split of each.

    Raises:
        SourceError: neither column, a split of no known name, or two splits for one study or patient.
    """
    if not path.is_file():
        raise SourceError(path, "no such list of splits", "give a CSV with the columns subject_id or study_id, and split")
    key = next((name for name in ("study_id", "subject_id") if name in header_of(path)), None)
    if key is None:
        raise SourceError(path, "no column subject_id or study_id", "name what is split")
    splits: dict[str, str] = {}
    for batch in stream(path, (key, "split")):
        for name, word in zip(column_of(batch, key).to_pylist(), batch.column("split").to_pylist(), strict=True):
            split = _SPLIT_WORDS.get(word.strip().lower())
            if split is None:
                raise SourceError(path, "a split that is none of ours", f"write {', '.join(SPLITS)}")
            if splits.setdefault(name, split) != split:
                raise SourceError(path, f"two splits for one {key}", "keep one row each")
    return key, splits
