"""What the process that reads apart is asked and answers, and what it takes out of parquet; here without a second process."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from array_files import write_hdf5
from cmelt.errors import RecordError
from cmelt.records.readers import apart_child, parquet_columns
from cmelt.records.readers.apart_child import main
from cmelt.records.readers.parquet_columns import columns
from ecg_files import heart


def answers_to(*requests: dict[str, str]) -> list[dict]:
    """Every answer to `requests`, arrays in the place of their descriptions."""
    answers = io.BytesIO()
    main(io.BytesIO(b"".join(json.dumps(request).encode() + b"\n" for request in requests)), answers)
    answers.seek(0)
    found = []
    while size := answers.read(8):
        found.append(filled(json.loads(answers.read(int.from_bytes(size, "little"))), answers))
    return found


def filled(value, stream):
    if isinstance(value, list):
        return [filled(part, stream) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"array"}:
        dtype, shape = np.dtype(value["array"][0]), tuple(value["array"][1])
        return np.frombuffer(stream.read(dtype.itemsize * int(np.prod(shape))), dtype).reshape(shape)
    return {name: filled(part, stream) for name, part in value.items()}


def test_it_says_when_it_is_ready_what_it_is_about_to_read_and_what_it_found(tmp_path):
    path = write_hdf5(tmp_path / "x.h5", heart().T)
    ready, imported, announced, answer = answers_to({"task": "hdf5", "path": str(path)})
    assert (ready, imported, announced) == ({"ready": True}, {"expects": 0}, {"expects": heart().nbytes})
    assert list(answer) == ["named"]
    assert np.array_equal(answer["named"]["signal"], heart().T) and answer["named"]["rate"] == 100


def test_one_file_after_the_other_is_answered_whatever_is_wrong_with_it(tmp_path, monkeypatch):
    (tmp_path / "torn.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    pq.write_table(pa.table({"remark": ["x"]}), tmp_path / "x.parquet")
    good = write_hdf5(tmp_path / "x.h5", heart())
    asked = [("hdf5", tmp_path / "torn.h5"), ("parquet", tmp_path / "x.parquet"), ("hdf5", good)]
    told = [one for one in answers_to(*({"task": task, "path": str(path)} for task, path in asked)) if "expects" not in one]
    assert told[1] == {"fault": "is damaged (OSError)", "remedy": "fetch it again"}
    assert told[2] == {"fault": "has no columns of leads", "remedy": "name the columns I, II, …, V6 and time (s)"}
    assert np.array_equal(told[3]["named"]["signal"], heart())

    def without_room(path, announce):
        raise MemoryError

    monkeypatch.setattr(apart_child, "_task", lambda name: without_room)
    fault = {"fault": "asks for more memory than an ECG takes", "remedy": "check where it comes from"}
    assert answers_to({"task": "hdf5", "path": "x"})[-1] == fault


def test_each_task_has_its_reader():
    from cmelt.records.readers import hdf5_contents

    assert apart_child._task("hdf5") is hdf5_contents.contents
    assert apart_child._task("matlab") is hdf5_contents.matlab_contents
    assert apart_child._task("parquet").__name__ == "columns"


def test_arrays_lists_and_mappings_within_one_another_come_back(monkeypatch):
    held = {"a": [np.arange(6, dtype="<i2").reshape(2, 3).T, ("x", {"b": np.float64([1.5])})], 3: None, "c": True}
    monkeypatch.setattr(apart_child, "_task", lambda name: lambda path, announce: held)
    answer = answers_to({"task": "hdf5", "path": "x"})[-1]["named"]
    assert answer["a"][0].tolist() == [[0, 3], [1, 4], [2, 5]] and answer["a"][1][0] == "x"
    assert answer["a"][1][1]["b"].tolist() == [1.5] and answer["3"] is None and answer["c"] is True


def parquet(path, table: dict, metadata=None, **how):
    made = pa.table(table)
    pq.write_table(made.replace_schema_metadata(metadata) if metadata else made, path, **how)
    return path


def test_columns_of_leads_and_times_are_read_with_what_is_stated_beside_them(tmp_path):
    fields = [pa.field("II", pa.int16(), metadata={"unit": "uV", "colour": "red"}), pa.field("time (s)", pa.float64()),
              pa.field("remark", pa.string()), pa.field("V1", pa.float32(), metadata={"Units": "mV"})]  # fmt: skip
    rows = [pa.array([1, None, 3], pa.int16()), pa.array([0, 0.1, 0.2]), pa.array(["x"] * 3), pa.array([0.5] * 3, pa.float32())]
    schema = pa.schema(fields, metadata={"rate": "10", "colour": "blue", "report": "y" * 65_536, "patient": "z" * 65_535})
    pq.write_table(pa.Table.from_arrays(rows, schema=schema), tmp_path / "x")
    announced: list[int] = []
    found = columns(tmp_path / "x", announced.append)
    assert found["headings"] == ["II", "time (s)", "V1"] and found["units"] == ["uV", None, "mV"]
    assert found["facts"] == {"rate": "10", "patient": "z" * 65_535}
    assert [row.dtype for row in found["arrays"]] == [np.float64] * 3
    np.testing.assert_allclose(found["arrays"], [[1, np.nan, 3], [0, 0.1, 0.2], [0.5] * 3])
    assert announced == [3 * 3 * 8]


def test_many_rows_come_in_order_batch_by_batch(tmp_path):
    rows = np.arange(150_000) % 997
    parquet(tmp_path / "x", {"I": rows, "V2": -rows}, row_group_size=40_000)
    found = columns(tmp_path / "x", lambda size: None)["arrays"]
    assert np.array_equal(found[0], rows) and np.array_equal(found[1], -rows)


REFUSED = {
    "no lead": ({"remark": ["x"]}, "has no columns of leads", "name the columns I, II, …, V6 and time (s)"),
    "texts": ({"I": ["x"]}, "has columns of leads that are not numbers", "write a row a sample, a number a cell"),
    "truths": ({"I": [1.0], "II": [True]}, "has columns of leads that are not numbers", "write a row a sample, a number a cell"),
    "no rows": ({"I": pa.array([], pa.float32())}, "the record has no samples", "leave it out"),
    "columns": ({"I": [1.0]} | {f"x{number}": [1] for number in range(1000)}, "has more than 1000 columns",
                "write one column a lead"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_of_an_ecg_is_refused_with_its_reason(tmp_path, name):
    table, fault, remedy = REFUSED[name]
    with pytest.raises(RecordError) as caught:
        columns(parquet(tmp_path / "x", table), lambda size: None)
    assert (caught.value.where, caught.value.fault, caught.value.remedy) == (str(tmp_path / "x"), fault, remedy)


def test_a_thousand_columns_are_read(tmp_path):
    table = {"I": [1.0]} | {f"x{number}": [1] for number in range(999)}
    assert columns(parquet(tmp_path / "x", table), lambda size: None)["headings"] == ["I"]


def test_files_rows_and_what_they_unpack_to_are_bounded(tmp_path, monkeypatch):
    path = parquet(tmp_path / "x", {"I": np.arange(1000.0), "II": np.arange(1000.0)}, compression="NONE", use_dictionary=False)
    for least, fault in ((path.stat().st_size, None), (path.stat().st_size - 1, "is larger than 0 MiB"),
                         (16_000, "is larger")):  # fmt: skip
        monkeypatch.setattr(parquet_columns, "LARGEST_FILE", least)
        if fault is None:
            columns(path, lambda size: None)
            continue
        with pytest.raises(RecordError, match=fault):
            columns(path, lambda size: None)
    small = parquet(tmp_path / "y", {"I": np.zeros(1000), "II": np.zeros(1000)})
    for least, fits in ((16_000, True), (15_999, False)):
        monkeypatch.setattr(parquet_columns, "LARGEST_FILE", least)
        if fits:
            columns(small, lambda size: None)
            continue
        with pytest.raises(RecordError) as caught:
            columns(small, lambda size: None)
        assert caught.value.fault == "holds more rows than an ECG has samples"
        assert caught.value.remedy == "cut the record, or give it as WFDB or EDF"


class Announced:
    """A table that announces another number of rows than it has."""

    def __init__(self, path, rows: int) -> None:
        self.file = pq.ParquetFile(path)
        self.metadata = type("Metadata", (), {"num_rows": rows})

    def iter_batches(self, **how):
        return self.file.iter_batches(**how)


@pytest.mark.parametrize(
    ("rows", "fault", "remedy"),
    [(99, "holds more rows than it announces", "write it again"),
     (101, "holds fewer rows than it announces", "it is damaged: write it again")],
)  # fmt: skip
def test_rows_are_those_that_are_announced(tmp_path, rows, fault, remedy):
    path = parquet(tmp_path / "x", {"I": np.arange(100.0)})
    assert parquet_columns._read(Announced(path, 100), ["I"], "x")[0].tolist() == list(range(100))
    with pytest.raises(RecordError) as caught:
        parquet_columns._read(Announced(path, rows), ["I"], "x")
    assert str(caught.value) == f"x: {fault} ({remedy})"


def test_what_columns_of_leads_unpack_to_is_bounded_and_other_columns_do_not_count(tmp_path, monkeypatch):
    path = parquet(tmp_path / "x", {"I": np.zeros(200_000), "remark": ["x" * 9] * 200_000}, use_dictionary=False)
    metadata = pq.ParquetFile(path).metadata
    size = metadata.row_group(0).column(0).total_uncompressed_size
    monkeypatch.setattr(parquet_columns, "LARGEST_FILE", size - (1 << 20))
    parquet_columns._refuse_unpacked(metadata, {"I"}, "x")
    monkeypatch.setattr(parquet_columns, "LARGEST_FILE", size - (1 << 20) - 1)
    with pytest.raises(RecordError, match=r"x: unpacks to more than 0 MiB \(no ECG does: check where it comes from\)"):
        parquet_columns._refuse_unpacked(metadata, {"I"}, "x")
