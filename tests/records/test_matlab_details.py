"""MATLAB's bytes in their corners: small elements, texts in their encodings, cells, shapes; arrays and what they state."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from test_matlab_reading import element, header, matrix, packed

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, matlab, matlab_v5
from cmelt.records.readers.bare_arrays import record_from, record_of, set_upright
from cmelt.records.readers.matlab_v5 import looks_like_v4, v4_variables, v5_variables
from cmelt.records.readers.stated import Stated, as_names, as_text, facts_of
from cmelt.records.record import LEADS
from ecg_files import heart

SAID = ReadOptions(rate=100, unit="mV", leads=LEADS)
AGAIN, DAMAGED = "fetch it again", "the MATLAB file is damaged (fetch it again)"
STRUCTURES = "holds more structures than an ECG does (write one record a file)"
CUT = "is truncated: it announces more than it holds (fetch it again)"
UNREADABLE = "holds a text that cannot be read (write it again)"


def fault_of(call, *args) -> str:
    """What the refusal says of the file "x"."""
    with pytest.raises(RecordError) as caught:
        call(*args)
    assert caught.value.where == "x"
    return f"{caught.value.fault} ({caught.value.remedy})"


def of(*elements: bytes) -> dict:
    return v5_variables(header() + b"".join(elements), "x")


def char(text: bytes, kind: int, shape: tuple[int, int]) -> bytes:
    return matrix("a", 4, shape, element(kind, text))


def small(kind: int, content: bytes) -> bytes:
    """Size and type in one word, up to four bytes of data in the next."""
    return struct.pack("<HH", kind, len(content)) + content.ljust(4, b"\0")


# --- v5 ---


def test_every_numeric_type_is_kept_as_it_is_stored_columns_first():
    for kind, dtype in {
        1: "i1",
        2: "u1",
        3: "<i2",
        4: "<u2",
        5: "<i4",
        6: "<u4",
        7: "<f4",
        9: "<f8",
        12: "<i8",
        13: "<u8",
    }.items():
        numbers = np.arange(6, dtype=dtype)
        for class_of in (6, 15):
            found = of(matrix("a", class_of, (2, 3), element(kind, numbers.tobytes())))["a"]
            assert found.dtype == np.dtype(dtype) and found.tolist() == [[0, 2, 4], [1, 3, 5]]
    cube = of(matrix("a", 6, (2, 3, 4), element(2, bytes(range(24)))))["a"]
    assert cube.shape == (2, 3, 4) and cube[1, 0, 0] == 1 and cube[0, 1, 0] == 2 and cube[0, 0, 1] == 6


def test_small_elements_variables_after_one_another_and_padding_at_the_end_are_read():
    inner = small(6, struct.pack("<I", 6)) + element(5, struct.pack("<2i", 1, 3)) + small(1, b"val") + small(2, b"\1\2\3")
    other = packed(matrix("b", 6, (1, 1), small(1, b"\xff")))
    found = of(element(14, inner), other, bytes(7))
    assert found["val"].tolist() == [[1, 2, 3]] and found["b"].tolist() == [[-1]]
    assert of(element(14, b"")) == {"": pytest.approx(np.empty((0, 0)))}
    too_large = struct.pack("<HH", 2, 5) + bytes(4)
    assert fault_of(of, element(14, inner[:-8] + too_large)) == DAMAGED


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [(1, b"mV", "mV"), (2, b"\xb5V", "µV"), (16, "µV".encode(), "µV"), (4, "µV".encode("utf-16-le"), "µV"),
     (17, "µV".encode("utf-16-le"), "µV"), (18, "µV".encode("utf-32-le"), "µV"), (16, b"\xff", "\ufffd"), (1, b"mV\0\0", "mV")],
)  # fmt: skip
def test_texts_are_told_in_their_encoding(kind, text, told):
    assert of(char(text, kind, (1, 2)))["a"] == told


def test_texts_of_big_endian_files_are_turned():
    def swapped(kind: int, content: bytes) -> bytes:
        return struct.pack(">2I", kind, len(content)) + content + bytes(-len(content) % 8)

    for kind, codec in ((17, "utf-16-be"), (18, "utf-32-be"), (16, "utf-8")):
        parts = swapped(6, struct.pack(">2I", 4, 0)) + swapped(5, struct.pack(">2i", 1, 2)) + swapped(1, b"a")
        body = swapped(14, parts + swapped(kind, "µV".encode(codec)))
        assert v5_variables(header()[:126] + b"MI" + body, "x")["a"] == "µV"


def test_a_text_of_several_lines_is_stored_by_columns():
    assert of(char(b"mu VV ", 1, (2, 3)))["a"] == ["m V", "uV"]
    for text, kind, shape in ((b"mu VV", 1, (2, 3)), (b"mV", 9, (1, 2)), (b"mV", 1, (1, 2, 1))):
        assert fault_of(of, char(text, kind, shape)) == UNREADABLE
    assert of(char(b"", 1, (0, 0)))["a"] == ""


def test_texts_are_bounded(monkeypatch):
    monkeypatch.setattr(matlab_v5, "_LONGEST_TEXT", 5)
    assert of(char(b"12345", 1, (1, 5)))["a"] == "12345"
    assert fault_of(of, char(b"123456", 1, (1, 6))) == UNREADABLE


def struct_of(names: bytes, width: int, *values: bytes, shape: tuple[int, int] = (1, 1)) -> bytes:
    return matrix("s", 2, shape, element(5, struct.pack("<i", width)), element(1, names), *values)


def test_structs_and_cells_hold_what_they_hold():
    one, two = matrix("", 6, (1, 1), element(2, b"\1")), char(b"mV", 1, (1, 2))
    assert of(struct_of(b"fs\0\0unit", 4, one, two))["s"] == {"fs": np.array([[1]]), "unit": "mV"}
    cells = of(matrix("c", 1, (2, 1), two, element(14, b"")))["c"]
    assert cells[0] == "mV" and cells[1].shape == (0, 0)
    for names, width in ((b"fs\0", 2), (b"", 0), (bytes(1025), 1025)):
        assert fault_of(of, struct_of(names, width, one, two)) == DAMAGED
    assert fault_of(of, struct_of(b"fs\0\0", 4, one, shape=(2, 1))) == "holds an array of structs (write one record a file)"
    assert len(of(struct_of(bytes(1024), 1, *[one] * 1024))["s"]) == 1
    assert fault_of(of, struct_of(bytes(1025), 1, *[one] * 1025)) == STRUCTURES
    assert fault_of(of, struct_of(b"fs\0\0", 4)) == "is truncated: an element of the MATLAB file is missing (fetch it again)"


def test_structures_are_bounded_by_number_and_depth(monkeypatch):
    one = matrix("", 6, (1, 1), element(2, b"\1"))
    nested, more = one, "holds more structures than an ECG does (fetch it again, or write one record a file)"
    for _ in range(8):
        nested = matrix("", 1, (1, 1), nested)
    assert len(of(nested)) == 1
    assert fault_of(of, matrix("", 1, (1, 1), nested)) == more
    monkeypatch.setattr(matlab_v5, "_MOST_VARIABLES", 4)
    assert len(of(matrix("c", 1, (3, 1), one, one, one))["c"]) == 3
    assert fault_of(of, matrix("c", 1, (4, 1), one, one, one, one)) == more
    assert fault_of(of, matrix("c", 1, (5, 1))) == STRUCTURES


@pytest.mark.parametrize(
    ("content", "fault"),
    [(matrix("a", 6, (1, 2), element(2, b"\1")), CUT), (matrix("a", 6, (1, 1), element(2, b"\1\2")), CUT),
     (matrix("a", 6, (2,), element(2, b"\1\2")), DAMAGED), (matrix("a", 6, (1,) * 9, element(2, b"\1")), DAMAGED),
     (matrix("a", 6, (1, 1), element(16, b"\1")), DAMAGED), (matrix("a", 0, (1, 1)), DAMAGED),
     (matrix("a", 6, (1, 1), element(2, b"\1"), flags=0x0800), "holds complex numbers (write real numbers)"),
     (matrix("a", 5, (1, 1)), "holds a sparse matrix, which is not read (save plain arrays and structs)"),
     (matrix("a", 16, (1, 1)), "holds a function handle, which is not read (save plain arrays and structs)"),
     (element(7, bytes(8)), "the MATLAB file is damaged (fetch it again, or write one record a file)"),
     (element(14, element(9, bytes(8))), DAMAGED), (element(14, element(6, bytes(4 * 33))), DAMAGED),
     (matrix("a", 6, (1, 1), element(2, b"\1")) * 2, "holds a variable twice (write it again)"),
     (struct.pack("<2I", 14, 9) + bytes(8), CUT)],
)  # fmt: skip
def test_what_is_no_variable_is_told(content, fault):
    assert fault_of(of, content) == fault
    assert of(matrix("a", 6, (1,) * 8, element(2, b"\1")))["a"].shape == (1,) * 8


def test_a_header_is_128_bytes_that_say_which_end_comes_first():
    for content in (header()[:127], header()[:126] + b"XX"):
        assert fault_of(v5_variables, content, "x") == "the MATLAB file's header is damaged (fetch it again)"
    assert v5_variables(header(), "x") == {}


def test_what_is_unpacked_is_bounded_with_what_it_is_packed_in(monkeypatch):
    one = packed(matrix("a", 6, (1, 600), element(2, bytes(600))))
    size = len(matrix("a", 6, (1, 600), element(2, bytes(600))))
    monkeypatch.setattr(matlab_v5, "LARGEST_FILE", size)
    assert of(one)["a"].shape == (1, 600)
    assert fault_of(of, one + one).startswith("unpacks to more than 0 MiB")
    monkeypatch.setattr(matlab_v5, "LARGEST_FILE", size - 1)
    assert fault_of(of, one).startswith("unpacks to more than 0 MiB")


# --- v4 ---


def v4(kind: int, rows: int, columns: int, body: bytes, name: bytes = b"val\0", imaginary: int = 0) -> bytes:
    return struct.pack((">" if kind >= 1000 else "<") + "5i", kind, rows, columns, imaginary, len(name)) + name + body


def test_a_v4_matrix_is_known_by_five_plausible_numbers_and_a_name():
    good = v4(0, 1, 1, bytes(8))
    assert looks_like_v4(good) and looks_like_v4(v4(1052, 3, 4, b"")) and looks_like_v4(v4(0, 1, 1, b"", b"a\0"))
    assert looks_like_v4(v4(0, 1, 1, b"", b"a" * 63 + b"\0")) and looks_like_v4(v4(0, 1, 1, b"", imaginary=1))
    kinds = [v4(kind, 1, 1, b"") for kind in (3, 60, 100, 2000)]
    names = [v4(0, 1, 1, b"", name) for name in (b"a b\0", b"val", b"\0", b"a" * 64 + b"\0")]
    for head in (good[:20], v4(0, 0, 1, b""), v4(0, 1, 0, b""), v4(0, 1, 1, b"", imaginary=2), *kinds, *names):
        assert not looks_like_v4(head)


def test_v4_matrices_and_texts_follow_one_another():
    numbers = np.arange(6)
    content = v4(1030, 2, 3, numbers.astype(">i2").tobytes(), b"val\0") + v4(51, 2, 2, b"mu V", b"unit\0")
    content += v4(1, 1, 2, np.array([109.0, 86.0]).tobytes(), b"a\0")
    found = v4_variables(content, "x")
    assert found["val"].tolist() == [[0, 2, 4], [1, 3, 5]] and found["unit"] == ["m", "uV"] and found["a"] == "mV"
    for kind, dtype in {0: "<f8", 10: "<f4", 20: "<i4", 30: "<i2", 40: "<u2", 50: "u1"}.items():
        assert v4_variables(v4(kind, 2, 3, numbers.astype(dtype).tobytes()), "x")["val"].dtype == np.dtype(dtype)


def test_v4_files_that_cannot_be_read_are_told(monkeypatch):
    complexes = "holds complex numbers or a sparse matrix (write real numbers)"
    assert fault_of(v4_variables, v4(0, 1, 1, bytes(16), imaginary=1), "x") == complexes
    assert fault_of(v4_variables, v4(2, 1, 1, bytes(8)), "x") == complexes
    assert fault_of(v4_variables, v4(0, 1, 2, bytes(15)), "x") == CUT
    assert fault_of(v4_variables, v4(0, 1, 1, bytes(8)) + b"more", "x") == DAMAGED
    for code in (-1.0, float(0x110000), float("nan")):
        assert fault_of(v4_variables, v4(1, 1, 1, struct.pack("<d", code)), "x") == UNREADABLE
    assert v4_variables(v4(1, 1, 1, struct.pack("<d", 0x10FFFF)), "x")["val"] == "\U0010ffff"
    monkeypatch.setattr(matlab_v5, "_LONGEST_TEXT", 3)
    assert v4_variables(v4(51, 1, 3, b"abc"), "x")["val"] == "abc"
    assert fault_of(v4_variables, v4(51, 1, 4, b"abcd"), "x") == UNREADABLE
    monkeypatch.setattr(matlab_v5, "_MOST_VARIABLES", 2)
    several = [v4(50, 1, 1, b"\1", name) for name in (b"a\0", b"b\0", b"c\0")]
    assert len(v4_variables(b"".join(several[:2]), "x")) == 2
    assert fault_of(v4_variables, b"".join(several), "x") == DAMAGED


def test_what_is_no_matlab_file_is_told(tmp_path):
    (tmp_path / "x").write_bytes(b"something else, of some length")
    with pytest.raises(RecordError) as caught:
        matlab.read(tmp_path / "x")
    assert str(caught.value) == f"{tmp_path / 'x'}: is no MATLAB file (check what it is)"


# --- arrays and what is stated beside them ---


def test_one_array_must_be_the_signal():
    several = "holds more than one array that may be the signal (call the one array signal, ecg, data or val)"
    assert fault_of(record_of, {"signal": heart(), "val": heart()}, SAID, Path("x")) == several
    none = "holds no array under the signal's name (call the one array signal, ecg, data or val)"
    assert fault_of(record_of, {"signal": "text"}, SAID, Path("x")) == none
    nothing = "holds no signal that is known by its name (call the array signal, ecg, data or val)"
    assert fault_of(record_of, {"other": heart()}, SAID, Path("x")) == nothing
    both = {"a": {"signal": heart()}, "b": {"ecg": heart()}}
    assert fault_of(record_of, both, SAID, Path("x")) == "holds several structures with a signal (write one record a file)"
    assert record_of({"a": {"signal": heart()}, "b": {"fs": 100}}, SAID, Path("x")).rate == 100


def test_an_array_is_set_upright_or_refused():
    single = heart()[:1]
    assert set_upright(single[0], ("I",), "x").shape == (1, 1000) and set_upright(heart()[None], LEADS, "x").shape == (12, 1000)
    assert set_upright(heart().astype(np.float64), LEADS, "x").dtype == np.float64
    many = "CODE's files are read by `cmelt prepare code-15` and `cmelt prepare code-test`; of others write one file a record"
    told = {
        "holds values of type longdouble, not real numbers (write float32 or int16)": heart().astype(np.longdouble),
        "holds values of type str64, not real numbers (write float32 or int16)": np.array([["ab"]]),
        f"holds many records in one array ({many})": np.zeros((2, 12, 30)),
        "holds an array of 4 dimensions (write [leads, samples])": np.zeros((1, 1, 12, 30)),
        "holds an array of 0 dimensions (write [leads, samples])": np.array(5.0),
        "has as many samples as leads, so either axis may be the leads (write a longer record)": heart()[:, :12],
    }
    for fault, array in told.items():
        found = fault_of(set_upright, array, LEADS, "x")
        assert found == fault or ("of type" in fault and found.startswith("holds values of type "))
    assert "does not name its leads" in fault_of(set_upright, heart(), None, "x")


def test_numbers_become_millivolts_and_infinite_ones_are_refused():
    said = ReadOptions(rate=100, unit="microvolts", leads=LEADS, identity=True)
    steps = np.rint(heart() * 1000).astype(np.int16)
    record = record_from(steps, Stated(report="r", age=5.0, sex="male", patient="p"), said, Path("a/x.y.npy"))
    assert np.array_equal(record.signal, (steps / 1000).astype(np.float32)) and record.signal.dtype == np.float32
    facts = (record.identifier, record.origin, record.report, record.age, record.sex, record.patient)
    assert facts == ("x.y", "a/x.y.npy", "r", 5.0, "male", "p")
    signal = heart()
    signal[3, 5] = np.inf
    told = "holds infinite values (write NaN where nothing was measured)"
    assert fault_of(record_from, signal, Stated(), SAID, Path("x")) == told
    assert (
        fault_of(record_from, heart().astype(np.float64) * 1e300, Stated(), ReadOptions(rate=1, unit="V", leads=LEADS), Path("x"))
        == told
    )
    upright = heart()[:, :12]
    assert record_from(upright, Stated(), SAID, Path("x"), is_upright=True).signal.shape == (12, 12)


def test_facts_are_told_by_their_names_and_contradictions_by_the_shortest():
    facts = facts_of(
        {"Sample_Rate": [250], "UNITS": b"uv", "Lead Names": "I;II", "report": " r ", "Gender": "m", "PatientID": 7}, "x"
    )
    assert facts == Stated(250.0, "uV", ("I", "II"), "r", None, "male", "7")
    twice = {
        "fs": {"fs": 1, "rate": 2},
        "unit": {"unit": "mV", "units": "uV"},
        "sex": {"sex": "M", "gender": "F"},
        "patient": {"patient": 1, "patientid": 2},
        "lead": {"lead": "I", "leads": "II"},
    }
    for name, wrong in twice.items():
        assert fault_of(facts_of, wrong, "x") == f"states two values for its {name} (keep the right one)"
    gain = "states a gain or an offset, which some multiply with and others divide by (write the numbers in mV, without it)"
    for wrong in ({"gain": 2}, {"offset": 1}, {"baseline": np.array([0, 1])}, {"scale": "1"}, {"resolution": np.array(["1"])}):
        assert fault_of(facts_of, wrong, "x") == gain
    for age, told in ((130, 130), (130.5, None), (0, None), ("x", None), (None, None), (0.5, 0.5)):
        assert facts_of({"age": age}, "x").age == told
    assert facts_of({"units": np.array(["mV", "mV"])}, "x").unit == "mV" and facts_of({"units": ""}, "x").unit is None
    mixed = "has leads in different units (write all of them in mV)"
    assert fault_of(facts_of, {"units": ("mV", "V")}, "x") == mixed


def test_names_and_texts_are_read_in_every_form():
    assert as_names("['I', \"II\", (aVR)]", "x") == as_names("I|II|aVR", "x") == as_names(("I", b"II", np.str_("aVR")), "x")
    assert (
        as_names("I", "x") == ("I",) and as_names("V1 V2", "x") == ("V1", "V2") and as_names([["I"], ["II"]], "x") == ("I", "II")
    )
    for wrong in ("1 2", "I,", [], 5.0, {"I": 1}, "I,,II"):
        assert fault_of(as_names, wrong, "x") == "states names of leads that cannot be read (write one name a lead)"
    assert [as_text(value) for value in (b" a ", 5, 2.5, np.array(["b"]), ["c"], "", ["a", "b"], None, np.int8(3))] == [
        "a", "5", "2.5", "b", "c", None, None, None, "3"
    ]  # fmt: skip
