"""The index as a table: from the shards' rows to columns, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cmelt.store import index as indexing
from cmelt.store.grouping import NO_SPLIT, PATIENT, Settled
from cmelt.store.index import gather_rows, read_index, write_index
from cmelt.store.rows import index_schema, row_schema, rows_bytes
from cmelt.store.shard import rows_path
from refusals import refused


def row(record: str, **known: Any) -> dict[str, Any]:
    """A row as a shard's worker writes it."""
    bare = {
        "record": record, "patient": "", "report": "", "labels": [], "age": None, "sex": "", "split": "", "split_given": False,
        "missing_leads": [], "flags": [], "fingerprint": "", "exact_name": "", "source": "s", "origin": record,
        "seconds": 10.0, "source_rate": 500.0, "samples": 1000,
    }  # fmt: skip
    return bare | known


ROWS = [
    [
        row("a", patient="0123456789abcdef", split="train", fingerprint="f" * 64, seconds=12.5, qt_ms=400.0),
        row("b", split="test", split_given=True, exact_name="like no other", samples=990, flags=["noise:V1"]),
    ],
    [],
    [row("c", split="validation", fingerprint="e" * 64, labels=["x", "y"], flags=["cropped", "noise:I"], p_ms=90.0)],
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, ROWS)
    return tmp_path


def write(folder: Path, shards: list[list[dict[str, Any]]]) -> None:
    (folder / "receipts").mkdir(exist_ok=True)
    for number, rows in enumerate(shards):
        rows_path(folder, number).write_bytes(rows_bytes(rows))


def settled(*rows: tuple[str, int]) -> Settled:
    patients = np.array([patient for patient, _ in rows], dtype=PATIENT)
    return Settled(patients, np.array([split for _, split in rows], dtype=np.int8), ())


def test_what_groups_are_settled_by_is_gathered_from_all_shards_in_their_order(folder):
    rows = gather_rows(folder, 3)
    assert rows.claims.patient.tolist() == [b"0123456789abcdef", b"", b""]
    assert rows.claims.split.tolist() == [2, 0, 1] and rows.claims.split_given.tolist() == [False, True, False]
    assert list(rows.claims.signal) == ["f" * 64, "exactly like no other", "e" * 64]
    assert (rows.shard.tolist(), rows.shard_row.tolist()) == ([0, 0, 2], [0, 1, 0])
    assert (rows.seconds.tolist(), rows.samples.tolist()) == ([12.5, 10.0, 10.0], [1000, 990, 1000])
    assert rows.measurements == ("p_ms", "qt_ms")
    assert len(rows.claims) == 3
    kinds = (
        rows.claims.patient,
        rows.claims.split,
        rows.claims.split_given,
        rows.shard,
        rows.shard_row,
        rows.seconds,
        rows.samples,
    )
    assert [column.dtype for column in kinds] == [PATIENT, np.int8, np.bool_, np.int64, np.int64, np.float64, np.int64]


def test_no_shard_and_shards_without_a_record_are_gathered_too(tmp_path):
    write(tmp_path, [[], []])
    for rows in (gather_rows(tmp_path, 0), gather_rows(tmp_path, 2)):
        assert len(rows.claims) == rows.shard.size == 0 and rows.measurements == ()
        kinds = (rows.claims.patient, rows.claims.split, rows.claims.split_given, rows.shard, rows.shard_row, rows.seconds)
        assert [column.dtype for column in kinds] == [PATIENT, np.int8, np.bool_, np.int64, np.int64, np.float64]
        write_index(tmp_path / "index.parquet", tmp_path, rows, settled())
        table = pq.read_table(tmp_path / "index.parquet")
        assert table.schema.equals(index_schema(())) and table.num_rows == 0
        assert len(read_index(tmp_path / "index.parquet")) == 0


def test_the_index_is_the_shards_rows_with_what_was_settled(folder):
    people = ("1" * 16, 2), ("2" * 16, NO_SPLIT), ("3" * 16, 1)
    write_index(folder / "index.parquet", folder, gather_rows(folder, 3), settled(*people))
    found = pq.read_table(folder / "index.parquet")
    assert found.schema.equals(index_schema(("qt_ms", "p_ms")))
    before = pa.concat_tables(pq.read_table(rows_path(folder, number)) for number in range(3))
    new = {
        "patient": ["1" * 16, "2" * 16, "3" * 16],
        "split": ["train", "", "validation"],
        "flags": [[], ["copy-across-splits", "noise:V1"], ["cropped", "noise:I"]],
        "shard": [0, 0, 2],
        "shard_row": [0, 1, 0],
    }
    for name in found.column_names:
        assert found[name].to_pylist() == (new[name] if name in new else before[name].to_pylist()), name


