"""What is taken out of an HDF5 file, entry by entry, and where each bound lies; here without the process that reads apart."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest

from array_files import write_matlab_73
from cmelt.errors import RecordError
from cmelt.records.readers import hdf5_contents
from cmelt.records.readers.hdf5_contents import contents, matlab_contents, refuse_incomplete, refuse_outside
from cmelt.records.record import LEADS
from ecg_files import heart


def of_file(path, put, read=contents):
    """What is found in a file that `put` fills, and how many bytes were announced before."""
    announced: list[int] = []
    with h5py.File(path, "w") as file:
        put(file)
    return read(path, announced.append), announced


def refused(path, put, fault: str, remedy: str, read=contents) -> None:
    with pytest.raises(RecordError) as caught:
        of_file(path, put, read)
    assert (caught.value.where, caught.value.fault, caught.value.remedy) == (str(path), fault, remedy)


def test_known_entries_of_file_and_groups_two_deep_are_found_and_nothing_else(tmp_path):
    def put(file):
        file.attrs["rate"], file.attrs["colour"] = np.int64(500), "blue"
        file["remark"] = np.zeros(9)
        file["signal"] = np.arange(6, dtype="<i2").reshape(2, 3)
        file["signal"].attrs["unit"] = b"mV"
        file["signal"].attrs["scale_bar"] = 3
        file.create_group("empty")
        deep = file.create_group("a/b/c")
        deep["signal"] = np.ones(2)
        file["a/b/fs"], file["a/age"] = 250.0, np.array([50, 51], "<i4")
        file["a/b/leads"] = ["I", "II"]
        file["#refs#/signal"] = np.ones(3)
        file["hidden"] = h5py.SoftLink("/signal")

    found, announced = of_file(tmp_path / "x.h5", put)
    assert set(found) == {"rate", "signal", "unit ", "a"}
    assert (found["rate"], found["unit "]) == (500, "mV")
    assert found["signal"].dtype == np.int16 and found["signal"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert set(found["a"]) == {"age", "b"} and found["a"]["age"].tolist() == [50, 51]
    assert set(found["a"]["b"]) == {"fs", "leads"} and found["a"]["b"]["leads"] == ["I", "II"]
    assert float(found["a"]["b"]["fs"]) == 250 and sorted(announced) == [8, 8, 12]


@pytest.mark.parametrize(
    ("value", "told"),
    [("mV", "mV"), (np.float32(2.5), 2.5), (np.int8(3), 3), (np.array([1, 2]), [1, 2]),
     (np.array([b"I", b"II"]), ["I", "II"]), (["I", "aVR"], ["I", "aVR"]), (np.array([True, False]), [True, False])],
)  # fmt: skip
def test_facts_are_texts_numbers_and_lists_of_them(tmp_path, value, told):
    found, _ = of_file(tmp_path / "x.h5", lambda file: file.attrs.create("leads", value))
    held = found["leads"]
    assert (held.tolist() if isinstance(held, np.ndarray) else held) == told
    assert not isinstance(held, np.generic | bytes)


def many(count):
    def put(file):
        for number in range(count):
            file.create_group(f"g{number}")

    return put


def attributes(count):
    def put(file):
        for number in range(count):
            file.attrs[f"a{number}"] = number

    return put


def array(name, shape, dtype="i1", **how):
    return lambda file: file.create_dataset(name, data=np.zeros(shape, dtype), **how)


ONE_A_FILE = "write one record a file"
LIMITS = {
    "entries": (many(1000), many(1001), "holds more than 1000 entries", ONE_A_FILE),
    "attributes": (attributes(1000), attributes(1001), "holds more than 1000 attributes", ONE_A_FILE),
    "values of an attribute": (
        lambda file: file.attrs.create("rate", np.zeros(4096, "i1")),
        lambda file: file.attrs.create("rate", np.zeros(4097, "i1")),
        "has an attribute too large to state anything",
        ONE_A_FILE,
    ),
    "values of a fact": (array("age", 4096), array("age", 4097), "has an entry too large to state anything", ONE_A_FILE),
    "texts": (array("leads", 4096, "S2"), array("leads", 4097, "S2"), "has an entry too large to state anything", ONE_A_FILE),
    "a text": (array("report", (), "S256"), array("report", (), "S257"), "has an entry too large to state anything", ONE_A_FILE),
    "records": (
        array("signal", (1, 4, 12)),
        array("signal", (2, 4, 12)),
        "holds many records in one array",
        "CODE's files are read by `cmelt prepare code-15` and `cmelt prepare code-test`; of others write one file a record",
    ),
    "numbers": (
        array("signal", 9, "f8"),
        array("signal", 9, "c8"),
        "holds values that are not real numbers",
        "write float32 or int16",
    ),
    "filters": (
        array("signal", (12, 99), compression="gzip", shuffle=True, fletcher32=True),
        array("signal", (12, 99), compression="lzf"),
        "is packed by a filter that is not HDF5's own",
        "write it with gzip, or unpacked",
    ),
    "what was written": (
        array("signal", 9, "f4"),
        lambda file: file.create_dataset("signal", 9, "f4"),
        "does not hold what it announces",
        "it is truncated or altered: write it again",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_each_bound_lies_where_it_is_said_to_lie(tmp_path, name):
    within, beyond, fault, remedy = LIMITS[name]
    of_file(tmp_path / "x.h5", within)
    refused(tmp_path / "y.h5", beyond, fault, remedy)


def test_arrays_are_bounded_together_and_numbers_by_eight_bytes(tmp_path, monkeypatch):
    def put(file):
        file["signal"], file["age"] = np.zeros(100, "f8"), np.zeros(25, "i8")

    monkeypatch.setattr(hdf5_contents, "LARGEST_FILE", 1000)
    of_file(tmp_path / "x.h5", put)
    monkeypatch.setattr(hdf5_contents, "LARGEST_FILE", 999)
    with pytest.raises(RecordError, match=r"announces (100|25) values \(more than 0 MiB are not read: cut the record\)"):
        of_file(tmp_path / "x.h5", put)
    monkeypatch.undo()
    long = np.zeros(3, np.longdouble)
    refused(tmp_path / "y.h5", lambda file: file.create_dataset("signal", data=long), "announces 3 values",
            "more than 128 MiB are not read: cut the record")  # fmt: skip


def test_attributes_are_bounded_by_their_bytes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_contents, "_MOST_STATED_BYTES", 80)
    of_file(tmp_path / "x.h5", lambda file: file.attrs.create("age", np.zeros(10)))
    refused(tmp_path / "x.h5", lambda file: file.attrs.create("age", np.zeros(11)),
            "has an attribute too large to state anything", ONE_A_FILE)  # fmt: skip


def test_a_known_entry_behind_a_link_is_refused_and_another_link_is_not_followed(tmp_path):
    def put(file):
        file["hidden"] = heart()
        file["fs"] = h5py.SoftLink("/hidden")

    refused(tmp_path / "x.h5", put, "has its signal behind a link", "copy the data into the file")
    found, _ = of_file(tmp_path / "y.h5", lambda file: file.__setitem__("other", h5py.ExternalLink("gone.h5", "signal")))
    assert found == {}


def test_values_in_other_files_are_refused(tmp_path):
    (tmp_path / "values.bin").write_bytes(bytes(48))
    outside = [(tmp_path / "values.bin", 0, 48)]
    refused(tmp_path / "x.h5", lambda file: file.create_dataset("signal", (12,), "f4", external=outside),
            "has its values in other files", "copy the data into the file")  # fmt: skip


def test_a_chunk_may_be_as_large_as_an_ecg(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_contents, "_LARGEST_CHUNK", 400)
    for length, fits in ((100, True), (101, False)):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            dataset = file.create_dataset("signal", data=np.zeros((3, 200), "f4"), chunks=(1, length))
            if fits:
                refuse_outside(dataset, "x")
                continue
            with pytest.raises(RecordError) as caught:
                refuse_outside(dataset, "x")
            assert str(caught.value) == "x: is cut into chunks larger than an ECG (write it in smaller chunks)"


def packed_twice(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((12,))
    plan.set_deflate(4)
    plan.set_shuffle()
    space = h5py.h5s.create_simple((24,))
    h5py.Dataset(h5py.h5d.create(file.id, b"signal", h5py.h5t.IEEE_F32LE, space, plan))[...] = np.arange(24)


def test_what_is_packed_in_another_order_is_refused(tmp_path):
    refused(tmp_path / "x.h5", packed_twice, "is packed in an unusual way", "write it with gzip, or unpacked")


def test_a_chunk_unpacks_to_a_kilobyte_more_than_it_announces_at_most(tmp_path):
    for more, fits in ((1024, True), (1025, False)):
        for place in (0, 2):
            with h5py.File(tmp_path / "x.h5", "w") as file:
                dataset = file.create_dataset("signal", data=np.zeros((12, 300), "f4"), chunks=(12, 100), compression="gzip")
                dataset.id.write_direct_chunk((0, 100 * place), zlib.compress(bytes(4800 + more)))
                if fits:
                    refuse_incomplete(dataset, "x")
                    continue
                with pytest.raises(RecordError) as caught:
                    refuse_incomplete(dataset, "x")
                remedy = "no ECG does: check where it comes from"
                assert str(caught.value) == f"x: unpacks to more than it announces ({remedy})"


def test_a_chunk_that_was_left_unpacked_is_not_unpacked(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("signal", (12, 100), "f4", chunks=(12, 100), compression="gzip")
        dataset.id.write_direct_chunk((0, 0), bytes(4800), filter_mask=1)
    with h5py.File(tmp_path / "x.h5") as file:
        refuse_incomplete(file["signal"], "x")


def test_chunks_that_lack_are_noticed_whatever_their_shape(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("signal", (12, 250), "f4", chunks=(5, 100))
        dataset[:, :200] = 1
        with pytest.raises(RecordError, match=r"does not hold what it announces \(it is truncated or altered: write it again\)"):
            refuse_incomplete(dataset, "x")
        dataset[:, 200:] = 1
        refuse_incomplete(dataset, "x")


def test_matlab_s_arrays_are_turned_and_its_texts_and_cells_decoded(tmp_path):
    found = matlab_contents(write_matlab_73(tmp_path / "x.mat", heart()), lambda size: None)
    assert np.array_equal(found["data"], heart()) and found["leads"] == list(LEADS)
    assert (found["unit"], found["fs"].tolist()) == ("mV", [[100.0]])


def as_matlab(name, values, kind, **attributes):
    def put(file):
        dataset = file.create_dataset(name, data=values)
        dataset.attrs["MATLAB_class"] = np.bytes_(kind)
        for attribute, value in attributes.items():
            dataset.attrs[attribute] = value

    return put


def test_matlab_s_text_may_have_lines_and_its_empty_arrays_have_no_size(tmp_path):
    codes = np.array([[ord(letter) for letter in line] for line in ("mV ", "uV\0")], "u2").T
    found, _ = of_file(tmp_path / "x.mat", as_matlab("unit", codes, "char"), matlab_contents)
    assert found["unit"] == ["mV", "uV"]
    empty = as_matlab("signal", np.array([0, 0], "u8"), "double", MATLAB_empty=1)
    assert of_file(tmp_path / "y.mat", empty, matlab_contents)[0]["signal"].shape == (0, 0)
    cube = as_matlab("signal", np.zeros((2, 3, 4)), "double")
    assert of_file(tmp_path / "z.mat", cube, matlab_contents)[0]["signal"].shape == (4, 3, 2)


@pytest.mark.parametrize("kind", ["function_handle", "FunctionHandle", "string", "table"])
def test_matlab_s_objects_are_refused(tmp_path, kind):
    for put in (as_matlab("signal", np.zeros(9), kind), as_matlab("signal", np.zeros(9), "double", MATLAB_object_decode=3)):
        refused(tmp_path / "x.mat", put, "holds an object, which is not read", "save plain arrays and structs", matlab_contents)


def test_a_cell_array_that_is_not_of_texts_is_refused(tmp_path):
    def put(file):
        inner = file.create_dataset("#refs#/a", data=np.zeros(3))
        cell = file.create_dataset("leads", data=np.array([[inner.ref]], dtype=h5py.ref_dtype))
        cell.attrs["MATLAB_class"] = np.bytes_("cell")

    fault, remedy = "holds a cell array that is not of texts", "save plain arrays and structs"
    refused(tmp_path / "x.mat", put, fault, remedy, matlab_contents)
    for count, fits in ((4096, True), (4097, False)):
        long = as_matlab("report", np.full((count, 1), 65, "u2"), "char")
        if fits:
            assert of_file(tmp_path / "y.mat", long, matlab_contents)[0]["report"] == "A" * 4096
        else:
            refused(tmp_path / "y.mat", long, "has an entry too large to state anything", ONE_A_FILE, matlab_contents)
