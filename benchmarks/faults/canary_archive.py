"""An archive of a hospital that never was: ECGs with canaries in every format, spoiled ones too, and its tables, good and bad."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import count, cycle
from pathlib import Path

from canary_files import ANY, FORMATS, SPOILED, SPOILED_DICOM, write_good, write_spoiled, write_unknown
from canary_words import Person

from ecg_files import heart, write_ptb_xl

_COLUMNS = (
    "record",
    "pseudonym",
    "patient",
    "report",
    "labels",
    "split",
    "age",
    "sex",
    "patient_name",
    "birth_date",
    "physician",
)
_SPLITS = ("train", "train", "train", "validation", "test")
_ARRAYS = ("NumPy", "MATLAB", "HDF5")
#: ECGs of every patient whose files are good: a word in two reports would be a piece of a vocabulary.
ECGS_EACH = 2
#: No spoiled file has the signal of a good one.
_SPOILED_SEED = 10_000


@dataclass(frozen=True)
class Archive:
    """Where it lies.

    Attributes:
        tree: the folder of ECG files.
        good, spoiled: files of it, with whose they are.
        table: of good and spoiled ones, as CSV; `parquet`: the same; `named`: with pseudonyms.
        bad: tables that are refused.
        torn: a copy of PTB-XL whose table is torn in the middle of a report.
    """

    tree: Path
    good: tuple[tuple[Path, Person], ...]
    spoiled: tuple[tuple[Path, Person], ...]
    table: Path
    parquet: Path
    named: Path
    bad: tuple[Path, ...]
    torn: Path


def write_archive(root: Path, whom: Sequence[Person]) -> Archive:
    """All of it below `root`: the first half of the patients have good files."""
    tree, half = root / "archive", (len(whom) + 1) // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom sees what is wrong with the values that are put in
        good = tuple(_good(tree, whom[:half]))
        spoiled = tuple(_spoiled(tree, whom[half:]))
    rows = [_row(tree, number, *one) for number, one in enumerate((*good, *spoiled))]
    plain = [{name: cell for name, cell in row.items() if name != "pseudonym"} for row in rows]
    table, parquet, named = root / "table.csv", root / "table.parquet", root / "named.csv"
    table.write_text(_csv(plain), encoding="utf-8")
    named.write_text(_csv(rows), encoding="utf-8")
    _write_parquet(parquet, plain)
    bad = tuple(_bad_tables(root / "bad", plain, whom))
    return Archive(tree, good, spoiled, table, parquet, named, bad, _torn(root / "torn", whom))


def _good(tree: Path, whom: Sequence[Person]) -> Iterator[tuple[Path, Person]]:
    formats, seeds = cycle(FORMATS.items()), count()
    for person in whom:
        for number in range(ECGS_EACH):
            name, (suffix, _) = next(formats)
            path = tree / f"{person.file}_ekg" / f"{person.file}_{number}{suffix}"
            yield write_good(path, name, heart(next(seeds)), person), person


def _spoiled(tree: Path, whom: Sequence[Person]) -> Iterator[tuple[Path, Person]]:
    """Every way of every format."""
    persons, number = cycle(whom), count()
    for name, (suffix, _) in FORMATS.items():
        ways = len(ANY) + (len(SPOILED_DICOM) if name == "DICOM" else len(SPOILED.get(name, ())))
        for way in range(ways + (name in _ARRAYS)):
            person, seed = next(persons), next(number)
            path = tree / "later" / f"{person.file}_{seed}{suffix}"
            if way == ways:
                yield write_unknown(path, name, heart(_SPOILED_SEED + seed), person), person
            else:
                yield write_spoiled(path, name, heart(_SPOILED_SEED + seed), person, way), person


def _row(tree: Path, number: int, path: Path, person: Person) -> dict[str, str]:
    label = {"v": "afib", "l": "lbbb", "i": "mi"}.get(person.finding[0], "norm")
    return {
        "record": path.relative_to(tree).as_posix(), "pseudonym": f"ecg-{number:05d}", "patient": person.patient,
        "report": person.report, "labels": label, "split": _SPLITS[number // ECGS_EACH % len(_SPLITS)], "age": "61", "sex": "f",
        "patient_name": person.name, "birth_date": str(person.born), "physician": person.physician,
    }  # fmt: skip


def _csv(rows: Sequence[dict[str, str]], heading: bool = True) -> str:
    stream = StringIO()
    writer = csv.DictWriter(stream, [name for name in _COLUMNS if name in rows[0]], lineterminator="\n")
    if heading:
        writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _write_parquet(path: Path, rows: Sequence[dict[str, str]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def _bad_tables(folder: Path, rows: Sequence[dict[str, str]], whom: Sequence[Person]) -> Iterator[Path]:
    """Tables that are refused, each for another reason, each with a patient at the place."""
    folder.mkdir()
    person = whom[0]
    whole = _csv(rows)
    first = rows[0]
    made = {
        "no-headings.csv": _csv(rows, heading=False).encode(),
        "age.csv": _csv([{**first, "age": f"{person.born} {person.name}"}]).encode(),
        "split.csv": _csv([{**first, "split": person.name}]).encode(),
        "sex.csv": _csv([{**first, "sex": person.name}]).encode(),
        "latin-1.csv": whole.encode("latin-1"),
        "torn.csv": whole.replace(f'{person.report}",', f"{person.report},", 1).encode(),
        "cells.csv": whole.replace(person.patient, f"{person.patient},{person.name},{person.word}", 1).encode(),
        "twice.csv": _csv([first, first]).encode(),
        "outside.csv": _csv([{**first, "record": f"../{person.name}"}]).encode(),
        "no-table.csv": person.report.encode("utf-16"),
        "no-parquet.parquet": whole.encode(),
        "other-headings.csv": whole.replace("record", person.patient, 1).encode(),
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
        yield folder / name


def _torn(folder: Path, whom: Sequence[Person]) -> Path:
    """A copy of PTB-XL; a report holds a line's end, and the rest of it begins the next row."""
    write_ptb_xl(folder, 4, [person.report for person in whom[:4]])
    table = folder / "ptbxl_database.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    person = whom[1]
    place = lines[1].split(",")[-2]
    torn = f'{person.name},{person.patient},{person.born},{person.physician},"{person.report}",{person.word},x,{place},y'
    table.write_text("\n".join([*lines[:2], torn, *lines[2:]]) + "\n", encoding="utf-8")
    return folder