@pytest.mark.parametrize(("at_once", "groups"), [(1, [2, 1]), (2, [2, 1]), (3, [3]), (100, [3])])
def test_rows_are_written_a_stretch_at_a_time(folder, monkeypatch, at_once, groups):
    monkeypatch.setattr(indexing, "_ROW_GROUP", at_once)
    people = [(f"{number}" * 16, 2) for number in range(3)]
    write_index(folder / "index.parquet", folder, gather_rows(folder, 3), settled(*people))
    written = pq.ParquetFile(folder / "index.parquet")
    sizes = [written.metadata.row_group(number).num_rows for number in range(written.metadata.num_row_groups)]
    assert [size for size in sizes if size] == groups
    assert written.read()["record"].to_pylist() == ["a", "b", "c"]
    compressed = {written.metadata.row_group(0).column(place).compression for place in range(5)}
    assert compressed == {"ZSTD"}


def test_rows_of_a_shard_are_parquet_of_one_schema_whatever_is_known(folder):
    assert pq.read_schema(rows_path(folder, 1)).equals(row_schema())
    assert row_schema().names[-2:] == ["split_given", "exact_name"] and "qtc_ms" in row_schema().names
    assert pq.ParquetFile(rows_path(folder, 0)).metadata.row_group(0).column(0).compression == "ZSTD"
    assert rows_bytes(ROWS[0]) == rows_bytes(tuple(ROWS[0]))


def test_texts_are_read_as_texts_lists_as_lists_and_rows_with_equal_lists_share_one(folder):
    lists = [[], [""], ["x"], ["x", "y"], ["x"], [], ["y", "x"], ["xy"], [""], ["x", ""]]
    write(folder, [[row(f"r{number}", labels=labels, flags=["odd"]) for number, labels in enumerate(lists)]])
    write_index(folder / "index.parquet", folder, gather_rows(folder, 1), settled(*[("p", 2)] * len(lists)))
    index = read_index(folder / "index.parquet")
    assert index["labels"].to_list() == lists and all(type(labels) is list for labels in index["labels"])
    for one, mine in enumerate(lists):
        for other, its in enumerate(lists):
            assert (index["labels"][one] is index["labels"][other]) == (mine == its)
    assert index["missing_leads"].to_list() == [[]] * len(lists)
    assert list(index.columns) == index_schema(()).names
    text = pd.StringDtype("pyarrow", na_value=np.nan)
    assert [name for name in index.columns if index[name].dtype == text] == [
        "record", "patient", "report", "sex", "split", "fingerprint", "source", "origin"
    ]  # fmt: skip
    kinds = {name: index[name].dtype for name in ("age", "seconds", "source_rate", "samples", "shard", "shard_row")}
    assert [str(kind) for kind in kinds.values()] == ["float64", "float64", "float64", "int64", "int64", "int64"]


def test_lists_whose_texts_hold_any_character_are_told_apart(folder):
    lists = [["a\x1fb", "c"], ["a", "b\x1fc"], [], ["a\x1fb", "c"], ["a", "b"], []]
    write(folder, [[row(f"r{number}", labels=labels) for number, labels in enumerate(lists)]])
    write_index(folder / "index.parquet", folder, gather_rows(folder, 1), settled(*[("p", 2)] * len(lists)))
    found = read_index(folder / "index.parquet")["labels"]
    assert found.to_list() == lists and found[0] is found[3] and found[2] is found[5]


def test_rows_that_cannot_be_read_are_named(folder):
    path = rows_path(folder, 1)
    path.write_bytes(b"not parquet at all")
    with refused(path, "cannot be read (ArrowInvalid)", "run it again: finished shards are kept"):
        gather_rows(folder, 3)
    path.unlink()
    with refused(path, "cannot be read (FileNotFoundError)", "run it again: finished shards are kept"):
        gather_rows(folder, 3)
